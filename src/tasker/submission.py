"""Submitting: requests to the verb's arguments, checked against the template's schema on the way.

`SubmitCall` is the same for a user's own transaction, on any driver: a task then exists exactly if that transaction
commits.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import orjson

from tasker import sql
from tasker.handlers.results import plain_json, to_plain
from tasker.model.errors import InvalidInput, PayloadTooLarge, StepError, TaskerError
from tasker.model.ids import uuid7
from tasker.model.template import Template
from tasker.settings import Settings
from tasker.store.connection import Connection
from tasker.store.definitions import find_definition
from tasker.store.errors import translated
from tasker.store.replies import Submitted
from tasker.store.verbs import Submit, Verbs
from tasker.templates import check_inputs, from_definition

_REMEMBERED_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRequest:
    """One task to be created. `start_at` or `delay_s` let it begin later; `key_ttl_s` lets its key expire."""

    context: Mapping[str, Any] = field(default_factory=dict[str, Any])
    task_uuid: UUID | None = None
    idempotency_key: str | None = None
    key_ttl_s: float | None = None
    priority: int = 0
    start_at: datetime | None = None
    delay_s: float | None = None
    initiator: str | None = None
    source_system: str | None = None
    reason: str | None = None
    tags: Sequence[str] | None = None
    correlation_id: UUID | None = None
    parent_correlation_id: UUID | None = None

    def options(self, *, is_checked: bool) -> str | None:
        """What the verb takes beside the context, as JSON text; None where there is nothing."""
        said = {name: getattr(self, name) for name in _OPTIONS if getattr(self, name) is not None}
        if self.priority:
            said["priority"] = self.priority
        if is_checked:
            said["is_checked"] = True
        return orjson.dumps(said).decode() if said else None


_OPTIONS = (
    "idempotency_key",
    "key_ttl_s",
    "start_at",
    "delay_s",
    "initiator",
    "source_system",
    "reason",
    "tags",
    "correlation_id",
    "parent_correlation_id",
)


@dataclass(frozen=True, slots=True)
class SubmittedTask:
    """A task that exists now; `is_duplicate` when it did before."""

    task_uuid: UUID
    is_duplicate: bool


class Submission:
    """Turns requests into calls of `submit`; remembers templates for a few seconds."""

    def __init__(self, verbs: Verbs, settings: Settings) -> None:
        self._verbs = verbs
        self._settings = settings
        self._templates: dict[tuple[str, str, str | None], tuple[float, Template]] = {}

    async def prepare(
        self,
        connection: Connection,
        namespace: str,
        name: str,
        version: str | None,
        requests: Sequence[TaskRequest],
        new_ids: Sequence[UUID],
    ) -> Submit:
        """The call of `submit` that creates these tasks. `new_ids`, one a request, are for requests that name no id:
        with the same ids a call whose answer was lost can be repeated.

        Raises TemplateNotFound, InvalidInput, PayloadTooLarge.
        """
        template = await self._template(connection, namespace, name, version)
        is_checked = template.enforce_schemas and template.input_schema is not None
        contexts: list[str] = []
        for request in requests:
            context = check_inputs(template, dict(request.context)) if is_checked else request.context
            contexts.append(self.encode(context))
        options = [request.options(is_checked=is_checked) for request in requests]
        task_ids = [request.task_uuid or new_id for request, new_id in zip(requests, new_ids, strict=True)]
        return Submit(namespace, name, template.version, task_ids, contexts, options if any(options) else None)

    async def submit(
        self, connection: Connection, namespace: str, name: str, version: str | None, requests: Sequence[TaskRequest]
    ) -> list[SubmittedTask]:
        """Creates the tasks, all or none."""
        new_ids = [uuid7() for _ in requests]
        prepared = await self.prepare(connection, namespace, name, version, requests, new_ids)
        return submitted(await self._verbs.submit(connection, prepared), new_ids)

    def encode(self, value: Mapping[str, Any]) -> str:
        """See encode_context."""
        return encode_context(value, self._settings.input_bytes_max)

    async def _template(self, connection: Connection, namespace: str, name: str, version: str | None) -> Template:
        key = (namespace, name, version)
        at, template = self._templates.get(key, (0.0, None))
        now = time.monotonic()
        if template is None or now - at > _REMEMBERED_S:
            definition = await find_definition(connection, namespace, name, version, self._settings.schema_name)
            template = from_definition(definition)
            self._templates[key] = now, template
        return template


def submitted(answers: Sequence[Submitted], new_ids: Sequence[UUID]) -> list[SubmittedTask]:
    """What submit answered, to a caller who cannot know that it was asked twice with the same new ids."""
    return [
        SubmittedTask(answer.task_id, answer.is_duplicate and answer.task_id != new_id)
        for answer, new_id in zip(answers, new_ids, strict=True)
    ]


def encode_context(value: Mapping[str, Any], bytes_max: int, what: str = "the context") -> str:
    """A context, or a result given by hand, as JSON text. Raises InvalidInput, PayloadTooLarge."""
    try:
        text = orjson.dumps(value, default=to_plain)
        if b"null" in text or b"\\u0000" in text:
            plain_json(dict(value))
    except (TypeError, StepError) as error:
        raise InvalidInput(f"{what} cannot be JSON: {error}") from error
    if len(text) > bytes_max:
        raise PayloadTooLarge(
            f"{what} has {len(text)} bytes as JSON, the limit is {bytes_max}: "
            "keep the data elsewhere and submit a reference, or raise TASKER_INPUT_BYTES_MAX"
        )
    return text.decode()


@dataclass(frozen=True, slots=True)
class SubmitCall:
    """A submit to be made in a transaction of the caller's own: the task exists exactly if that transaction commits.

    `execute(connection)` makes it with psycopg, Django and SQLAlchemy, `await execute_async(connection)` with asyncpg,
    psycopg and SQLAlchemy. For other drivers, `dbapi()`, `numbered()` and `named()` are the SQL and its values; its row
    is the task's id, and whether the task existed before.
    """

    task_uuid: UUID
    """The task's id, unless its idempotency key was used before: then the answer names the task that has it."""
    namespace: str
    name: str
    version: str | None
    context: str
    options: str | None
    schema: str = sql.DEFAULT_SCHEMA

    def execute(self, connection: Any) -> SubmittedTask:
        """Creates the task in the transaction of this connection, cursor or SQLAlchemy session.

        Raises TemplateNotFound, InvalidInput, PayloadTooLarge, IdentityConflict, KeyInFlight; the transaction cannot go
        on after any of them.
        """
        if _is_async(connection):
            raise TaskerError(f"{_kind(connection)} is asynchronous: use `await call.execute_async(connection)`")
        with _translating():
            return _submitted(self._row(connection))

    async def execute_async(self, connection: Any) -> SubmittedTask:
        """As execute, for an asynchronous connection, cursor or session."""
        if not _is_async(connection):
            raise TaskerError(f"{_kind(connection)} is not an asynchronous connection: {_ACCEPTED}")
        with _translating():
            return _submitted(await self._row_async(connection))

    def dbapi(self) -> tuple[str, list[Any]]:
        """SQL with %s marks, and its values."""
        return self._sql(["%s"] * 6), list(self._values())

    def numbered(self) -> tuple[Any, ...]:
        """SQL with $1 marks, then the values."""
        return (self._sql([f"${n}" for n in range(1, 7)]), *self._values())

    def named(self) -> tuple[str, dict[str, Any]]:
        """SQL with :a marks, for SQLAlchemy's text(), and its values."""
        names = ("namespace", "name", "version", "task_uuid", "context", "options")
        return self._sql([f":{name}" for name in names]), dict(zip(names, self._values(), strict=True))

    def _row(self, connection: Any) -> Any:
        if _is_from(connection, "sqlalchemy") and hasattr(connection, "execute"):
            return connection.execute(*self._text()).one()
        if hasattr(connection, "fetchone"):
            connection.execute(*self.dbapi())
            return connection.fetchone()
        if not hasattr(connection, "cursor"):
            raise TaskerError(f"{_kind(connection)} is no connection: {_ACCEPTED}")
        with connection.cursor(**_plain_rows(connection)) as cursor:
            cursor.execute(*self.dbapi())
            return cursor.fetchone()

    async def _row_async(self, connection: Any) -> Any:
        if _is_from(connection, "sqlalchemy"):
            return (await connection.execute(*self._text())).one()
        if _is_from(connection, "asyncpg"):
            return await connection.fetchrow(*self.numbered())
        if hasattr(connection, "fetchone"):
            await connection.execute(*self.dbapi())
            return await connection.fetchone()
        async with connection.cursor(**_plain_rows(connection)) as cursor:
            await cursor.execute(*self.dbapi())
            return await cursor.fetchone()

    def _text(self) -> tuple[Any, dict[str, Any]]:
        statement, values = self.named()
        return import_module("sqlalchemy").text(statement), values

    def _values(self) -> tuple[Any, ...]:
        return self.namespace, self.name, self.version, str(self.task_uuid), self.context, self.options

    def _sql(self, marks: Sequence[str]) -> str:
        namespace, name, version, task, context, options = marks
        return sql.in_schema(
            f"select task_id, is_duplicate from tasker_engine.submit(cast({namespace} as text), "  # noqa: S608 - marks only
            f"cast({name} as text), cast({version} as text), array[cast(cast({task} as text) as uuid)], "
            f"array[cast({context} as jsonb)], array[cast({options} as jsonb)])",
            self.schema,
        )


