"""The order of measurements: each engine in turn, so that what disturbs the machine disturbs both."""

from __future__ import annotations

from collections.abc import Callable

from tasker.bench import lone, saturated
from tasker.bench.engine import ENGINES
from tasker.bench.figures import Measured, Report
from tasker.bench.shapes import SHAPES, Shape
from tasker.store.connection import connect

_SLICES = 4
_WARM_UP_S = 0.5
_WARM_UP_SHARE = 0.8
_MARGIN = 1.03
_GUESS_STEPS_PER_S = 10_000
_TASKS_MIN = 20
_BATCH = saturated.SUBMIT_BATCH

Told = Callable[[str, float], None]
"""Hears what is measured, and what share of the whole is done."""


async def measure(shape_name: str, dsn: str, *, seconds: float, rounds: int, processes: int, told: Told) -> Report:
    """Warms up, then measures throughput in `rounds` rounds and latency in slices, each engine in turn.

    Each run takes about `seconds`; it may take longer where the machine is slower than it was in the warm-up.
    """
    shape = SHAPES[shape_name]
    lone_shapes = {"tasker": shape, "bare": SHAPES["chain"]}
    found = {name: Measured(lone.Latencies(len(lone_shapes[name].steps))) for name in ENGINES}
    stages = _Stages(told, len(ENGINES) * (1 + rounds) + 1)
    rates = {name: await _warm_up(name, dsn, shape, processes, stages) for name in ENGINES}
    for number in range(1, rounds + 1):
        for name in ENGINES:
            tasks = _tasks_for(shape, rates[name] * seconds * _MARGIN)
            progress = stages.next(f"{name}: throughput, run {number} of {rounds}, {tasks:,} tasks")
            run = await saturated.measure(name, dsn, shape, tasks=tasks, processes=processes, told=progress)
            rates[name] = run.steps_per_second
            found[name].runs.append(run)
    progress = stages.next("latency, one task at a time")
    for name in ENGINES:
        await ENGINES[name].create(dsn, lone_shapes[name])
    for number in range(_SLICES):
        for place, name in enumerate(ENGINES):
            latencies = found[name].latencies
            await lone.measure(name, dsn, lone_shapes[name], seconds=seconds / _SLICES, into=latencies)
            progress((number + (place + 1) / len(ENGINES)) / _SLICES)
    return Report(shape, processes, await _version(dsn), found["tasker"], found["bare"])


async def remove(dsn: str) -> None:
    """Drops what the benchmark made in the database."""
    connection = await connect(dsn, pinned=False)
    for engine in ENGINES.values():
        await connection.execute(f"drop schema if exists {engine.SCHEMA} cascade")
    await connection.close()


async def _warm_up(name: str, dsn: str, shape: Shape, processes: int, stages: _Stages) -> float:
    """What to expect of a longer run; a short one, which also fills the server's caches, is faster."""
    tasks = _tasks_for(shape, _GUESS_STEPS_PER_S * _WARM_UP_S)
    progress = stages.next(f"{name}: warming up")
    run = await saturated.measure(name, dsn, shape, tasks=tasks, processes=processes, told=progress)
    return run.steps_per_second * _WARM_UP_SHARE


def _tasks_for(shape: Shape, steps: float) -> int:
    """About so many steps, in whole batches if there are several."""
    tasks = steps / len(shape.steps)
    return max(_TASKS_MIN, round(tasks / _BATCH) * _BATCH if tasks > _BATCH else round(tasks))


async def _version(dsn: str) -> str:
    connection = await connect(dsn, pinned=False)
    try:
        return str(await connection.fetchval("show server_version")).split()[0]
    finally:
        await connection.close()


class _Stages:
    """Turns the share of a stage that is done into a share of the whole."""

    def __init__(self, told: Told, count: int) -> None:
        self._told = told
        self._count = count
        self._at = -1

    def next(self, title: str) -> Callable[[float], None]:
        """Begins the next stage; what hears its share."""
        self._at += 1
        at = self._at
        self._told(title, at / self._count)
        return lambda share: self._told(title, (at + share) / self._count)
