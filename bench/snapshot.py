"""Does the engine keep up while somebody holds an old snapshot open? Tasks at half the maximum rate, for five minutes.

    python bench/snapshot.py [--seconds 300] [--json] [--database-url DSN]

As long as a snapshot is open (a dump, a forgotten transaction), PostgreSQL removes no row that died since. Queues are
where this hurts: whoever looks for the first row that lives passes all the dead ones. The maximum is measured first, on
a backlog. Then a transaction under REPEATABLE READ reads once and idles, and chains are submitted at half that rate;
then, with the snapshot still open, a backlog as in the beginning. The table has a row for each tenth of the time: tasks
not complete, throughput, what a claim of one step takes, and rows that are dead but cannot be removed. Asked: none is
left behind. It takes the seconds that you give and half a minute, and about 10 MB of disk for each second.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any
from uuid import uuid4

from script import PROCESSES, Rows, parser, query, run, until, working

from tasker.bench import product, saturated
from tasker.bench.engine import Submit
from tasker.bench.plan import Told
from tasker.bench.saturated import SUBMIT_BATCH, Fleet, context
from tasker.bench.shapes import SHAPES
from tasker.store.connection import Connection, connect
from tasker.store.verbs import Serving, Verbs

CHAIN = SHAPES["chain"]
STEPS = len(CHAIN.steps)
PARTS = 10
BURST_S = 4
_TICK_S = 0.02
_LEASE_S = 86_400
_DEAD = """
select n_dead_tup from pg_stat_user_tables
where schemaname = $1 and relname in ('due', 'grants', 'ready') order by relname
"""
_AGES = query("""
select percentile_cont(0.5) within group (order by age), max(age), count(*) filter (where age is null)
from (select extract(epoch from finished_at - created_at)::float8 * 1000 as age from tasker_engine.tasks
  where created_at between $1 and $2) t
""")


@dataclass(frozen=True, slots=True)
class Part:
    """One tenth of the time; the counts are those at its end."""

    at_s: float
    waiting: int
    steps_per_second: float
    claim_ms: float
    dead_due: int
    dead_grants: int
    dead_ready: int


class Probe:
    """A session of its own that claims one step, and gives it back by rolling back."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._verbs = Verbs(product.SCHEMA)
        self._session = 0
        self._serving = Serving()

    async def open(self) -> None:
        """Serves what the workers serve."""
        self._session = await self._verbs.open_session(self._connection, uuid4(), "probe", "probe", 0, _LEASE_S)
        channels = await self._verbs.serve(self._connection, self._session, list(CHAIN.handlers), None)
        self._serving = Serving([channel for channel, _ in channels], [1] * len(channels))

    async def claim_ms(self) -> float:
        """The median of nine."""
        found: list[float] = []
        for _ in range(9):
            await self._connection.execute("begin")
            began = time.perf_counter()
            await self._verbs.claim(self._connection, self._session, self._serving, [1], may_be_alone=False)
            found.append((time.perf_counter() - began) * 1e3)
            await self._connection.execute("rollback")
        return median(found)


async def measure(dsn: str, options: argparse.Namespace, told: Told) -> tuple[Rows, Mapping[str, Any]]:
    """The maximum, five minutes under a snapshot, the maximum again, and what is left when the snapshot is gone."""
    warm = await maximum(dsn, 20_000, told)
    before = await maximum(dsn, round(warm * BURST_S), told)
    parts: list[Part] = []
    reader, holder = await connect(dsn, pinned=False), await connect(dsn, pinned=False)
    async with working(dsn, CHAIN) as fleet, product.submitting(dsn, CHAIN) as submit:
        probe = Probe(await connect(dsn))
        await probe.open()
        async with holder.transaction(isolation="repeatable_read"):
            await holder.fetchval(query("select count(*) from tasker_engine.tasks"))
            began_at = await reader.fetchval("select clock_timestamp()")
            submitted = await offer(fleet, submit, before / 2 / STEPS, options.seconds, parts, probe, reader, told)
            ended_at = await reader.fetchval("select clock_timestamp()")
            await until(fleet, submitted * STEPS)
            under = await burst(fleet, submit, round(before * BURST_S / STEPS))
        ages = await reader.fetchrow(_AGES, began_at, ended_at)
    await reader.close()
    await holder.close()
    return report(before, under, parts, submitted, ages)


