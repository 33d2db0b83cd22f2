"""Latency: one task at a time, with nothing else to do."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tasker.bench.costs import Costs, read_costs, statements_sent, until_alone
from tasker.bench.engine import ENGINES
from tasker.bench.saturated import context
from tasker.bench.shapes import Shape
from tasker.store.connection import connect

_WARM_UP = 10


@dataclass(slots=True)
class Latencies:
    """Milliseconds of each task, and what all of them cost."""

    steps_per_task: int
    ms: list[float] = field(default_factory=list[float])
    costs: Costs = field(default_factory=Costs)

    @property
    def steps(self) -> int:
        """How many steps ran."""
        return len(self.ms) * self.steps_per_task

    def percentile(self, share: float) -> float:
        """Milliseconds within which this share of the tasks was complete."""
        ordered = sorted(self.ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def measure(name: str, dsn: str, shape: Shape, *, seconds: float, into: Latencies) -> None:
    """Runs tasks of an engine that was created before, one after the other, for some seconds."""
    sent = statements_sent()
    connection = await connect(dsn, pinned=False)
    try:
        async with ENGINES[name].alone(dsn, shape) as run:
            for n in range(_WARM_UP):
                await run(context(n))
            before = await read_costs(connection, sent.total)
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                into.ms.append(await run(context(len(into.ms))))
            statements = sent.total
        await until_alone(connection)
        into.costs += await read_costs(connection, statements) - before
    finally:
        await connection.close()
