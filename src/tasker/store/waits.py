"""What waiters ask: which of these tasks have ended."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from tasker import sql
from tasker.store.connection import Connection

_ENDED = """
select w.task_id, coalesce(t.state::text, 'missing')
from unnest($1::uuid[]) as w(task_id)
left join tasker_engine.tasks t on t.task_id = w.task_id
where t.state is null or t.state in ('complete', 'error', 'cancelled', 'resolved_manually')
"""


async def ended_tasks(
    connection: Connection, task_ids: Sequence[UUID], schema: str = sql.DEFAULT_SCHEMA
) -> list[tuple[UUID, str]]:
    """The tasks among these that have ended, with their states; `missing` for those that do not exist."""
    rows = await connection.fetch(sql.in_schema(_ENDED, schema), task_ids)
    return [(row[0], row[1]) for row in rows]
