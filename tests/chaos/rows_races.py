"""Rows in which many want the same at once: C20, C21, C22.

They call the verbs themselves, over connections of the row's own, as the tests of the verbs do at a smaller load; what
is left in the tables is judged as in every row.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from support.databases import Databases
from support.engine import Engine
from support.races import claim_everything, free_joins, operate_among_workers
from support.random_stories import TO_BE_SEEN, play

from chaos.checker import check_tables
from chaos.run import RowOf, Run
from chaos.scene import Scene

_CLAIMERS = 16
_ACTIONS = 100
_ALL_MET_FROM = 0.5
"""The scale from which on stories meet every event."""
_JOINS = """select count(*) from (
              select from tasker_engine.transitions
              where to_state = 'complete' and session_id is not null and number between 1 and
                (select count(*) - 1 from tasker_engine.steps s where s.task_id = transitions.task_id)
              group by task_id having count(distinct session_id) > 1) raced"""
"""Of how many joins the parents were reported by more than one session."""


@asynccontextmanager
async def _engine(run: Run) -> AsyncIterator[tuple[Scene, Engine]]:
    """The verbs on a scene of the row's own, in which nobody works."""
    async with run.scene([]) as scene:
        engine = Engine(scene.dsn)
        try:
            await engine.open()
            yield scene, engine
        finally:
            await engine.close()


async def _fan_in(run: Run) -> None:
    """C20: 2 to 100 parents are reported at the same moment, on up to eight connections; each join is granted once."""
    joins = run.sized(10_000, 150)
    async with _engine(run) as (scene, engine):
        counts = await free_joins(engine, joins, run.chance)
        [(raced,)] = await asyncio.to_thread(scene.ask, _JOINS)
        fired = {"joins raced for": raced, "outcomes deferred": counts["deferred"]}
        run.report.plan(Counter({"joins raced for": counts["joins"], "outcomes deferred": 1}), Counter(fired))
        await engine.close()
        await run.ends(scene, None)


async def _claims(run: Run) -> None:
    """C21: sixteen claimers empty a lane; each step is granted to one of them, and done by it."""
    steps = run.sized(50_000, 3_000)
    async with _engine(run) as (scene, engine):
        counts = await claim_everything(engine, steps, _CLAIMERS, ends_them=True)
        run.report.plan(Counter(claimers=_CLAIMERS // 2), Counter(claimers=counts["claimers"]))
        await engine.close()
        await run.ends(scene, None)


async def _operators(run: Run) -> None:
    """C22: operators act on tasks while workers report, hand back and die; then random calls of every verb, after each
    of which engine and model must agree."""
    rounds, stories = run.sized(40, 1), run.sized(1_000, 6)
    async with _engine(run) as (scene, engine):
        acts: Counter[str] = Counter()
        for _ in range(rounds):
            acts += await operate_among_workers(engine, run.chance)
            engine.close_others()
        fired = Counter({"operator acts": acts.total(), "act was refused": acts["refused"]})
        run.report.plan(Counter({"operator acts": rounds * _ACTIONS, "act was refused": 1}), fired)
        await engine.close()
        run.report.violations += await asyncio.to_thread(check_tables, scene.dsn)
    await _stories(run, stories)


async def _stories(run: Run, stories: int) -> None:
    with closing(Databases(run.stage.server.admin_dsn)) as databases:
        seed = run.chance.randrange(2**32)
        seen = await asyncio.to_thread(play, databases, stories=stories, calls=80, by=seed)
    wanted = dict.fromkeys(TO_BE_SEEN, 1) if run.scale >= _ALL_MET_FROM else {}
    run.report.plan(Counter({"stories": stories, **wanted}), seen)


ROWS = [
    RowOf("C20", "parents that end together", _fan_in, least_s=9, full_s=700),
    RowOf("C21", "sixteen claimers of 50,000 steps", _claims, least_s=9, full_s=70),
    RowOf("C22", "operators and workers race, in random interleavings", _operators, least_s=40, full_s=2000),
]