async def maximum(dsn: str, steps: int, told: Told) -> float:
    """Steps a second, working off a backlog of chains."""
    tasks = max(1, steps // STEPS // SUBMIT_BATCH) * SUBMIT_BATCH
    done = await saturated.measure(
        "tasker",
        dsn,
        CHAIN,
        tasks=tasks,
        processes=PROCESSES,
        told=lambda share: told("the maximum, without a snapshot", share),
    )
    return done.steps_per_second


async def offer(
    fleet: Fleet,
    submit: Submit,
    rate: float,
    seconds: float,
    parts: list[Part],
    probe: Probe,
    reader: Connection,
    told: Told,
) -> int:
    """Submits chains at an even rate and notes how the workers do; how many it submitted."""
    submitted, steps, noted_s, began = 0, 0, 0.0, time.perf_counter()
    while len(parts) < PARTS:
        now_s = time.perf_counter() - began
        told(f"{rate:,.0f} chains a second under a snapshot", min(1.0, now_s / seconds))
        fleet.check()
        wanted = min(round(rate * now_s) - submitted, SUBMIT_BATCH)
        if wanted > 0:
            await submit([context(n) for n in range(wanted)])
            submitted += wanted
        if now_s >= seconds / PARTS * (len(parts) + 1):
            waiting, reported = submitted - fleet.steps // STEPS, fleet.steps
            dead = [row[0] for row in await reader.fetch(_DEAD, product.SCHEMA)]
            parts.append(Part(now_s, waiting, (reported - steps) / (now_s - noted_s), await probe.claim_ms(), *dead))
            steps, noted_s = reported, now_s
        await asyncio.sleep(_TICK_S)
    return submitted


async def burst(fleet: Fleet, submit: Submit, tasks: int) -> float:
    """Steps a second until a backlog that comes at once is worked off."""
    reported, began = fleet.steps, time.perf_counter()
    for first in range(0, tasks, SUBMIT_BATCH):
        await submit([context(n) for n in range(first, min(first + SUBMIT_BATCH, tasks))])
    await until(fleet, reported + tasks * STEPS)
    return tasks * STEPS / (time.perf_counter() - began)


def report(before: float, under: float, parts: list[Part], submitted: int, ages: Any) -> tuple[Rows, Mapping[str, Any]]:
    """The table and the figures."""
    median_ms, longest_ms, left = ages
    rows = [["", "not complete", "steps a second", "claim ms", "dead: ready", "due", "grants"]]
    for part in parts:
        counts = (f"{count:,}" for count in (part.dead_ready, part.dead_due, part.dead_grants))
        rate = f"{part.steps_per_second:,.0f}"
        rows.append([f"{part.at_s:.0f} s", f"{part.waiting:,}", rate, f"{part.claim_ms:.2f}", *counts])
    none = [""] * 4
    rows += [
        ["a backlog, without the snapshot", "", f"{before:,.0f}", *none],
        ["a backlog under it, submits included", "", f"{under:,.0f}", *none],
        ["left behind (asked: none)", f"{left:,}", "", *none],
        [f"a task took {median_ms:.0f} ms (median), {longest_ms:.0f} ms (longest)", "", "", *none],
    ]
    return rows, {
        "seconds": round(parts[-1].at_s, 1),
        "maximum_steps_per_second": round(before, 1),
        "maximum_under_snapshot": round(under, 1),
        "tasks": submitted,
        "left_behind": left,
        "task_ms": {"p50": round(median_ms, 2), "max": round(longest_ms, 2)},
        "parts": [asdict(part) for part in parts],
        "is_as_asked": left == 0,
    }


if __name__ == "__main__":
    line = parser(__doc__)
    line.add_argument("--seconds", type=float, default=300)
    sys.exit(run(line.parse_args(), measure))
