"""The dead letter queue: entries, investigations, statistics, and tasks that stand still."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from tasker import sql
from tasker.model.dlq import DlqEntry, DlqEvent, DlqPage, DlqReason, DlqStats, DlqStatus, Staleness
from tasker.model.errors import NotFound
from tasker.model.states import TaskState
from tasker.store.asking import as_json, ask
from tasker.store.connection import Connection

_LIST = "list_dlq($1, $2, $3::text[], $4::text[], $5::text[], $6, $7::uuid[], $8::uuid[], $9, $10, $11)"


async def list_entries(
    connection: Connection,
    *,
    limit: int = 50,
    cursor: UUID | None = None,
    offset: int = 0,
    statuses: Sequence[DlqStatus] | None = None,
    reasons: Sequence[DlqReason] | None = None,
    namespaces: Sequence[str] | None = None,
    assigned_to: str | None = None,
    task_uuids: Sequence[UUID] | None = None,
    now: datetime | None = None,
    schema: str = sql.DEFAULT_SCHEMA,
) -> DlqPage:
    """A page of entries, newest first, at most `limit` (1 to 500). Raises InvalidInput for another limit."""
    said = [None if words is None else [str(word) for word in words] for words in (statuses, reasons)]
    arguments = (limit, cursor, *said, namespaces, assigned_to, task_uuids, None, False, offset, now)
    entries = tuple(_entry(row) for row in await ask(connection, _LIST, *arguments, schema=schema))
    return DlqPage(entries, None if len(entries) < limit else entries[-1].entry_uuid)


async def investigation_queue(
    connection: Connection,
    *,
    limit: int = 100,
    namespaces: Sequence[str] | None = None,
    now: datetime | None = None,
    schema: str = sql.DEFAULT_SCHEMA,
) -> list[DlqEntry]:
    """Pending entries, the most urgent first."""
    arguments = (limit, None, [DlqStatus.PENDING.value], None, namespaces, None, None, None, True, 0, now)
    return [_entry(row) for row in await ask(connection, _LIST, *arguments, schema=schema)]


async def read_entry(
    connection: Connection, entry_uuid: UUID, *, now: datetime | None = None, schema: str = sql.DEFAULT_SCHEMA
) -> tuple[DlqEntry, list[DlqEvent]]:
    """An entry with its history. Raises NotFound."""
    arguments = (1, None, None, None, None, None, None, [entry_uuid], False, 0, now)
    found = await ask(connection, _LIST, *arguments, schema=schema)
    if not found:
        raise NotFound(f"there is no entry {entry_uuid}: `tasker dlq list` shows those that there are")
    events = await ask(connection, "read_dlq_events($1::uuid[])", [entry_uuid], schema=schema)
    return _entry(found[0]), [_event(row) for row in events]


async def entry_of_task(
    connection: Connection, task_uuid: UUID, *, now: datetime | None = None, schema: str = sql.DEFAULT_SCHEMA
) -> DlqEntry | None:
    """The newest entry of a task; None where it has none."""
    page = await list_entries(connection, limit=1, task_uuids=[task_uuid], now=now, schema=schema)
    return page.entries[0] if page.entries else None


async def add_entry(
    connection: Connection,
    entry_uuid: UUID,
    task_uuid: UUID,
    *,
    actor: str,
    notes: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    schema: str = sql.DEFAULT_SCHEMA,
) -> UUID:
    """An entry made by hand; its id, or that of the task's pending one. Raises TaskNotFound."""
    call = "add_to_dlq($1, $2, $3, $4, $5::jsonb)"
    (row,) = await ask(connection, call, entry_uuid, task_uuid, actor, notes, as_json(metadata), schema=schema)
    return row[0]


async def update_entry(
    connection: Connection,
    entry_uuid: UUID,
    *,
    actor: str,
    status: DlqStatus | None = None,
    notes: str | None = None,
    assigned_to: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    schema: str = sql.DEFAULT_SCHEMA,
) -> None:
    """Notes what an investigation has come to; None leaves as it is, an empty `assigned_to` is nobody.

    Raises NotFound, ActionForbidden where another entry of the task is pending.
    """
    call = "update_dlq($1, $2, $3, $4, $5, $6::jsonb)"
    said = None if status is None else str(status)
    await ask(connection, call, entry_uuid, actor, said, notes, assigned_to, as_json(metadata), schema=schema)


async def requeue_entry(
    connection: Connection,
    entry_uuid: UUID,
    act_id: UUID,
    *,
    actor: str,
    reason: str | None = None,
    schema: str = sql.DEFAULT_SCHEMA,
) -> int:
    """Tries every failed step of the entry's task again and resolves the entry; how many steps. A repeat with the same
    `act_id` does nothing again. Raises NotFound, ActionForbidden where there is nothing to try."""
    (row,) = await ask(connection, "requeue_dlq($1, $2, $3, $4)", entry_uuid, act_id, actor, reason, schema=schema)
    return row[0]


async def dlq_stats(
    connection: Connection, *, namespaces: Sequence[str] | None = None, schema: str = sql.DEFAULT_SCHEMA
) -> list[DlqStats]:
    """How many entries there are for each reason, and what became of them."""
    found = await ask(connection, "dlq_stats($1::text[])", namespaces, schema=schema)
    return [DlqStats(reason=DlqReason(row["reason"]), **_rest(row, "reason")) for row in found]


async def list_stale(
    connection: Connection,
    *,
    limit: int = 100,
    namespaces: Sequence[str] | None = None,
    now: datetime | None = None,
    schema: str = sql.DEFAULT_SCHEMA,
) -> list[Staleness]:
    """Open tasks that have stood still for longest, measured by how long they may, among the thousand oldest."""
    found = await ask(connection, "list_stale($1, $2::text[], $3)", limit, namespaces, now, schema=schema)
    return [
        Staleness(task_uuid=row["task_id"], state=TaskState(row["state"]), **_rest(row, "task_id", "state"))
        for row in found
    ]


def _rest(row: Any, *but: str) -> dict[str, Any]:
    return {name: value for name, value in dict(row).items() if name not in but}


def _entry(row: Any) -> DlqEntry:
    known = _rest(row, "entry_id", "task_id")
    known["entry_uuid"], known["task_uuid"] = row["entry_id"], row["task_id"]
    known["reason"], known["status"] = DlqReason(row["reason"]), DlqStatus(row["status"])
    known["original_state"] = TaskState(row["original_state"])
    known["state"] = None if row["state"] is None else TaskState(row["state"])
    known["snapshot"], known["metadata"] = orjson.loads(row["snapshot"]), orjson.loads(row["metadata"])
    return DlqEntry(**known)


def _event(row: Any) -> DlqEvent:
    known = _rest(row, "entry_id", "detail")
    return DlqEvent(entry_uuid=row["entry_id"], detail=orjson.loads(row["detail"]), **known)
