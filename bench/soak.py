"""Does it last? Tasks at half the maximum rate for half an hour, while somebody has forgotten an open snapshot.

    python bench/soak.py [--minutes 30] [--no-snapshot] [--json] [--database-url DSN]

As long as a snapshot is open (a dump, a forgotten transaction), PostgreSQL removes no row that died since. Queues are
where this hurts: whoever looks for the first row that lives passes all the dead ones. The maximum is measured first:
backlogs that come at once. Then a transaction under REPEATABLE READ reads once and idles, and chains are submitted at
half that rate; then, with the snapshot still open, backlogs as in the beginning. At last the snapshot goes, everything
is vacuumed, and a tenth of the tasks comes once more: tables whose rows come and go may not grow by that.

The table has a row for each tenth of the time: tasks not complete, throughput, what a claim of one step takes, rows
that are dead but cannot be removed, what the worker processes hold in memory, the size of the tables whose rows stay
and of their indexes for each task that has ended, and of the tables whose rows pass. It takes the minutes that you give
and two more, and about 10 MB of disk for each second.
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

from script import Rows, parser, query, resident_bytes, run, until, worker_pids, working

from tasker.bench import product
from tasker.bench.engine import Submit
from tasker.bench.plan import Told
from tasker.bench.saturated import SUBMIT_BATCH, Fleet, context
from tasker.bench.shapes import SHAPES
from tasker.store.connection import Connection, connect
from tasker.store.verbs import Serving, Verbs

CHAIN = SHAPES["chain"]
STEPS = len(CHAIN.steps)
KEPT = ["tasks", "inputs", "steps", "identities", "transitions"]
PARTS = 10
SHARE = 0.5
BURST_S, BURSTS = 4, 5
RATIO_MIN = 0.9
GROWTH_MAX = 1.1
MEMORY_MAX = 1.1
_TICK_S = 0.02
_LEASE_S = 86_400
_MB = 1024 * 1024
_DEAD = "select coalesce(sum(n_dead_tup), 0)::bigint from pg_stat_user_tables where schemaname = $1 and relname = $2"
_SIZES = """
select coalesce(sum(pg_table_size(c.oid)) filter (where is_kept), 0)::bigint as kept,
  coalesce(sum(pg_indexes_size(c.oid)) filter (where is_kept), 0)::bigint as kept_indexes,
  coalesce(sum(pg_total_relation_size(c.oid)) filter (where not is_kept), 0)::bigint as passing
from pg_class c, lateral (select c.relname = any ($2::text[])) k (is_kept)
where c.relnamespace = $1::text::regnamespace and c.relkind = 'r'
"""
_AGES = query("""
select percentile_cont(0.5) within group (order by age), max(age), count(*) filter (where age is null)
from (select extract(epoch from finished_at - created_at)::float8 * 1000 as age from tasker_engine.tasks
  where created_at between $1 and $2) t
""")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of the tables whose rows stay until they are pruned, of their indexes, and of all others together."""

    kept: int
    kept_indexes: int
    passing: int


@dataclass(frozen=True, slots=True)
class Part:
    """One tenth of the time; the counts are those at its end."""

    at_s: float
    waiting: int
    ended: int
    steps_per_second: float
    claim_ms: float
    dead_ready: int
    dead_lanes: int
    resident: tuple[int, ...]
    """Bytes of each worker process."""
    sizes: Sizes


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


@dataclass(frozen=True, slots=True)
class Around:
    """What was found around the time itself, in steps a second and bytes."""

    before: float
    under: float
    passing_before: int
    """Of the tables whose rows come and go, when the snapshot had gone and all was vacuumed."""
    passing_after: int
    """After a tenth of the tasks more."""
    left: int
    median_ms: float
    longest_ms: float


