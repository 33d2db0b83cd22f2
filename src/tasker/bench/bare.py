"""The bare engine (`bare.sql`), driven by an executor that gives each step a task, a timeout and a context object."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from tasker.bench.shapes import Shape
from tasker.model.ids import uuid7
from tasker.store.connection import Connection, connect

SCHEMA: str = "tasker_bare"
BATCH_MAX = 200
IDLE_PAUSE_S = 0.002
_STEP_TIMEOUT_S = 30
_SUBMIT = "select tasker_bare.submit($1::uuid[], $2::jsonb[])"
_TURN = "select * from tasker_bare.turn($1, $2::uuid[], $3::int[], $4::int[], $5::jsonb[], $6)"
_PLANS = """
set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off;
set join_collapse_limit = 1; set from_collapse_limit = 1; set plan_cache_mode = auto
"""
_PLAN = "insert into tasker_bare.plans (number, name, parent_count, children, ancestors) values ($1, $2, $3, $4, $5)"


@dataclass(slots=True)
class Context:
    """What a handler of the bare engine gets."""

    task_id: UUID
    number: int
    attempt: int
    inputs: dict[str, Any]
    results: dict[str, Any]


@dataclass(slots=True)
class Outcomes:
    """Results on their way to the next turn, as columns."""

    task_ids: list[UUID]
    numbers: list[int]
    attempts: list[int]
    results: list[str]

    @classmethod
    def none(cls) -> Outcomes:
        """No results."""
        return cls([], [], [], [])


async def begin(context: Context) -> dict[str, int]:
    """The handler of steps without parents."""
    return {"total": context.inputs["n"]}


async def go_on(context: Context) -> dict[str, int]:
    """The handler of all others."""
    return {"parents": len(context.results)}


async def create(dsn: str, shape: Shape) -> None:
    """Makes the schema anew, for tasks of one shape."""
    connection = await _connect(dsn)
    await connection.execute((Path(__file__).parent / "bare.sql").read_text())
    numbers = {name: number for number, name in enumerate(shape.steps, 1)}
    for name, parents in shape.steps.items():
        children = [numbers[child] for child in shape.children(name)]
        ancestors = sorted(numbers[one] for one in shape.ancestors(name))
        await connection.execute(_PLAN, numbers[name], name, len(parents), children, ancestors)
    await connection.close()


@asynccontextmanager
async def submitting(dsn: str, shape: Shape) -> AsyncGenerator[Callable[[Sequence[dict[str, Any]]], Awaitable[None]]]:
    """The verb `submit`."""
    connection = await _connect(dsn)
    yield partial(_submit, connection)
    await connection.close()


@asynccontextmanager
async def alone(dsn: str, shape: Shape) -> AsyncGenerator[Callable[[dict[str, Any]], Awaitable[float]]]:
    """Submit, then turn after turn until the last step is recorded."""
    connection = await _connect(dsn)
    steps = len(shape.steps)

    async def run(context: dict[str, Any]) -> float:
        began = time.perf_counter()
        await _submit(connection, [context])
        outcomes, done = Outcomes.none(), 0
        while done < steps:
            grants = await _turn(connection, 1, outcomes)
            done += len(outcomes.task_ids)
            outcomes = await _execute_all(grants)
        return (time.perf_counter() - began) * 1e3

    yield run
    await connection.close()


async def work(dsn: str, shape: Shape, number: int, is_over: Callable[[], bool], count: Callable[[int], None]) -> None:
    """Turn after turn, until `is_over`."""
    connection = await _connect(dsn)
    outcomes = Outcomes.none()
    while not is_over():
        grants = await _turn(connection, number, outcomes)
        count(len(outcomes.task_ids))
        outcomes = await _execute_all(grants)
        if not grants:
            await asyncio.sleep(IDLE_PAUSE_S)
    await connection.close()


async def _connect(dsn: str) -> Connection:
    """A connection with one plan per verb: joins as written, by index."""
    connection = await connect(dsn, pinned=False)
    await connection.execute(_PLANS)
    return connection


async def _submit(connection: Connection, contexts: Sequence[dict[str, Any]]) -> None:
    texts = [orjson.dumps(context).decode() for context in contexts]
    await connection.execute(_SUBMIT, [uuid7() for _ in texts], texts)


async def _turn(connection: Connection, worker: int, outcomes: Outcomes) -> list[Any]:
    columns = (outcomes.task_ids, outcomes.numbers, outcomes.attempts, outcomes.results)
    return await connection.fetch(_TURN, worker, *columns, BATCH_MAX)


async def _execute_all(grants: Sequence[Any]) -> Outcomes:
    outcomes = Outcomes.none()
    if grants:
        await asyncio.gather(*[asyncio.create_task(_execute(grant, outcomes)) for grant in grants])
    return outcomes


async def _execute(grant: Any, outcomes: Outcomes) -> None:
    task_id, number, attempt, _, context, results = grant
    made = Context(task_id, number, attempt, orjson.loads(context), orjson.loads(results) if results else {})
    handler: Callable[[Context], Awaitable[dict[str, int]]] = go_on if results else begin
    async with asyncio.timeout(_STEP_TIMEOUT_S):
        result = await handler(made)
    outcomes.task_ids.append(task_id)
    outcomes.numbers.append(number)
    outcomes.attempts.append(attempt)
    outcomes.results.append(orjson.dumps(result).decode())
