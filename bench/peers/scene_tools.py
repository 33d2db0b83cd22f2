"""What the scenes share: warming up, counting, and the figures of a list of times. Standard library only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphs import graph
from ledger import Ledger
from stage import Peer, Plan, hear, say

PATIENCE_S = 60.0
_WARM_TASKS, _WARM_STEPS = 8, 100
_LOOK_S = 0.02


@dataclass(slots=True)
class Measured:
    """Tasks submitted since the scene began, after `already` that were complete before."""

    plan: Plan
    already: int
    first_entry: int
    submitted: int = 0

    def next(self) -> int:
        """The number of another task."""
        self.submitted += 1
        return self.already + self.submitted - 1


async def warm_up(peer: Peer, plan: Plan) -> Measured:
    """Runs a few tasks through, says `ready`, and returns at `go`."""
    return await ready(plan, await run_some(peer, plan))


async def run_some(peer: Peer, plan: Plan) -> int:
    """Runs a few tasks through; how many."""
    tasks = max(2, min(_WARM_TASKS, _WARM_STEPS // len(graph(plan.shape))))
    for number in range(tasks):
        [handle] = await peer.submit([number])
        await peer.wait(handle)
    return tasks


async def ready(plan: Plan, already: int) -> Measured:
    """Says `ready`, and returns at `go`."""
    say({"ready": True})
    await hear("go")
    return Measured(plan, already, Ledger(plan.ledger).size())


async def until_finished(peer: Peer, run: Measured, wanted: int | None = None) -> None:
    """Returns when the peer's own store has all tasks as complete, or as many as wanted. Raises after a minute in which
    nothing moved."""
    wanted, seen, moved_at = wanted or run.already + run.submitted, -1, time.monotonic()
    while (now := await peer.finished()) < wanted:
        if now != seen:
            seen, moved_at = now, time.monotonic()
        if time.monotonic() > moved_at + PATIENCE_S:
            raise RuntimeError(f"{now} of {wanted} tasks are complete, and nothing has moved for {PATIENCE_S:.0f} s")
        await asyncio.sleep(_LOOK_S)


def percentiles(ms: Sequence[float]) -> dict[str, float]:
    """Milliseconds within which half, 95 % and 99 % were."""
    ordered = sorted(ms)
    shares = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
    return {name: ordered[min(len(ordered) - 1, int(len(ordered) * share))] for name, share in shares.items()}


def finish(run: Measured, figures: Mapping[str, Any]) -> None:
    """Says what was found, with how much work it was."""
    steps = run.submitted * len(graph(run.plan.shape))
    say({"figures": {**figures, "tasks": run.submitted, "steps": steps}})
