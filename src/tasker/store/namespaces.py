"""Where tasks are at home, for callers who may see some namespaces only."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from tasker import sql
from tasker.store.connection import Connection
from tasker.store.errors import translating

_NAMESPACES = """
select t.task_id, n.name
from unnest($1::uuid[]) as asked(task_id)
join tasker_engine.tasks t on t.task_id = asked.task_id
join tasker_engine.templates p on p.template_id = t.template_id
join tasker_engine.namespaces n on n.namespace_id = p.namespace_id
"""


async def namespaces_of_tasks(
    connection: Connection, task_uuids: Sequence[UUID], schema: str = sql.DEFAULT_SCHEMA
) -> dict[UUID, str]:
    """The namespace of each of these tasks that exists."""
    with translating():
        rows = await connection.fetch(sql.in_schema(_NAMESPACES, schema), task_uuids)
    return {row[0]: row[1] for row in rows}
