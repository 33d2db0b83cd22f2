"""Lists of tasks by any filter, how many they hold, and what handlers and namespaces there are."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from tasker import sql
from tasker.model.errors import InvalidInput
from tasker.model.fleet import HandlerInfo, NamespaceInfo, WorkerName
from tasker.model.task import TaskCount, TaskFilter, TaskPage
from tasker.store import reads_rows as rows
from tasker.store.asking import ask
from tasker.store.connection import Connection

PAGE_MAX = 500
COUNT_MAX = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BY_ID, _BY_END = b"1", b"2"


async def list_tasks(
    connection: Connection,
    which: TaskFilter | None = None,
    *,
    limit: int = 100,
    cursor: str | None = None,
    schema: str = sql.DEFAULT_SCHEMA,
) -> TaskPage:
    """A page of tasks, at most `limit` (1 to 500): newest first, or, where the filter says when they ended, the last
    ended first. Raises InvalidInput for another limit, a wrong cursor, or a search field that no template declares."""
    if not 1 <= limit <= PAGE_MAX:
        raise InvalidInput(f"a page has 1 to {PAGE_MAX} tasks, not {limit}")
    which = which or TaskFilter()
    before, before_at = (None, None) if cursor is None else _position(cursor, by_end=which.is_by_end)
    call = "list_tasks_by($1::jsonb, $2, $3, $4)"
    found = await ask(connection, call, filter_json(which), limit, before, before_at, schema=schema)
    next_cursor = None if len(found) < limit else _cursor(found[-1], by_end=which.is_by_end)
    return TaskPage(tuple(map(rows.task_info, found)), next_cursor)


async def count_tasks(
    connection: Connection,
    which: TaskFilter | None = None,
    *,
    count_max: int = COUNT_MAX,
    schema: str = sql.DEFAULT_SCHEMA,
) -> TaskCount:
    """How many tasks a list has: counted up to `count_max`, estimated past that."""
    call = "count_tasks($1::jsonb, $2)"
    (row,) = await ask(connection, call, filter_json(which or TaskFilter()), count_max, schema=schema)
    return TaskCount(row["count"], row["is_exact"])


async def count_some(
    connection: Connection,
    which: TaskFilter,
    *,
    source_system: str | None = None,
    count_max: int = COUNT_MAX,
    look_max: int = 2_000,
    schema: str = sql.DEFAULT_SCHEMA,
) -> TaskCount:
    """How many tasks a list has, as far as is quickly read: up to `count_max` where one index tells, else among
    `look_max` tasks that have the rarest of what is asked. Where that is not exact there are so many or more."""
    call = "count_some($1::jsonb, $2, $3, $4)"
    (row,) = await ask(connection, call, filter_json(which), source_system, count_max, look_max, schema=schema)
    return TaskCount(row["count"], row["is_exact"])


async def list_handlers(
    connection: Connection,
    *,
    namespaces: Sequence[str] | None = None,
    handler: str | None = None,
    limit: int = PAGE_MAX,
    offset: int = 0,
    schema: str = sql.DEFAULT_SCHEMA,
) -> list[HandlerInfo]:
    """The handlers that templates need and living workers have, by namespace, queue and name."""
    call = "list_handlers($1::text[], $2, $3, $4)"
    found = await ask(connection, call, namespaces, handler, limit, offset, schema=schema)
    return [_handler(row) for row in found]


async def list_namespaces(
    connection: Connection, *, namespaces: Sequence[str] | None = None, schema: str = sql.DEFAULT_SCHEMA
) -> list[NamespaceInfo]:
    """The namespaces, and how much each holds."""
    found = await ask(connection, "list_namespaces($1::text[])", namespaces, schema=schema)
    return [NamespaceInfo(**dict(row)) for row in found]


def filter_json(which: TaskFilter) -> str:
    """A filter as the engine takes it."""
    said = {field.name: getattr(which, field.name) for field in fields(which)}
    if said.pop("tag") is not None:
        said["tags"] = (*(which.tags or ()), which.tag)
    if which.fields is not None:
        said["fields"] = dict(which.fields)
    return orjson.dumps({name: value for name, value in said.items() if value is not None}, default=str).decode()


def _handler(row: Any) -> HandlerInfo:
    known: dict[str, Any] = dict(row)
    workers: list[dict[str, Any]] = orjson.loads(row["workers"])
    known["templates"] = tuple(row["templates"])
    known["workers"] = tuple(_worker(one) for one in workers)
    return HandlerInfo(**known)


def _worker(known: dict[str, Any]) -> WorkerName:
    return WorkerName(
        session_uuid=UUID(known["session_uuid"]), name=known["name"], host=known["host"], pid=known["pid"]
    )


def _cursor(last: Any, *, by_end: bool) -> str:
    data = _BY_ID + last["task_id"].bytes
    if by_end:
        microseconds = (last["finished_at"] - _EPOCH) // timedelta(microseconds=1)
        data = _BY_END + microseconds.to_bytes(8, "big") + last["task_id"].bytes
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _position(cursor: str, *, by_end: bool) -> tuple[UUID, datetime | None]:
    kind, size = (_BY_END, 25) if by_end else (_BY_ID, 17)
    try:
        data = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
        if data[:1] == kind and len(data) == size:
            at = _EPOCH + timedelta(microseconds=int.from_bytes(data[1:9], "big")) if by_end else None
            return UUID(bytes=data[-16:]), at
    except (binascii.Error, ValueError, OverflowError):
        pass
    raise InvalidInput(f'"{cursor}" is not a cursor of this list: pass on the next_cursor of the page before')
