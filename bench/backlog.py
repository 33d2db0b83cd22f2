"""When do tasks end while thousands wait? A backlog of chains, worked off by two processes.

    python bench/backlog.py [--tasks 8000] [--json] [--database-url DSN]

An engine that takes steps first in, first out ends nothing until nearly everything has run. Here a started task goes on
before a new one begins, so tasks end all along. The clock is the database's, and its zero the moment the workers are
let loose. Asked: the median task is complete by two thirds of the run. It takes about ten seconds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from script import PROCESSES, Rows, parser, query, run

from tasker.bench import saturated
from tasker.bench.plan import Told
from tasker.bench.shapes import SHAPES
from tasker.store.connection import connect

CHAIN = SHAPES["chain"]
MEDIAN_MAX = 2 / 3
_SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
_ENDS = query("""
select percentile_cont($1::float8[]) within group (order by extract(epoch from t.finished_at - b.began_at)::float8)
from tasker_engine.tasks t, (select min(granted_at) as began_at from tasker_engine.steps) b
""")


async def measure(dsn: str, options: argparse.Namespace, told: Told) -> tuple[Rows, Mapping[str, Any]]:
    """One run, and when its tasks ended."""
    backlog = await saturated.measure(
        "tasker",
        dsn,
        CHAIN,
        tasks=options.tasks,
        processes=PROCESSES,
        told=lambda share: told(f"{options.tasks:,} chains", share),
    )
    connection = await connect(dsn, pinned=False)
    ends = await connection.fetchval(_ENDS, list(_SHARES))
    await connection.close()
    shares = [end / ends[-1] for end in ends]
    titles = ["first task", *(f"{share:.0%} of the tasks" for share in _SHARES[1:-1]), "last task"]
    titles[_SHARES.index(0.5)] = f"median task (asked: {MEDIAN_MAX:.0%} or earlier)"
    rows = [["complete after", "share of the run", "seconds"]]
    rows += [[title, f"{share:.1%}", f"{end:.2f}"] for title, share, end in zip(titles, shares, ends, strict=True)]
    return rows, {
        "tasks": options.tasks,
        "steps_per_second": round(backlog.steps_per_second, 1),
        "first": round(shares[0], 4),
        "median": round(shares[_SHARES.index(0.5)], 4),
        "last_s": round(ends[-1], 3),
        "is_as_asked": shares[_SHARES.index(0.5)] <= MEDIAN_MAX,
    }


if __name__ == "__main__":
    line = parser(__doc__)
    line.add_argument("--tasks", type=int, default=8000)
    sys.exit(run(line.parse_args(), measure))
