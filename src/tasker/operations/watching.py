"""Watching: a stream of what changes, for one task and its steps, or for all tasks.

A stream says where things stand, not every move: what moves twice between two looks is told once. Each update carries a
cursor; who comes back with it is told all that has changed since, and now and then something again. Looks overlap,
because moves become visible a little after the time that they carry.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from pydantic import Field

from tasker.model.errors import DatabaseUnavailable, InvalidInput
from tasker.model.ids import step_uuid
from tasker.model.states import TERMINAL_TASK_STATES
from tasker.operations.fields import Name, TaskUuid
from tasker.operations.registry import Access, Answer, Given, Scope, operation
from tasker.store.connection import Connection
from tasker.store.moves import LastMove, clock, moves_of_task, moves_of_tasks
from tasker.store.overviews import task_overview

LOOK_FIRST_S, LOOK_MAX_S = 0.1, 1.0
OVERLAP = timedelta(seconds=1)
MOVES_MAX = 5_000
AWAY_LOOKS_MAX = 120
"""So often the database may be away, one look after the other, before a stream gives up."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Cursor = Field(None, max_length=20, pattern=r"^\d{1,17}$", description="Of the last update that was seen.")


class StepUpdate(Answer):
    """Where a step stands."""

    step_uuid: UUID
    name: str
    state: str
    attempt: int | None


class Update(Answer):
    """Something that has changed. The first one of a stream, `ready`, only says that it has begun."""

    update_type: Literal["ready", "task_state", "step_state"]
    timestamp: datetime
    task_uuid: UUID | None
    namespace: str | None
    name: str | None = Field(description="The template's.")
    task_state: str | None
    step: StepUpdate | None
    error_message: str | None
    is_last: bool = Field(description="The task has ended, and the stream with it.")
    cursor: str


class WatchTask(Given):
    """A task to be watched until it has ended."""

    task_uuid: TaskUuid
    cursor: str | None = Cursor


class WatchTasks(Given):
    """All tasks that the caller may see."""

    namespace: Name | None = None
    cursor: str | None = Cursor


Look = Callable[[Connection, datetime], Awaitable[list[LastMove]]]


@operation("tasks:read", Scope.TASK)
async def watch_task(access: Access, given: WatchTask) -> AsyncIterator[Update]:
    """Watch a task and its steps until it has ended: where each stands, then what changes"""
    engine, schema = access.engine, access.engine.settings.schema_name

    async def look(connection: Connection, after: datetime) -> list[LastMove]:
        moves = await moves_of_task(connection, given.task_uuid, after, schema)
        if has_ended and not any(move.number == 0 for move in moves):
            every = await moves_of_task(connection, given.task_uuid, _EPOCH, schema)
            moves += [move for move in every if move.number == 0]
        return moves

    found = await engine.ask(lambda on: task_overview(on, given.task_uuid, with_steps=False, schema=schema))
    has_ended = found.task.status.is_terminal
    after = _position(given.cursor) or _EPOCH
    yield _ready(after)
    async for update in _updates(access, look, after):
        yield update
        if update.is_last:
            return


@operation("tasks:list", Scope.ACROSS)
async def watch_tasks(access: Access, given: WatchTasks) -> AsyncIterator[Update]:
    """Watch all tasks from now on, or from a cursor on: where each task that moves stands"""
    engine, namespaces = access.engine, access.confined_to(given.namespace)

    async def look(connection: Connection, after: datetime) -> list[LastMove]:
        return await moves_of_tasks(
            connection, after, namespaces=namespaces, limit=MOVES_MAX, schema=engine.settings.schema_name
        )

    after = _position(given.cursor) or await engine.ask(clock)
    yield _ready(after)
    async for update in _updates(access, look, after):
        yield update.model_copy(update={"is_last": False})


async def _updates(access: Access, look: Look, after: datetime) -> AsyncIterator[Update]:
    """Looks again and again; quickly while something moves, else ever more slowly."""
    seen: dict[tuple[UUID, int], int] = {}
    newest, wait_s, away = after, 0.0, 0
    since = after if after == _EPOCH else after - OVERLAP
    while away < AWAY_LOOKS_MAX:
        await asyncio.sleep(wait_s)
        wait_s = min(max(wait_s * 1.5, LOOK_FIRST_S), LOOK_MAX_S)
        try:
            found = await access.engine.ask(lambda connection, since=since: look(connection, since))
            away = 0
        except DatabaseUnavailable:
            away, wait_s = away + 1, LOOK_MAX_S
            continue
        fresh = [move for move in found if seen.get((move.task_id, move.number), -1) < move.seq]
        for move in _task_last(fresh):
            newest, wait_s = max(newest, move.at), LOOK_FIRST_S
            yield _update(move, newest)
        is_full = len(found) >= MOVES_MAX // 2
        since = max(since, newest if is_full else newest - OVERLAP)
        seen = {(move.task_id, move.number): move.seq for move in found}


def _task_last(moves: list[LastMove]) -> list[LastMove]:
    """The moves with those of tasks behind those of their steps: the end of a task ends its stream."""
    return sorted(moves, key=lambda move: (move.number == 0, move.at))


def _ready(after: datetime) -> Update:
    return Update(
        update_type="ready",
        timestamp=datetime.now(UTC),
        task_uuid=None,
        namespace=None,
        name=None,
        task_state=None,
        step=None,
        error_message=None,
        is_last=False,
        cursor=_cursor(after),
    )


def _update(move: LastMove, newest: datetime) -> Update:
    is_task = move.number == 0
    step = StepUpdate(
        step_uuid=step_uuid(move.task_id, move.number), name=move.name or "", state=move.to_state, attempt=move.attempt
    )
    return Update(
        update_type="task_state" if is_task else "step_state",
        timestamp=move.at,
        task_uuid=move.task_id,
        namespace=move.namespace,
        name=move.template,
        task_state=move.to_state if is_task else None,
        step=None if is_task else step,
        error_message=move.message,
        is_last=is_task and move.to_state in TERMINAL_TASK_STATES,
        cursor=_cursor(newest),
    )


def _cursor(at: datetime) -> str:
    return str((at - _EPOCH) // timedelta(microseconds=1))


def _position(cursor: str | None) -> datetime | None:
    """Raises InvalidInput."""
    if cursor is None:
        return None
    try:
        return _EPOCH + timedelta(microseconds=int(cursor))
    except OverflowError as error:
        raise InvalidInput("cursor: this is none of a stream's; pass on that of the last update") from error
