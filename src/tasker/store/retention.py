"""Retention: deleting what has ended long ago, a little at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from tasker import sql
from tasker.store.connection import Connection
from tasker.store.errors import translating

_PRUNE_TASKS = (
    "select pruned, last_at, last_id from tasker_engine.prune_tasks("
    "$1::timestamptz, coalesce($2::timestamptz, '-infinity'), $3::uuid, $4::int)"
)
_PRUNE_OTHERS = "select tasker_engine.prune_others($1::timestamptz, $2::int, clock_timestamp())"
_COUNT = "select tasker_engine.count_prunable($1::timestamptz, $2::int)"
_STEPS_MOST = 2000
COUNT_MAX = 1_000_000


async def prune_all(
    connection: Connection,
    before: datetime,
    schema: str = sql.DEFAULT_SCHEMA,
    on_round: Callable[[int], None] = lambda _: None,
) -> int:
    """Deletes all tasks that ended before, and what else is older; how many tasks went. It can be cut at any moment:
    a transaction is for some hundred tasks. `on_round` is told the count so far."""
    after_at: datetime | None = None
    after_id, count = UUID(int=0), 0
    with translating():
        while True:
            row = await connection.fetchrow(
                sql.in_schema(_PRUNE_TASKS, schema), before, after_at, after_id, _STEPS_MOST
            )
            count += row["pruned"]
            on_round(count)
            if row["last_at"] is None:
                break
            after_at, after_id = row["last_at"], row["last_id"]
        while await connection.fetchval(sql.in_schema(_PRUNE_OTHERS, schema), before, _STEPS_MOST) >= _STEPS_MOST:
            on_round(count)
    return count


async def count_prunable(connection: Connection, before: datetime, most: int, schema: str = sql.DEFAULT_SCHEMA) -> int:
    """How many tasks ended before; `most` means that many or more."""
    with translating():
        return await connection.fetchval(sql.in_schema(_COUNT, schema), before, most)