class Soak:
    """The workers, a client that submits, and a connection that looks."""

    def __init__(
        self, fleet: Fleet, submit: Submit, probe: Probe, reader: Connection, minutes: float, told: Told
    ) -> None:
        self._fleet = fleet
        self._submit = submit
        self._probe = probe
        self._reader = reader
        self._seconds = minutes * 60
        self._told = told
        self.submitted = 0
        self.parts: list[Part] = []

    async def maximum(self, title: str, tasks: int) -> float:
        """Steps a second of backlogs that come at once, submits included; the median."""
        found: list[float] = []
        for number in range(BURSTS):
            self._told(title, number / BURSTS)
            reported, began = self._fleet.steps, time.perf_counter()
            await self.backlog(tasks)
            found.append((self._fleet.steps - reported) / (time.perf_counter() - began))
        return median(found)

    async def backlog(self, tasks: int) -> None:
        """So many tasks at once; returns when all have ended."""
        for first in range(0, tasks, SUBMIT_BATCH):
            await self._send(min(SUBMIT_BATCH, tasks - first))
        await until(self._fleet, self.submitted * STEPS)

    async def offer(self, rate: float) -> None:
        """Submits chains at an even rate and notes how the workers do; returns when all have ended."""
        before, steps, noted_s, began = self.submitted, self._fleet.steps, 0.0, time.perf_counter()
        while len(self.parts) < PARTS:
            now_s = time.perf_counter() - began
            self._told(f"{rate:,.0f} chains a second", min(1.0, now_s / self._seconds))
            self._fleet.check()
            wanted = min(round(rate * now_s) - (self.submitted - before), SUBMIT_BATCH)
            if wanted > 0:
                await self._send(wanted)
            if now_s >= self._seconds / PARTS * (len(self.parts) + 1):
                reported = self._fleet.steps
                self.parts.append(await self._part(now_s, (reported - steps) / (now_s - noted_s)))
                steps, noted_s = reported, now_s
            await asyncio.sleep(_TICK_S)
        await until(self._fleet, self.submitted * STEPS)

    async def _send(self, count: int) -> None:
        await self._submit([context(n) for n in range(count)])
        self.submitted += count

    async def _part(self, at_s: float, rate: float) -> Part:
        ended = self._fleet.steps // STEPS
        return Part(
            at_s,
            self.submitted - ended,
            ended,
            rate,
            await self._probe.claim_ms(),
            await self._reader.fetchval(_DEAD, product.SCHEMA, "ready"),
            await self._reader.fetchval(_DEAD, product.SCHEMA, "lanes"),
            tuple(resident_bytes(pid) for pid in worker_pids()),
            await sizes(self._reader),
        )


async def sizes(reader: Connection) -> Sizes:
    """As they are now."""
    return Sizes(**await reader.fetchrow(_SIZES, product.SCHEMA, KEPT))


async def measure(dsn: str, options: argparse.Namespace, told: Told) -> tuple[Rows, Mapping[str, Any]]:
    """The maximum, the time itself, the maximum again, and what is left when the snapshot is gone."""
    reader, holder = await connect(dsn, pinned=False), await connect(dsn, pinned=False)
    async with working(dsn, CHAIN) as fleet, product.submitting(dsn, CHAIN) as submit:
        probe = Probe(await connect(dsn))
        await probe.open()
        soak = Soak(fleet, submit, probe, reader, options.minutes, told)
        warm = await soak.maximum("warming up", SUBMIT_BATCH * 4)
        tasks = round(warm * BURST_S / STEPS)
        before = await soak.maximum("the maximum", tasks)
        held = holder.transaction(isolation="repeatable_read")
        await held.__aenter__()
        if options.snapshot:
            await holder.fetchval(query("select count(*) from tasker_engine.tasks"))
        began_at = await reader.fetchval("select clock_timestamp()")
        await soak.offer(before * SHARE / STEPS)
        ended_at = await reader.fetchval("select clock_timestamp()")
        under = await soak.maximum("the maximum, at the end", tasks)
        await held.__aexit__(None, None, None)
        passing = await _after(soak, reader)
        median_ms, longest_ms, left = await reader.fetchrow(_AGES, began_at, ended_at)
    await reader.close()
    await holder.close()
    return report(soak.parts, Around(before, under, *passing, left, median_ms, longest_ms))