def submit_call(
    name: str,
    *,
    namespace: str = "default",
    version: str | None = None,
    context: Mapping[str, Any] | None = None,
    schema: str | None = None,
    **options: Any,
) -> SubmitCall:
    """A submit to be made in the caller's own transaction; `options` are the fields of TaskRequest.

    `schema` is Tasker's in that database, TASKER_SCHEMA unless it is given. The worker holds the context against the
    template's schema before the task's first step. Raises InvalidInput, PayloadTooLarge.
    """
    settings = Settings()  # pyright: ignore[reportCallIssue] - every field has a default
    request = TaskRequest(context=context or {}, **options)
    return SubmitCall(
        request.task_uuid or uuid7(),
        namespace,
        name,
        version,
        encode_context(request.context, settings.input_bytes_max),
        request.options(is_checked=False),
        schema or settings.schema_name,
    )


_ACCEPTED = "give it the connection, cursor or session of the transaction, of psycopg, asyncpg, SQLAlchemy or Django"


def _is_from(connection: Any, library: str) -> bool:
    """Whether the type, or one that it inherits from, is of this library."""
    return any(kind.__module__.partition(".")[0] == library for kind in type(connection).__mro__)


def _is_async(connection: Any) -> bool:
    return _is_from(connection, "asyncpg") or inspect.iscoroutinefunction(getattr(connection, "execute", None))


