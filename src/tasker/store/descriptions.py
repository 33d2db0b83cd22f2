"""What published templates say about themselves."""

from __future__ import annotations

from collections.abc import Sequence

from tasker import sql
from tasker.store.connection import Connection
from tasker.store.errors import translating

_DESCRIPTIONS = """
select t.template_id, t.definition ->> 'description' from tasker_engine.templates t
where t.template_id = any ($1::int[]) and t.definition ->> 'description' is not null
"""


async def descriptions(
    connection: Connection, template_ids: Sequence[int], schema: str = sql.DEFAULT_SCHEMA
) -> dict[int, str]:
    """The description of each of these templates that has one."""
    with translating():
        rows = await connection.fetch(sql.in_schema(_DESCRIPTIONS, schema), template_ids)
    return {row[0]: row[1] for row in rows}
