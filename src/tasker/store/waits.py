"""What waiters ask: which of these tasks have ended."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from tasker import sql
from tasker.store.connection import Connection

_ENDED = """
select task_id, state::text from tasker_engine.tasks
where task_id = any ($1::uuid[]) and state in ('complete', 'error', 'cancelled', 'resolved_manually')
"""


async def ended_tasks(
    connection: Connection, task_ids: Sequence[UUID], schema: str = sql.DEFAULT_SCHEMA
) -> list[tuple[UUID, str]]:
    """The tasks among these that have ended, with their states."""
    rows = await connection.fetch(sql.in_schema(_ENDED, schema), task_ids)
    return [(row[0], row[1]) for row in rows]
