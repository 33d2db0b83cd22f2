"""Throughput: a backlog of tasks, and worker processes that are let loose on it together."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.context import SpawnProcess
from typing import Any, Protocol

import uvloop

from tasker.bench.costs import Costs, read_costs, until_alone
from tasker.bench.engine import ENGINES, Engine
from tasker.bench.shapes import SHAPES, Shape
from tasker.model.errors import TaskerError
from tasker.store.connection import Connection, connect
from tasker.store.statements import count_statements
from tasker.worker.garbage import collect_less

SUBMIT_BATCH = 500
_LOOK_S = 0.05
_READY_S = 60
_STALLED_S = 30
_spawn = multiprocessing.get_context("spawn")


class _Event(Protocol):
    def set(self) -> None: ...
    def is_set(self) -> bool: ...
    def wait(self, timeout: float | None = None) -> bool: ...


@dataclass(frozen=True, slots=True)
class Saturated:
    """One run. `seconds` are the database's, from the moment the workers were let loose to the last task's end."""

    tasks: int
    steps: int
    seconds: float
    submit_seconds: float
    costs: Costs

    @property
    def steps_per_second(self) -> float:
        """Throughput."""
        return self.steps / self.seconds

    @property
    def submit_per_second(self) -> float:
        """Tasks created, 500 a call, by one client."""
        return self.tasks / self.submit_seconds


async def measure(
    name: str,
    dsn: str,
    shape: Shape,
    *,
    tasks: int,
    processes: int,
    told: Callable[[float], None] = lambda share: None,
    is_new: bool = True,
) -> Saturated:
    """Runs `tasks` tasks on one engine, in a new schema unless that is to be kept. `told` hears what share is done."""
    engine = ENGINES[name]
    connection = await connect(dsn, pinned=False)
    try:
        with Fleet(name, dsn, shape, processes) as fleet:
            if is_new:
                await engine.create(dsn, shape)
            fleet.wait_until_ready()
            submit_seconds = await fill(engine, dsn, shape, tasks)
            await _checkpoint(connection)
            await until_alone(connection)
            before = await read_costs(connection)
            began_at = await connection.fetchval("select clock_timestamp()")
            fleet.let_loose()
            ended_at = await _until_complete(connection, engine, fleet, tasks * len(shape.steps), told)
        await until_alone(connection)
        costs = await read_costs(connection, fleet.statements) - before
    finally:
        await connection.close()
    seconds = (ended_at - began_at).total_seconds()
    return Saturated(tasks, tasks * len(shape.steps), seconds, submit_seconds, costs)


async def fill(engine: Engine, dsn: str, shape: Shape, tasks: int) -> float:
    """Submits tasks, 500 a call; how many seconds it took."""
    async with engine.submitting(dsn, shape) as submit:
        began = time.perf_counter()
        for first in range(0, tasks, SUBMIT_BATCH):
            await submit([context(n) for n in range(first, min(first + SUBMIT_BATCH, tasks))])
        return time.perf_counter() - began


def context(n: int) -> dict[str, Any]:
    """What a task of the benchmark is submitted with."""
    return {"n": n, "customer": "abc", "items": [1, 2, 3]}


async def _checkpoint(connection: Connection) -> None:
    """Lets every run begin with the same distance to the next checkpoint, where that is allowed."""
    may = await connection.fetchval(
        "select pg_has_role('pg_checkpoint', 'usage') from pg_roles where rolname = 'pg_checkpoint'"
    )
    if may:
        await connection.execute("checkpoint")


async def _until_complete(
    connection: Connection, engine: Engine, fleet: Fleet, steps: int, told: Callable[[float], None]
) -> datetime:
    """When the last task ended, by the database's clock. Raises TaskerError when nothing moves for half a minute."""
    reported, moved_at = 0, time.monotonic()
    query = f"select count(*) filter (where finished_at is null), max(finished_at) from {engine.SCHEMA}.tasks"  # noqa: S608
    while True:
        await asyncio.sleep(_LOOK_S)
        fleet.check()
        told(min(1.0, fleet.steps / steps))
        if fleet.steps >= steps:
            unfinished, last_at = await connection.fetchrow(query)
            if not unfinished:
                return last_at
        if fleet.steps > reported:
            reported, moved_at = fleet.steps, time.monotonic()
        elif time.monotonic() - moved_at > _STALLED_S:
            raise TaskerError(
                f"nothing has moved for {_STALLED_S} s, after {reported} of {steps} steps: see the workers' log above"
            )


class Fleet:
    """Worker processes that begin together. Entering it starts them, leaving it stops them."""

    def __init__(self, name: str, dsn: str, shape: Shape, processes: int) -> None:
        self._gate, self._over = _spawn.Event(), _spawn.Event()
        self._ready = _spawn.Semaphore(0)
        self._unready = processes
        self._counts = _spawn.Array("q", processes * 2, lock=False)
        self._processes: Sequence[SpawnProcess] = [
            _spawn.Process(
                target=_process,
                args=(name, dsn, shape.name, number, self._ready, self._gate, self._over, self._counts),
                name=f"tasker bench {number}",
                daemon=True,
            )
            for number in range(1, processes + 1)
        ]

    def __enter__(self) -> Fleet:
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._gate.set()
        for process in self._processes:
            process.join(10)
            process.kill()

    def wait_until_ready(self) -> None:
        """Returns when every process has imported what it needs."""
        while self._unready:
            if not self._ready.acquire(timeout=_READY_S):
                raise TaskerError("a worker process of the benchmark did not start within a minute")
            self._unready -= 1

    def let_loose(self) -> None:
        """All together, as soon as the last is ready."""
        self.wait_until_ready()
        self._gate.set()

    def check(self) -> None:
        """Raises TaskerError where a worker has died."""
        for process in self._processes:
            if process.exitcode is not None:
                raise TaskerError(f"{process.name} ended in the middle of a run, with exit code {process.exitcode}")

    @property
    def steps(self) -> int:
        """Steps reported until now."""
        return sum(self._counts[::2])

    @property
    def statements(self) -> int:
        """Statements sent until now."""
        return sum(self._counts[1::2])


def _process(name: str, dsn: str, shape: str, number: int, ready: Any, gate: _Event, over: _Event, counts: Any) -> None:
    """One worker process: everything is imported and waits for the gate."""
    parent = os.getppid()
    place = (number - 1) * 2

    def is_over() -> bool:
        return over.is_set() or os.getppid() != parent

    def count(steps: int) -> None:
        counts[place] += steps

    def sent() -> None:
        counts[place + 1] += 1

    count_statements(sent)
    collect_less()
    ready.release()
    while not gate.wait(timeout=1):
        if is_over():
            return
    if not is_over():
        uvloop.run(ENGINES[name].work(dsn, SHAPES[shape], number, is_over, count))
