"""Rows in which the database goes away, or is hard to reach: C5, C6, C8, C9, C16, C17."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import psycopg
from support.until import until

from chaos import workload
from chaos.client import REFUSALS
from chaos.inside import SKEW
from chaos.nemesis import Fault, Nemesis
from chaos.run import RowOf, Run
from chaos.scene import Scene
from chaos.wires import Wire

BACK_WITHIN_S = 5.0
_CALLERS = 20


async def _crash(run: Run) -> None:
    """C5: PostgreSQL is killed, all of it or one of its processes, again and again; nobody else has to start again."""
    crashes, tasks = run.sized(100, 4), run.sized(5_000, 80)
    pauses = (3.0, 10.0) if run.scale >= 1 else (2.0, 4.0)
    async with run.scene([workload.chain("chain", 3), workload.chain("threads", 2, "chaos_thread")]) as scene:
        server = scene.serve()
        scene.worker()
        scene.worker(url=server.url)
        await scene.is_ready(2)
        scene.keep_up()
        nemesis = Nemesis(scene, run.chance)
        feeding = asyncio.create_task(run.feed(scene, tasks, crashes * sum(pauses) / 2))
        faults = {"crash database": nemesis.crash_database(), "kill backend": nemesis.kill_backend()}
        await nemesis.strike(faults, crashes, every_s=pauses)
        await feeding
        await run.ends(scene, nemesis, x_max_s=20)
        if scene.deaths:
            run.report.violations.append(f"I1: these had to start again: {dict(scene.deaths)}")


async def _stop(run: Run) -> None:
    """C6: the database is away for a minute while tasks are created."""
    away_s = run.sized(60, 4)

    async def outage(scene: Scene) -> float:
        await asyncio.to_thread(scene.server.stop)
        await asyncio.sleep(away_s)
        await asyncio.to_thread(scene.server.restart)
        return time.monotonic()

    await _while_refused(run, "stop database", outage, 200)


async def _no_connections(run: Run) -> None:
    """C17: the server has no connection left for a minute: those that there were are ended, and others take them."""
    full_s = run.sized(60, 4)

    async def hogged(scene: Scene) -> float:
        hogs = await asyncio.to_thread(_take_all, scene)
        await asyncio.sleep(full_s)
        for hog in hogs:
            hog.close()
        return time.monotonic()

    await _while_refused(run, "take every connection", hogged, 500)


def _take_all(scene: Scene) -> list[Any]:
    """Ends the connections of everybody else, and takes all that there are, until ten times none is left."""
    hogs: list[Any] = []
    for _ in range(10):
        with suppress(psycopg.OperationalError):
            while True:
                hogs.append(psycopg.connect(scene.dsn, autocommit=True, connect_timeout=2))
        hogs[0].execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and application_name = 'tasker'"
        )
    return hogs


async def _while_refused(run: Run, name: str, outage: Callable[[Scene], Awaitable[float]], per_s: int) -> None:
    """Tasks are created at a rate while the database takes none; who calls is told when to come back."""
    async with run.scene([workload.chain("short", 2)]) as scene:
        scene.serve()
        scene.worker()
        await scene.is_ready(1)
        scene.keep_up()
        numbers, is_over = itertools.count(), asyncio.Event()

        async def caller() -> None:
            while not is_over.is_set():
                n = next(numbers)
                await scene.client.create("short", {f"{run.report.row}-{n}": {"n": n, "pause_s": 0.001}})
                await asyncio.sleep(_CALLERS / per_s)

        callers = [asyncio.create_task(caller()) for _ in range(_CALLERS)]
        await asyncio.sleep(2)
        run.report.plan(Counter({name: 1}), Counter())
        back_at = await outage(scene)
        run.report.plan(Counter(), Counter({name: 1}))
        await until(lambda: scene.client.told_at[-1:] > [back_at], "somebody is told again", within_s=120)
        first = next(at for at in scene.client.told_at if at >= back_at)
        await asyncio.sleep(1)
        is_over.set()
        await asyncio.gather(*callers)
        run.report.counts["back_after_s"] = round(first - back_at, 2)
        if first - back_at > BACK_WITHIN_S:
            run.report.late.append(f"the first was told {first - back_at:.1f} s after the database was back")
        if not any(scene.client.statuses[str(status)] for status in REFUSALS):
            run.report.violations.append("I17: nobody was refused")
        await run.ends(scene, None)


async def _commits(run: Run) -> None:
    """C8: of the calls to the database one in ten loses its connection, before it arrives or before its reply does."""
    tasks = run.sized(5_000, 150)
    async with run.scene(workload.random_templates(run.chance, 8)) as scene:
        with Wire(scene.dsn, seed=run.chance.randrange(2**32)) as wire:
            run.wires.append(wire)
            server = scene.serve(dsn=wire.dsn)
            for _ in range(2):
                scene.worker(dsn=wire.dsn)
            scene.worker(url=server.url)
            await scene.is_ready(3)
            wire.chance_of_cut = 0.05
            await run.feed(scene, tasks, max(5.0, tasks / 100))
            await run.watch.all_ended(within_s=900)
            wire.chance_of_cut = 0.0
            lost = wire.replies_lost
            struck = Counter({"cut before": wire.cuts - lost, "cut after": lost})
            run.report.plan(Counter(dict.fromkeys(struck, 1)), struck)
            await run.ends(scene, None)


async def _bad_line(run: Run) -> None:
    """C9: connections are reset five times a second, slow, narrow, or silent."""
    rounds, tasks = run.sized(12, 1), run.sized(2_000, 60)
    slice_s = 5.0 if run.scale >= 0.2 else 2.0
    async with run.scene([workload.chain("chain", 3), *workload.random_templates(run.chance, 4)]) as scene:
        with Wire(scene.dsn, seed=run.chance.randrange(2**32)) as wire:
            run.wires.append(wire)
            scene.serve(dsn=wire.dsn)
            for _ in range(2):
                scene.worker(dsn=wire.dsn)
            await scene.is_ready(2)
            nemesis = Nemesis(scene, run.chance)
            faults = _line_faults(wire, slice_s)
            feeding = asyncio.create_task(run.feed(scene, tasks, rounds * len(faults) * slice_s))
            await nemesis.strike(faults, rounds * len(faults), every_s=(0.2, 1.0))
            await feeding
            await run.ends(scene, nemesis, x_max_s=30)


def _line_faults(wire: Wire, slice_s: float) -> dict[str, Fault]:
    """What can be wrong with a line, each for a while."""

    async def reset() -> bool:
        cuts = 0
        for _ in range(round(5 * slice_s)):
            cuts += wire.cut_one()
            await asyncio.sleep(0.2)
        return cuts > 0

    async def slow() -> bool:
        wire.latency_s = 0.5
        await asyncio.sleep(slice_s)
        wire.latency_s = 0.0
        return True

    async def narrow() -> bool:
        wire.bytes_per_s = 10_000
        await asyncio.sleep(slice_s)
        wire.bytes_per_s = 0
        return True

    async def silent() -> bool:
        wire.hold()
        await asyncio.sleep(slice_s)
        wire.release()
        return True

    async def forgotten() -> bool:
        wire.forget()
        await asyncio.sleep(slice_s)
        return True

    return {"reset": reset, "latency": slow, "throttle": narrow, "half-open": silent, "forgotten": forgotten}


_CLOCK = """create table public.chaos_clock (off_s double precision not null);
insert into public.chaos_clock values (0);
create or replace function tasker_engine.clock(_now timestamptz) returns timestamptz language plpgsql as $$
begin
  return clock_timestamp() + make_interval(secs => (select off_s from public.chaos_clock));