async def _after(soak: Soak, reader: Connection) -> tuple[int, int]:
    """The size of the tables whose rows come and go, after a vacuum, and after some more tasks."""
    tables = "select format('vacuum %I.%I', schemaname, relname) from pg_stat_user_tables where schemaname = $1"
    for row in await reader.fetch(tables, product.SCHEMA):
        await reader.execute(row[0])
    before = await sizes(reader)
    await soak.backlog(soak.submitted // PARTS)
    return before.passing, (await sizes(reader)).passing


def report(parts: list[Part], around: Around) -> tuple[Rows, Mapping[str, Any]]:
    """The table and the figures."""
    rows = [
        [
            "",
            "not complete",
            "steps a second",
            "claim ms",
            "dead: ready, lanes",
            "MB of each worker",
            "kB a task",
            "MB passing",
        ]
    ]
    for part in parts:
        held = " ".join(f"{one / _MB:.1f}" for one in part.resident)
        kept = f"{part.sizes.kept / part.ended / 1024:.2f} + {part.sizes.kept_indexes / part.ended / 1024:.2f}"
        counts = [f"{part.waiting:,}", f"{part.steps_per_second:,.0f}", f"{part.claim_ms:.2f}"]
        counts.append(f"{part.dead_ready:,} {part.dead_lanes:,}")
        rows.append([f"{part.at_s / 60:.1f} min", *counts, held, kept, f"{part.sizes.passing / _MB:.1f}"])
    figures = judged(parts, around)
    rows += [
        _line(f"the last to the second (asked: {RATIO_MIN} or more)", f"{figures['throughput_ratio']:.3f}"),
        _line("a backlog at the beginning", f"{around.before:,.0f}"),
        _line("a backlog at the end", f"{around.under:,.0f}"),
        _line(f"the end to the beginning (asked: {RATIO_MIN} or more)", f"{figures['maximum_ratio']:.3f}"),
        _line(f"memory, the last to the second (asked: {MEMORY_MAX} or less)", f"{figures['memory_ratio']:.3f}"),
        _line(f"tables whose rows pass, by a tenth more (asked: {GROWTH_MAX} or less)", f"{figures['growth']:.3f}"),
        _line("left behind (asked: none)", f"{around.left:,}"),
        _line(f"a task took {around.median_ms:.0f} ms (median), {around.longest_ms:.0f} ms (longest)", ""),
    ]
    return rows, figures


def judged(parts: list[Part], around: Around) -> dict[str, Any]:
    """The figures, and whether they are as asked. The second tenth is the first that is warm."""
    warm, last = parts[1], parts[-1]
    memory = max(after / before for before, after in zip(warm.resident, last.resident, strict=True))
    ratio, maximum = last.steps_per_second / warm.steps_per_second, around.under / around.before
    growth = around.passing_after / around.passing_before
    return {
        "minutes": round(last.at_s / 60, 2),
        "throughput_ratio": round(ratio, 3),
        "maximum_ratio": round(maximum, 3),
        "memory_ratio": round(memory, 3),
        "growth": round(growth, 3),
        **asdict(around),
        "parts": [asdict(part) for part in parts],
        "is_as_asked": not around.left
        and min(ratio, maximum) >= RATIO_MIN
        and memory <= MEMORY_MAX
        and growth <= GROWTH_MAX,
    }


def _line(title: str, figure: str) -> list[str]:
    return [title, "", figure, *[""] * 5]


if __name__ == "__main__":
    line = parser(__doc__)
    line.add_argument("--minutes", type=float, default=30)
    line.add_argument("--no-snapshot", dest="snapshot", action="store_false", help="nobody has forgotten anything")
    sys.exit(run(line.parse_args(), measure))
