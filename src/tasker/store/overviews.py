"""A task as the API shows it, in one round trip: the task, its figures, and where asked what each step waits for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
