"""What watchers are told: the last moves of tasks and steps after a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tasker import sql
from tasker.store.connection import Connection
from tasker.store.errors import translating


@dataclass(frozen=True, slots=True)
class LastMove:
    """The last move of a step, or of a task (`number` 0, `name` None), after some time."""

    task_id: UUID
    namespace: str
    template: str
    number: int
    name: str | None
    seq: int
    to_state: str
    attempt: int | None
    at: datetime
    message: str | None
    """What went wrong, where it did."""


async def moves_of_task(
    connection: Connection, task_uuid: UUID, after: datetime, schema: str = sql.DEFAULT_SCHEMA
) -> list[LastMove]:
    """Of a task and each of its steps, the last move after that time, oldest first."""
    query = sql.in_schema("select * from tasker_engine.read_moves($1, $2)", schema)
    with translating():
        return [LastMove(*row) for row in await connection.fetch(query, task_uuid, after)]


async def moves_of_tasks(
    connection: Connection,
    after: datetime,
    *,
    namespaces: Sequence[str] | None,
    limit: int,
    schema: str = sql.DEFAULT_SCHEMA,
) -> list[LastMove]:
    """Of each task that moved after that time, its last move, oldest first; of at most the oldest `limit` moves."""
    query = sql.in_schema("select * from tasker_engine.read_task_moves($1, $2::text[], $3)", schema)
    with translating():
        return [LastMove(*row) for row in await connection.fetch(query, after, namespaces, limit)]


async def clock(connection: Connection) -> datetime:
    """The time of the database."""
    return await connection.fetchval("select clock_timestamp()")