end $$;"""


async def _clocks(run: Run) -> None:
    """C16: the clocks of workers and of a server are an hour off, and jump; then the database's own clock jumps."""
    tasks = run.sized(1_000, 60) // 2
    async with run.scene(workload.random_templates(run.chance, 6)) as scene:
        scene.serve(**{SKEW: "3600"})
        scene.worker(**{SKEW: "3600"})
        scene.worker(**{SKEW: "-3600"})
        await scene.is_ready(2)
        await run.feed(scene, tasks, 5)
        run.report.plan(Counter({"skew": 3}), Counter({"skew": scene.ledger.count("skew")}))
        await run.ends(scene, None)
        _granted_once(run, scene, 0)
    sound = len(run.report.violations)
    await _jumping_clock(run, tasks)
    # A history written while the clock went back is in the order of its numbers, not of its times.
    in_time = ("before its parent", "before it was free")
    run.report.violations[sound:] = [
        line for line in run.report.violations[sound:] if not any(words in line for words in in_time)
    ]


async def _jumping_clock(run: Run, tasks: int) -> None:
    """The database's clock jumps by five minutes, forward and back."""
    jumps = run.sized(10, 2)
    async with run.scene(workload.random_templates(run.chance, 6)) as scene:
        await asyncio.to_thread(scene.ask, _CLOCK)
        scene.serve()
        for _ in range(2):
            scene.worker()
        await scene.is_ready(2)
        nemesis = Nemesis(scene, run.chance)

        def jump(off_s: float) -> Fault:
            async def fault() -> bool:
                await asyncio.to_thread(scene.ask, "update public.chaos_clock set off_s = %s", off_s)
                await asyncio.sleep(2)
                await asyncio.to_thread(scene.ask, "update public.chaos_clock set off_s = 0")
                return True

            return fault

        feeding = asyncio.create_task(run.feed(scene, tasks, jumps * 3))
        await nemesis.strike({"jump forward": jump(300), "jump back": jump(-300)}, jumps, every_s=(0.5, 1.5))
        await feeding
        # What failed while the clock was ahead is to be tried again five minutes from now: it goes ahead for good.
        await asyncio.to_thread(scene.ask, "update public.chaos_clock set off_s = 300")
        await run.ends(scene, nemesis)
        _granted_once(run, scene, 1)


def _granted_once(run: Run, scene: Scene, extra: int) -> None:
    """No step was granted more than so many times beyond its executions."""
    query = "select count(*) from tasker_engine.steps where attempt - tries > %s and losses = 0"
    if count := scene.ask(query, extra)[0][0]:
        run.report.violations.append(f"I7: {count} steps were granted more than {extra} times in vain")


ROWS = [
    RowOf("C5", "100 crashes of the database", _crash, least_s=28, full_s=800),
    RowOf("C6", "the database is away while tasks are created", _stop, least_s=22, full_s=80),
    RowOf("C8", "one commit in ten is cut, before or after its reply", _commits, least_s=42, full_s=600),
    RowOf("C9", "resets, latency, a narrow line, half-open connections", _bad_line, least_s=65, full_s=420),
    RowOf("C16", "clocks that are wrong, and jump", _clocks, least_s=32, full_s=65),
    RowOf("C17", "no connection is left", _no_connections, least_s=22, full_s=78),
]
