"""What happens when many do it at once, over real connections. TASKER_TEST_SCALE=full runs the full loads."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from collections import Counter
from typing import Any
from uuid import UUID

import asyncpg
from support.engine import Engine
from support.session import Session, hand_back, passing_fault, success

from tasker.model.errors import ActionForbidden
from tasker.store.replies import Grant

IS_FULL = os.environ.get("TASKER_TEST_SCALE") == "full"
JOINS = 10_000 if IS_FULL else 500
READY_STEPS = 50_000
CLAIMERS = 16
CONNECTIONS = 8


async def _sessions(engine: Engine, count: int, **options: Any) -> list[Session]:
    return [await engine.session(connection=await engine.connect(), **options) for _ in range(count)]


async def _report_until_recorded(worker: Session, grants: list[Grant], **options: Any) -> Counter[int]:
    """Reports, again and again what was deferred; how often each step number was granted by it."""
    granted: Counter[int] = Counter()
    while grants:
        try:
            reply = await worker.succeed(*grants, **options)
        except asyncpg.LockNotAvailableError:  # it stood in line for as long as a report may
            continue
        granted.update(grant.number for grant in reply.grants)
        deferred = {(v.task_id, v.number) for v in reply.verdicts if v.verdict == "deferred"}
        assert len(deferred) == len(reply.verdicts), reply.verdicts
        grants = [grant for grant in grants if (grant.task_id, grant.number) in deferred]
        await asyncio.sleep(0)
    return granted


async def test_parents_that_finish_together_free_their_child_once(engine: Engine) -> None:
    """2 to 100 parents reported at the same moment over several connections: the join is granted exactly once."""
    widths = [2, 3, 5, 8, 20, 50, 100]
    for width in widths:
        parents = ", ".join(f"p{n}" for n in range(width))
        await engine.publish(f"{parents} -> join", name=f"join{width}", handler="work")
    workers = await _sessions(engine, CONNECTIONS, slots=100_000)
    chance = random.Random(7)
    joined = 0
    for width in itertools.cycle(widths):
        batch = max(1, 100 // width)
        tasks = await engine.submit_many(batch, name=f"join{width}")
        for task in tasks:
            await _finish_together(engine, workers, task, width, chance)
        joined += batch
        if joined >= JOINS:
            break
    assert await engine.value("select count(*) from tasker_engine.tasks where state = 'complete'") == joined


async def _finish_together(
    engine: Engine, workers: list[Session], task: UUID, width: int, chance: random.Random
) -> None:
    used = workers[: max(2, min(width, len(workers)))]
    left = width
    for place, worker in enumerate(used):
        share = left // (len(used) - place)
        left -= len(await worker.claim(share))
    assert left == 0
    chance.shuffle(used)
    counts = await asyncio.gather(
        *(_report_until_recorded(worker, list(worker.held.values()), may_wait=chance.random() < 0.3) for worker in used)
    )
    assert sum(counts, Counter[int]()) == {width + 1: 1}
    [holder] = [worker for worker in used if worker.held]
    assert (await holder.succeed(*holder.held.values())).ended == [(task, "complete")]


async def test_no_step_is_claimed_twice(engine: Engine) -> None:
    """Sixteen claimers empty a lane together: each step is granted to exactly one of them."""
    await engine.publish("a")
    for _ in range(READY_STEPS // 1000):
        await engine.submit_many(1000)
    claimers = await _sessions(engine, CLAIMERS, slots=100_000)

    async def claim_all(worker: Session, size: int) -> list[UUID]:
        taken: list[UUID] = []
        idle = 0
        while idle < 3:
            grants = await worker.claim(size)
            taken += [grant.task_id for grant in grants]
            idle = 0 if grants else idle + 1
        return taken

    taken = await asyncio.gather(*(claim_all(worker, 7 + 5 * place) for place, worker in enumerate(claimers)))
    rest = await claim_all(claimers[0], 1000)
    everything = Counter(itertools.chain(*taken, rest))
    assert len(everything) == READY_STEPS
    assert set(everything.values()) == {1}
    assert sum(1 for share in taken if share) >= CLAIMERS // 2
    assert await engine.value("select max(attempt) from tasker_engine.steps") == 1


async def test_what_is_due_is_promoted_once(engine: Engine) -> None:
    """Claimers and sweepers that find the same due steps make each of them ready once."""
    await engine.publish("a")
    await engine.submit_many(600, delay_s=10)
    workers = await _sessions(engine, 6)
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
    workers = await _sessions(engine, 6)
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
                _report_until_recorded(worker, batch, may_wait=True)
                for worker, batch in zip(workers, batches, strict=True)
            )
        )
    assert await engine.value("select count(*) from tasker_engine.tasks where state <> 'complete'") == 0


async def test_operators_and_workers_race(engine: Engine) -> None:
    """Cancelling, pausing, resolving and retrying while workers report and die: the tables agree, and all ends."""
    await engine.publish("a -> b, c -> d", max_attempts=2, backoff="none")
    tasks = await engine.submit_many(150)
    workers = await _sessions(engine, 4, slots=30, lease_s=1000)
    chance = random.Random(23)
    operator = await engine.connect()

    async def operate() -> None:
        for task in chance.sample(tasks, 100):
            action = chance.choice(["cancel", "pause", "resume", "retry", "resolve", "complete"])
            step = chance.choice("abcd") if action in ("retry", "resolve", "complete") else None
            try:
                await engine.act(action, task, step, connection=operator)
            except ActionForbidden:
                continue

    async def work(worker: Session) -> None:
        for _ in range(60):
            await worker.claim(may_be_alone=True)
            held = list(worker.held.values())
            some = held[: chance.randint(0, len(held))]
            outcomes = [chance.choice([success(1), success(1), passing_fault(), hand_back()]) for _ in some]
            await worker.report(*zip(some, outcomes, strict=True), may_wait=chance.random() < 0.2)
            await worker.beat(*worker.held.values())

    await asyncio.gather(operate(), *(work(worker) for worker in workers))
    for worker in workers:
        await worker.end(is_loss=chance.random() < 0.5)
    await engine.sweep_all()
    for task in tasks:
        if (await engine.task(task))["paused_at"] is not None and await engine.state(task) != "error":
            await engine.act("resume", task)
    last = await engine.session()
    await last.work_off()
    open_ones = "select count(*) from tasker_engine.tasks where state not in ('complete', 'cancelled', 'error')"
    assert await engine.value(open_ones) == 0
