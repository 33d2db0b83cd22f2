"""What waiters ask: which of these tasks have ended, and what they have become."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from tasker import sql
from tasker.store.connection import Connection

EndedTask = tuple[UUID, str, tuple[str, str] | None]
"""A task, its state, and JSON of it and of its steps; `missing` and None where there is no such task."""

_ENDED = """
with wanted as (
  select w.task_id, t.state, t.state in ('complete', 'error', 'cancelled', 'resolved_manually') as has_ended
  from unnest($1::uuid[]) as w(task_id) left join tasker_engine.tasks t on t.task_id = w.task_id)
select w.task_id, coalesce(w.state::text, 'missing'), v.task::text, v.steps::text
from wanted w left join lateral (select * from tasker_engine.task_views(array[w.task_id]) where w.has_ended) v on true
where w.has_ended is not false
"""


async def ended_tasks(
    connection: Connection, task_ids: Sequence[UUID], schema: str = sql.DEFAULT_SCHEMA
) -> list[EndedTask]:
    """The tasks among these that have ended."""
    rows = await connection.fetch(sql.in_schema(_ENDED, schema), task_ids)
    return [(row[0], row[1], None if row[2] is None else (row[2], row[3])) for row in rows]
