"""Tasks as the API shows them, in one round trip: one with its figures and what each step waits for, and lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from tasker import sql
from tasker.model.task import ExecutionContext, Readiness, TaskInfo
from tasker.store import reads_rows as rows
from tasker.store.connection import Connection
from tasker.store.errors import translating
from tasker.store.reads import task_not_found

_OVERVIEW = """
select
  (select row_to_json(t) from tasker_engine.read_tasks($1::uuid[]) t),
  (select row_to_json(c) from tasker_engine.read_contexts($1::uuid[]) c),
  (select json_agg(r) from tasker_engine.read_readiness(case when $2 then $1::uuid[] else '{}' end) r)
"""


_FOUND = "select tasker_engine.find_task_ids($1, $2, $3::text[], $4::text[], $5, $6, $7, $8, $9, $10, $11, $12)"
_LISTED = """
select row_to_json(t), row_to_json(c)
from unnest($1::uuid[]) with ordinality as asked(task_id, place)
join (
  select task_id, namespace, name, version, state, is_paused, priority, initiator, source_system, reason, tags,
    correlation_id, parent_correlation_id, idempotency_key, step_count, open, live, due, failed, created_at, start_at,
    started_at, finished_at, paused_at
  from tasker_engine.read_tasks($1::uuid[])) t using (task_id)
join tasker_engine.read_contexts($1::uuid[]) c using (task_id)
order by asked.place
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskQuery:
    """Which tasks a list shows; None filters nothing. `states` and `namespaces` are joined by or, all else by and."""

    states: Sequence[str] | None = None
    namespaces: Sequence[str] | None = None
    name: str | None = None
    version: str | None = None
    tag: str | None = None
    correlation_id: UUID | None = None
    initiator: str | None = None
    source_system: str | None = None
    created_from: datetime | None = None
    created_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class TaskOverview:
    """A task with its figures; `steps` is empty where they were not asked for."""

    task: TaskInfo
    figures: ExecutionContext
    steps: Sequence[Readiness]


async def task_overview(
    connection: Connection, task_uuid: UUID, *, with_steps: bool = True, schema: str = sql.DEFAULT_SCHEMA
) -> TaskOverview:
    """The task as it is now. Raises TaskNotFound."""
    with translating():
        row = await connection.fetchrow(sql.in_schema(_OVERVIEW, schema), [task_uuid], with_steps)
    if row[0] is None:
        raise task_not_found(task_uuid)
    task = orjson.loads(row[0])
    return TaskOverview(
        rows.task_info(task, task["context"]),
        rows.execution_context(orjson.loads(row[1])),
        [rows.readiness(one) for one in orjson.loads(row[2] or "[]")],
    )


async def find_task_ids(
    connection: Connection,
    which: TaskQuery,
    *,
    limit: int,
    before: UUID | None = None,
    schema: str = sql.DEFAULT_SCHEMA,
) -> list[UUID]:
    """The ids of tasks, newest first, from below `before` on, at most `limit`."""
    with translating():
        return await connection.fetchval(
            sql.in_schema(_FOUND, schema),
            limit,
            before,
            which.states,
            which.namespaces,
            which.name,
            which.version,
            which.tag,
            which.correlation_id,
            which.initiator,
            which.source_system,
            which.created_from,
            which.created_until,
        )


async def task_overviews(
    connection: Connection, task_uuids: Sequence[UUID], schema: str = sql.DEFAULT_SCHEMA
) -> list[TaskOverview]:
    """Tasks with their figures, without contexts and steps, in the order asked."""
    with translating():
        found = await connection.fetch(sql.in_schema(_LISTED, schema), task_uuids)
    return [_listed(orjson.loads(row[0]), orjson.loads(row[1])) for row in found]


def _listed(task: dict[str, Any], figures: dict[str, Any]) -> TaskOverview:
    return TaskOverview(rows.task_info(task), rows.execution_context(figures), [])
