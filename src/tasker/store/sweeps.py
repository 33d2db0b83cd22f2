"""What a server wants to know of the engine as a whole: when it was swept last, and how much lies ready."""

from __future__ import annotations

from tasker import sql
from tasker.store.connection import Connection
from tasker.store.errors import translating

_LATE = "select date_part('epoch', clock_timestamp() - max(swept_at)) from tasker_engine.sweeps"
_READY = "select count(*)::int from (select from tasker_engine.ready limit $1) r"


async def seconds_since_sweep(connection: Connection, schema: str = sql.DEFAULT_SCHEMA) -> float | None:
    """How long ago the engine was swept; decades where it never was."""
    with translating():
        return await connection.fetchval(sql.in_schema(_LATE, schema))


async def count_ready(connection: Connection, count_max: int, schema: str = sql.DEFAULT_SCHEMA) -> int:
    """How many steps wait for a worker; `count_max` means that many or more."""
    with translating():
        return await connection.fetchval(sql.in_schema(_READY, schema), count_max)
