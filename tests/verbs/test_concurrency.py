"""What happens when many do it at once, over real connections. TASKER_TEST_SCALE=full runs the full loads."""

from __future__ import annotations

import asyncio
import itertools
import os
import random

from support.engine import Engine
from support.races import claim_everything, free_joins, open_sessions, operate_among_workers, report_until_recorded

JOINS = 10_000 if os.environ.get("TASKER_TEST_SCALE") == "full" else 500
READY_STEPS = 50_000
CLAIMERS = 16


async def test_parents_that_finish_together_free_their_child_once(engine: Engine) -> None:
    """2 to 100 parents reported at the same moment over several connections: the join is granted exactly once."""
    counts = await free_joins(engine, JOINS, random.Random(7))
    assert await engine.value("select count(*) from tasker_engine.tasks where state = 'complete'") == counts["joins"]
    assert counts["deferred"]


async def test_no_step_is_claimed_twice(engine: Engine) -> None:
    """Sixteen claimers empty a lane together: each step is granted to exactly one of them."""
    counts = await claim_everything(engine, READY_STEPS, CLAIMERS)
    assert counts["claimers"] >= CLAIMERS // 2


async def test_what_is_due_is_promoted_once(engine: Engine) -> None:
    """Claimers and sweepers that find the same due steps make each of them ready once."""
    await engine.publish("a")
    await engine.submit_many(600, delay_s=10)
    workers = await open_sessions(engine, 6)
    sweepers = [await engine.connect() for _ in range(3)]
    engine.advance(10)
    claims = asyncio.gather(*(worker.claim(25) for worker in workers))
    await asyncio.gather(claims, *(engine.verbs.sweep(sweeper) for sweeper in sweepers))
    granted = [grant for grants in claims.result() for grant in grants]
    for worker in itertools.cycle(workers):
        grants = await worker.claim(50)
        granted += grants
        if not grants:
            break
    assert len({grant.task_id for grant in granted}) == len(granted) == 600


async def test_reports_that_wait_for_each_others_tasks_do_not_deadlock(engine: Engine) -> None:
    """Batches over the same tasks, in whatever order they name them, take the rows in one order."""
    await engine.publish(", ".join(f"s{n}" for n in range(6)), handler="work")
    workers = await open_sessions(engine, 6)
    chance = random.Random(11)
    for _ in range(12):
        await engine.submit_many(40)
        for worker in workers:
            await worker.claim(40)
        batches = [list(worker.held.values()) for worker in workers]
        for batch in batches:
            chance.shuffle(batch)
        await asyncio.gather(
            *(
                report_until_recorded(worker, batch, may_wait=True)
                for worker, batch in zip(workers, batches, strict=True)
            )
        )
    assert await engine.value("select count(*) from tasker_engine.tasks where state <> 'complete'") == 0


async def test_operators_and_workers_race(engine: Engine) -> None:
    """Cancelling, pausing, resolving and retrying while workers report and die: the tables agree, and all ends."""
    counts = await operate_among_workers(engine, random.Random(23))
    assert counts["did"]
    assert counts["refused"]