def _kind(connection: Any) -> str:
    return f"a {type(connection).__module__}.{type(connection).__qualname__}"


def _plain_rows(connection: Any) -> dict[str, Any]:
    """Makes a cursor of psycopg give tuples, whatever rows its connection makes."""
    return {"row_factory": import_module("psycopg.rows").tuple_row} if _is_from(connection, "psycopg") else {}


def _submitted(row: Any) -> SubmittedTask:
    values: Sequence[Any] = tuple(cast("Mapping[str, Any]", row).values() if isinstance(row, Mapping) else row)
    return SubmittedTask(UUID(str(values[0])), values[1])


@contextmanager
def _translating() -> Generator[None]:
    """Raises Tasker's exceptions for those of any driver, also inside those of Django and SQLAlchemy."""
    try:
        yield
    except TaskerError:
        raise
    except Exception as error:
        said = _said_by_the_server(error)
        better = said and translated(said)
        if not isinstance(better, TaskerError):
            raise
        raise better from error


def _said_by_the_server(error: BaseException) -> Any:
    """What the server said, in the shape of asyncpg's errors; None where it was not the server."""
    seen: Any = error
    while seen is not None and seen.__cause__ is not None:
        seen = seen.__cause__  # the driver's own error, under those of Django and SQLAlchemy
    sqlstate, diagnosis = getattr(seen, "sqlstate", None), getattr(seen, "diag", None)
    if sqlstate is None or diagnosis is None:
        return None if sqlstate is None else seen
    return SimpleNamespace(
        args=(diagnosis.message_primary,),
        sqlstate=sqlstate,
        detail=diagnosis.message_detail,
        hint=diagnosis.message_hint,
    )
