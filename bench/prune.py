"""What does retention cost those who work beside it? Chains while old tasks are deleted, and while nothing is old.

    python bench/prune.py [--tasks 15000] [--rounds 3] [--json] [--database-url DSN]

Two worker processes work off a backlog of chains; before every second run the tasks of the run before are made forty
days old, so that the workers delete them meanwhile, as in a database that is full of what ended long ago. The ratio is
that of the medians. Then what is left is deleted by `tasker db prune`'s own loop, with nobody else at work. It takes
about two minutes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from statistics import median
from typing import Any

from script import PROCESSES, Rows, parser, query, run

from tasker.bench import product, saturated
from tasker.bench.plan import Told
from tasker.bench.shapes import SHAPES
from tasker.store.connection import Connection, connect
from tasker.store.retention import prune_all

CHAIN = SHAPES["chain"]
_MAKE_OLD = query("""
update tasker_engine.tasks set finished_at = finished_at - interval '40 days'
where finished_at > now() - interval '1 day'
""")
_COUNT = query("select count(*) from tasker_engine.tasks")


async def measure(dsn: str, options: argparse.Namespace, told: Told) -> tuple[Rows, Mapping[str, Any]]:
    """Both kinds of run in turn, and the rest alone."""
    await product.create(dsn, CHAIN)
    connection = await connect(dsn, pinned=False)
    try:
        await load(dsn, options)
        rates: dict[bool, list[float]] = {False: [], True: []}
        deleted: list[int] = []
        for number in range(options.rounds * 2):
            is_pruning = number % 2 == 0
            told(f"run {number + 1} of {options.rounds * 2}", number / options.rounds / 2)
            before = await ready(connection, is_pruning=is_pruning)
            rates[is_pruning].append(await load(dsn, options))
            if is_pruning:
                deleted.append(before + options.tasks - await connection.fetchval(_COUNT))
        await connection.execute(_MAKE_OLD)
        began = time.perf_counter()
        count = await prune_all(connection, datetime.now(UTC), product.SCHEMA)
        alone = count / (time.perf_counter() - began)
    finally:
        await connection.close()
    with_it, without = median(rates[True]), median(rates[False])
    rows = [
        ["chains, 2 processes", "steps a second"],
        ["nothing is old", f"{without:,.0f}"],
        [f"{median(deleted):,.0f} old tasks are deleted meanwhile", f"{with_it:,.0f}"],
        ["ratio", f"{with_it / without:.2f}"],
        ["deleting alone, tasks of four steps a second", f"{alone:,.0f}"],
    ]
    return rows, {
        "steps_per_second": {"with": with_it, "without": without},
        "ratio": round(with_it / without, 3),
        "deleted": deleted,
        "alone_tasks_per_second": round(alone, 1),
    }


async def load(dsn: str, options: argparse.Namespace) -> float:
    """Steps a second of one backlog in the tables as they are."""
    done = await saturated.measure("tasker", dsn, CHAIN, tasks=options.tasks, processes=PROCESSES, is_new=False)
    return done.steps_per_second


async def ready(connection: Connection, *, is_pruning: bool) -> int:
    """Makes what is there old, or deletes it, so that nothing is; how many tasks are there then."""
    await connection.execute(_MAKE_OLD)
    if not is_pruning:
        await prune_all(connection, datetime.now(UTC), product.SCHEMA)
    return await connection.fetchval(_COUNT)


def main() -> int:
    """Reads the command line, measures, prints."""
    options = parser(__doc__)
    options.add_argument("--tasks", type=int, default=15_000)
    options.add_argument("--rounds", type=int, default=3)
    return run(options.parse_args(), measure)


if __name__ == "__main__":
    sys.exit(main())
