"""Does work get dearer as it grows? Measures a database right after a million steps beside an empty one, in turn.

    python bench/growth.py [--steps 1000000] [--rounds 3] [--seconds 5] [--database-url DSN]

Two databases on one server: in one a backlog of chains is worked off in one go, then both are measured A B A B, and the
medians compared. Asked: a throughput of at least 0.95 of the empty one's, and a chain alone within 1.2 times its time.
The exit code is 1 if either is missed. It takes about five minutes and 3 GB of disk.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from statistics import median
from urllib.parse import urlsplit, urlunsplit

import uvloop

from tasker.bench import lone, saturated
from tasker.bench.cli import progress_bar, server
from tasker.bench.engine import ENGINES
from tasker.bench.plan import Told
from tasker.bench.shapes import SHAPES
from tasker.store.connection import connect

CHAIN = SHAPES["chain"]
THROUGHPUT_MIN, LATENCY_MAX = 0.95, 1.2
GROWN, EMPTY = "tasker_bench_grown", "tasker_bench_empty"


async def compare(dsn: str, options: argparse.Namespace, told: Told) -> bool:
    """Prints the figures; whether both are as asked."""
    processes = min(4, os.cpu_count() or 1)
    async with databases(dsn) as dsns:
        grown = await saturated.measure(
            "tasker",
            dsns[GROWN],
            CHAIN,
            tasks=options.steps // len(CHAIN.steps),
            processes=processes,
            told=stage(told, f"working off {options.steps:,} steps", 0, 0.7),
        )
        print(f"{grown.steps:,} steps in one go: {grown.steps_per_second:,.0f} steps a second")
        await ENGINES["tasker"].create(dsns[EMPTY], CHAIN)
        latencies = await latency(dsns, options, told)
        tasks = round(grown.steps_per_second * options.seconds / len(CHAIN.steps))
        rates: dict[str, list[float]] = {GROWN: [], EMPTY: []}
        for number in range(options.rounds):
            for name in (GROWN, EMPTY):
                told(f"throughput, round {number + 1} of {options.rounds}", 0.8 + 0.2 * number / options.rounds)
                run = await saturated.measure(
                    "tasker", dsns[name], CHAIN, tasks=tasks, processes=processes, is_new=name == EMPTY
                )
                rates[name].append(run.steps_per_second)
    return verdict(rates, latencies)


async def latency(dsns: dict[str, str], options: argparse.Namespace, told: Told) -> dict[str, lone.Latencies]:
    """Chains alone in both databases, in turn: first, since it is what comes right after the million."""
    found = {name: lone.Latencies(len(CHAIN.steps)) for name in (GROWN, EMPTY)}
    for number in range(options.rounds * 2):
        for name, latencies in found.items():
            told("chains alone", 0.7 + 0.1 * number / options.rounds / 2)
            await lone.measure("tasker", dsns[name], CHAIN, seconds=options.seconds / 2, into=latencies)
    return found


def verdict(rates: dict[str, list[float]], latencies: dict[str, lone.Latencies]) -> bool:
    """Prints both ratios."""
    throughput = median(rates[GROWN]) / median(rates[EMPTY])
    slower = latencies[GROWN].percentile(0.5) / latencies[EMPTY].percentile(0.5)
    for name, title in ((EMPTY, "empty"), (GROWN, "grown")):
        runs = " ".join(f"{rate:,.0f}" for rate in rates[name])
        print(f"{title}: {runs} steps a second; a chain alone p50 {latencies[name].percentile(0.5):.2f} ms")
    print(f"throughput: {throughput:.3f} of the empty database's (asked: {THROUGHPUT_MIN} or more)")
    print(f"a chain alone: {slower:.3f} times the empty database's (asked: {LATENCY_MAX} or less)")
    return throughput >= THROUGHPUT_MIN and slower <= LATENCY_MAX


@asynccontextmanager
async def databases(dsn: str) -> AsyncGenerator[dict[str, str]]:
    """Two new databases on the server, dropped at the end."""
    admin = await connect(dsn, pinned=False)
    try:
        for name in (GROWN, EMPTY):
            await admin.execute(f"drop database if exists {name} with (force)")
            await admin.execute(f"create database {name}")
        yield {name: urlunsplit(urlsplit(dsn)._replace(path=f"/{name}")) for name in (GROWN, EMPTY)}
    finally:
        for name in (GROWN, EMPTY):
            await admin.execute(f"drop database if exists {name} with (force)")
        await admin.close()


def stage(told: Told, title: str, first: float, last: float) -> Callable[[float], None]:
    """What hears the share of one stage that is done."""
    return lambda share: told(title, first + share * (last - first))


def main() -> int:
    """Reads the command line, measures, prints."""
    parser = argparse.ArgumentParser(description="Measure what growth costs.")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--database-url", help="a server on which databases may be made; else one of its own")
    options = parser.parse_args()
    with (
        server(options.database_url) as dsn,
        progress_bar() as told,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return 0 if runner.run(compare(dsn, options, told)) else 1


if __name__ == "__main__":
    sys.exit(main())
