"""Submitting: requests to the verb's arguments, checked against the template's schema on the way.

`SubmitCall` is the same for a user's own transaction, on any driver: a task then exists exactly if that transaction
commits.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from tasker import sql
from tasker.handlers.results import plain_json, to_plain
from tasker.model.errors import InvalidInput, PayloadTooLarge, StepError
from tasker.model.ids import uuid7
from tasker.model.template import Template
from tasker.settings import Settings
from tasker.store.connection import Connection
from tasker.store.definitions import find_definition
from tasker.store.verbs import Verbs
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

    async def submit(
        self, connection: Connection, namespace: str, name: str, version: str | None, requests: Sequence[TaskRequest]
    ) -> list[SubmittedTask]:
        """Creates the tasks, all or none."""
        template = await self._template(connection, namespace, name, version)
        is_checked = template.enforce_schemas and template.input_schema is not None
        contexts: list[str] = []
        for request in requests:
            context = check_inputs(template, dict(request.context)) if is_checked else request.context
            contexts.append(self.encode(context))
        options = [request.options(is_checked=is_checked) for request in requests]
        answers = await self._verbs.submit(
            connection,
            namespace,
            name,
            template.version,
            [request.task_uuid or uuid7() for request in requests],
            contexts,
            options if any(options) else None,
        )
        return [SubmittedTask(answer.task_id, answer.is_duplicate) for answer in answers]

    def encode(self, value: Mapping[str, Any]) -> str:
        """A context, or a result given by hand, as JSON text. Raises InvalidInput, PayloadTooLarge."""
        try:
            text = orjson.dumps(value, default=to_plain)
            if b"null" in text or b"\\u0000" in text:
                plain_json(dict(value))
        except (TypeError, StepError) as error:
            raise InvalidInput(f"the context cannot be JSON: {error}") from error
        if len(text) > self._settings.input_bytes_max:
            raise PayloadTooLarge(
                f"the context has {len(text)} bytes as JSON, the limit is {self._settings.input_bytes_max}: "
                "keep the data elsewhere and submit a reference, or raise TASKER_INPUT_BYTES_MAX"
            )
        return text.decode()

    async def _template(self, connection: Connection, namespace: str, name: str, version: str | None) -> Template:
        key = (namespace, name, version)
        at, template = self._templates.get(key, (0.0, None))
        now = time.monotonic()
        if template is None or now - at > _REMEMBERED_S:
            definition = await find_definition(connection, namespace, name, version, self._settings.schema_name)
            template = from_definition(definition)
            self._templates[key] = now, template
        return template


@dataclass(frozen=True, slots=True)
class SubmitCall:
    """A call of the verb `submit` to be made in a transaction of the user's own.

    With psycopg or Django: `cursor.execute(*call.dbapi())`. With SQLAlchemy: `call.named()` is the SQL for
    `text()` and its parameters. With asyncpg: `connection.fetchrow(*call.numbered())`. The task exists exactly if that
    transaction commits; its id is `call.task_uuid` unless the key had been used before (then it is in the row).
    """

    task_uuid: UUID
    namespace: str
    name: str
    version: str | None
    context: str
    options: str | None
    schema: str = sql.DEFAULT_SCHEMA

    def dbapi(self) -> tuple[str, list[Any]]:
        """SQL with %s marks."""
        return self._sql(["%s"] * 6), list(self._values())

    def numbered(self) -> tuple[Any, ...]:
        """SQL with $1 marks, then the values."""
        return (self._sql([f"${n}" for n in range(1, 7)]), *self._values())

    def named(self) -> tuple[str, dict[str, Any]]:
        """SQL with :a marks, for SQLAlchemy's text()."""
        names = ("namespace", "name", "version", "task_uuid", "context", "options")
        return self._sql([f":{name}" for name in names]), dict(zip(names, self._values(), strict=True))

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
    schema: str = sql.DEFAULT_SCHEMA,
    **options: Any,
) -> SubmitCall:
    """A submit to be made in the caller's own transaction; `options` are the fields of TaskRequest.

    The worker holds the context against the template's schema before the task's first step. Raises InvalidInput.
    """
    request = TaskRequest(context=context or {}, **options)
    encode = Submission(Verbs(schema), Settings()).encode  # pyright: ignore[reportCallIssue] - every field has a default
    text = encode(request.context)
    return SubmitCall(
        request.task_uuid or uuid7(), namespace, name, version, text, request.options(is_checked=False), schema
    )
