"""Races over real connections: parents that end together, claimers of one lane, operators among workers.

Tests run them at a small load, and rows of chaos at their full one. Each fails (AssertionError) where the engine lets
two of them win, and answers with counts that show that there was a race.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from typing import Any
from uuid import UUID

import asyncpg

from support.engine import Engine
from support.session import Session, hand_back, passing_fault, success
from tasker.model.errors import ActionForbidden
from tasker.store.replies import Grant

WIDTHS = (2, 3, 5, 8, 20, 50, 100)
CONNECTIONS = 8
_CYCLE_PARENTS = 100
_SUBMITTED_AT_ONCE = 1000
_ENDED_AT_ONCE = 500
_ACTIONS_OF_TASKS, _ACTIONS_OF_STEPS = ("cancel", "pause", "resume"), ("retry", "resolve", "complete")


async def open_sessions(engine: Engine, count: int, **options: Any) -> list[Session]:
    """So many workers, each on a connection of its own."""
    return [await engine.session(connection=await engine.connect(), **options) for _ in range(count)]


async def report_until_recorded(
    worker: Session, grants: list[Grant], deferred: Counter[str] | None = None, **options: Any
) -> Counter[int]:
    """Reports success, again and again what was deferred (counted in `deferred`); how often each step number was
    granted by it."""
    granted: Counter[int] = Counter()
    while grants:
        try:
            reply = await worker.succeed(*grants, **options)
        except asyncpg.LockNotAvailableError:  # it stood in line for as long as a report may
            continue
        granted.update(grant.number for grant in reply.grants)
        left = {(v.task_id, v.number) for v in reply.verdicts if v.verdict == "deferred"}
        assert len(left) == len(reply.verdicts), reply.verdicts
        if deferred is not None:
            deferred["deferred"] += len(left)
        grants = [grant for grant in grants if (grant.task_id, grant.number) in left]
        await asyncio.sleep(0)
    return granted


# Parents that end together --------------------------------------------------------------------------------------------


async def free_joins(engine: Engine, joins: int, chance: random.Random) -> Counter[str]:
    """At least so many joins of 2 to 100 parents, which are reported at the same moment over several connections: each
    is granted exactly once. Counts `joins`, and the outcomes that were `deferred` because others held the task."""
    for width in WIDTHS:
        parents = ", ".join(f"p{n}" for n in range(width))
        await engine.publish(f"{parents} -> join", name=f"join{width}", handler="work")
    workers = await open_sessions(engine, CONNECTIONS, slots=100_000, lease_s=100_000)
    counts: Counter[str] = Counter()
    for width in itertools.cycle(WIDTHS):
        tasks = await engine.submit_many(max(1, _CYCLE_PARENTS // width), name=f"join{width}")
        for task in tasks:
            await _finish_together(workers, task, width, chance, counts)
        counts["joins"] += len(tasks)
        if counts["joins"] >= joins:
            return counts
    raise AssertionError("unreachable")


async def _finish_together(
    workers: list[Session], task: UUID, width: int, chance: random.Random, counts: Counter[str]
) -> None:
    used = workers[: max(2, min(width, len(workers)))]
    left = width
    for place, worker in enumerate(used):
        share = left // (len(used) - place)
        left -= len(await worker.claim(share))
    assert left == 0
    chance.shuffle(used)
    held = [list(worker.held.values()) for worker in used]
    waits = [chance.random() < 0.3 for _ in used]
    granted = await asyncio.gather(
        *(
            report_until_recorded(worker, grants, counts, may_wait=may_wait)
            for worker, grants, may_wait in zip(used, held, waits, strict=True)
        )
    )
    assert sum(granted, Counter[int]()) == {width + 1: 1}
    [holder] = [worker for worker in used if worker.held]
    assert (await holder.succeed(*holder.held.values())).ended == [(task, "complete")]


# Claimers of one lane -------------------------------------------------------------------------------------------------


async def claim_everything(engine: Engine, steps: int, claimers: int, *, ends_them: bool = False) -> Counter[str]:
    """That many claimers empty a lane of that many steps together, each step is granted to exactly one of them, and
    each is then done if `ends_them`. Counts `steps`, and the `claimers` that got some."""
    await engine.publish("a")
    for first in range(0, steps, _SUBMITTED_AT_ONCE):
        await engine.submit_many(min(_SUBMITTED_AT_ONCE, steps - first))
    workers = await open_sessions(engine, claimers, slots=100_000, lease_s=100_000)
    taken = await asyncio.gather(*(_claim_all(worker, 7 + 5 * place) for place, worker in enumerate(workers)))
    rest = await _claim_all(workers[0], 1000)
    everything = Counter(itertools.chain(*taken, rest))
    assert len(everything) == steps
    assert set(everything.values()) == {1}
    assert await engine.value("select max(attempt) from tasker_engine.steps") == 1
    if ends_them:
        await asyncio.gather(*(_end_all(worker) for worker in workers))
    return Counter({"steps": steps, "claimers": sum(1 for share in taken if share)})


async def _claim_all(worker: Session, size: int) -> list[UUID]:
    taken: list[UUID] = []
    idle = 0
    while idle < 3:
        grants = await worker.claim(size)
        taken += [grant.task_id for grant in grants]
        idle = 0 if grants else idle + 1
    return taken


async def _end_all(worker: Session) -> None:
    held = list(worker.held.values())
    for first in range(0, len(held), _ENDED_AT_ONCE):
        assert (await worker.succeed(*held[first : first + _ENDED_AT_ONCE])).verdicts == []


# Operators among workers ----------------------------------------------------------------------------------------------


async def operate_among_workers(engine: Engine, chance: random.Random) -> Counter[str]:
    """An operator cancels, pauses, resolves and retries 100 of 150 tasks, while workers report, hand back and die; in
    the end all has ended. Counts what the operator `did`, and what was `refused`."""
    await engine.publish("a -> b, c -> d", max_attempts=2, backoff="none")
    tasks = await engine.submit_many(150)
    workers = await open_sessions(engine, 4, slots=30, lease_s=1000)
    operator = await engine.connect()
    operating = _operate(engine, chance.sample(tasks, 100), operator, random.Random(chance.random()))
    shifts = (_work(worker, random.Random(chance.random())) for worker in workers)
    counting = asyncio.create_task(operating)
    await asyncio.gather(counting, *shifts)
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
    return counting.result()


async def _operate(engine: Engine, tasks: list[UUID], operator: Any, chance: random.Random) -> Counter[str]:
    counts: Counter[str] = Counter()
    for task in tasks:
        action = chance.choice([*_ACTIONS_OF_TASKS, *_ACTIONS_OF_STEPS])
        step = chance.choice("abcd") if action in _ACTIONS_OF_STEPS else None
        try:
            await engine.act(action, task, step, connection=operator)
        except ActionForbidden:
            counts["refused"] += 1
        else:
            counts["did"] += 1
    return counts


async def _work(worker: Session, chance: random.Random) -> None:
    for _ in range(60):
        await worker.claim(may_be_alone=True)
        held = list(worker.held.values())
        some = held[: chance.randint(0, len(held))]
        outcomes = [chance.choice([success(1), success(1), passing_fault(), hand_back()]) for _ in some]
        await worker.report(*zip(some, outcomes, strict=True), may_wait=chance.random() < 0.2)
        await worker.beat(*worker.held.values())
