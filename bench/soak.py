"""Do memory and throughput stay flat? Two worker processes under full load for as long as you like.

    python bench/soak.py [--minutes 30] [--json] [--database-url DSN]

A client keeps some thousand chains waiting, so that the workers are never idle. The table has a row for each tenth of
the time: throughput, and what the worker processes hold in memory. The figures compare the second tenth, when all is
warm, with the last. It takes the minutes that you give, on Linux, and up to 5 GB of disk for ten minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from script import Rows, parser, resident_bytes, run, worker_pids, working

from tasker.bench import product
from tasker.bench.plan import Told
from tasker.bench.saturated import SUBMIT_BATCH, Fleet, context
from tasker.bench.shapes import SHAPES

CHAIN = SHAPES["chain"]
PARTS = 10
WAITING_MIN = 4000
_LOOK_S = 0.05
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """One tenth of the time."""

    at_s: float
    steps_per_second: float
    resident: tuple[int, ...]
    """Bytes of each worker process, at the end of this part."""


async def measure(dsn: str, options: argparse.Namespace, told: Told) -> tuple[Rows, Mapping[str, Any]]:
    """Keeps the workers busy and notes what they hold."""
    part_s = options.minutes * 60 / PARTS
    parts: list[Part] = []
    async with working(dsn, CHAIN) as fleet, product.submitting(dsn, CHAIN) as submit:
        submitted = 0
        began = time.perf_counter()
        for number in range(1, PARTS + 1):
            steps, since = fleet.steps, time.perf_counter()
            while (now := time.perf_counter()) < began + number * part_s:
                told("working", (now - began) / (PARTS * part_s))
                fleet.check()
                if waiting(fleet, submitted) < WAITING_MIN:
                    await submit([context(n) for n in range(SUBMIT_BATCH)])
                    submitted += SUBMIT_BATCH
                else:
                    await asyncio.sleep(_LOOK_S)
            resident = tuple(resident_bytes(pid) for pid in worker_pids())
            parts.append(Part(now - began, (fleet.steps - steps) / (now - since), resident))
    return report(parts, submitted)


def waiting(fleet: Fleet, submitted: int) -> int:
    """How many tasks are not complete."""
    return submitted - fleet.steps // len(CHAIN.steps)


def report(parts: list[Part], submitted: int) -> tuple[Rows, Mapping[str, Any]]:
    """The table and the figures."""
    rows = [["", "steps a second", "MB of each worker"]]
    for part in parts:
        held = " ".join(f"{one / _MB:.1f}" for one in part.resident)
        rows.append([f"{part.at_s / 60:.1f} min", f"{part.steps_per_second:,.0f}", held])
    warm, last = parts[1], parts[-1]
    growth = max(after / before for before, after in zip(warm.resident, last.resident, strict=True))
    rate = last.steps_per_second / warm.steps_per_second
    rows.append(["the last to the second", f"{rate:.2f}", f"{growth:.2f}"])
    return rows, {
        "minutes": round(last.at_s / 60, 2),
        "tasks": submitted,
        "throughput_ratio": round(rate, 3),
        "memory_ratio": round(growth, 3),
        "parts": [
            {"at_s": round(part.at_s, 1), "steps_per_second": round(part.steps_per_second, 1), "bytes": part.resident}
            for part in parts
        ],
    }


if __name__ == "__main__":
    line = parser(__doc__)
    line.add_argument("--minutes", type=float, default=30)
    sys.exit(run(line.parse_args(), measure))
