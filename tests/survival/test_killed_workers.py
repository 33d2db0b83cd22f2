"""Workers that are killed, stopped and poisoned: no task is lost, nothing is recorded twice, everything ends."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable
from typing import Any
from uuid import UUID

from fleet import IS_FULL, Fleet, all_ended, ask, flow, parted, random_templates, seed_of, violations
from support.checker import check
from support.until import until

from tasker import Tasker
from tasker.model.template import Template

KILLS, TASKS = (100, 2000) if IS_FULL else (10, 150)


async def test_kill_9_of_workers_at_random_moments(fleet: Fleet, client: Callable[..., Any]) -> None:
    """Workers die at random moments of random work, again and again: every task ends as it should."""
    chance = random.Random(seed_of("kill -9"))
    templates = random_templates(chance, 12)
    tasker = await client(fleet.dsn, templates)
    fleet.start(3, TASKER_CONCURRENCY="10", TASKER_THREADS="3")
    await fleet.ready(3)
    tasks: list[UUID] = []
    for killed in range(KILLS):
        tasks += await _submit(tasker, templates, chance, TASKS // KILLS)
        goal = fleet.ledger.count() + chance.randint(1, 60)
        await until(lambda goal=goal: fleet.ledger.count() > goal, f"work goes on after {killed} kills", within_s=60)
        living = fleet.living()
        await fleet.kill(chance.choice([worker for worker in fleet.workers if worker.pid in living]))
        fleet.start(TASKER_CONCURRENCY="10", TASKER_THREADS="3")
    await all_ended(fleet.dsn, tasks, within_s=60)
    await until(lambda: len(fleet.living()) == 3, "the last session is known to be lost")
    assert violations(fleet.dsn, fleet.ledger, tasks) == []
    _is_no_vacuity(fleet, tasks)


async def _submit(tasker: Tasker, templates: list[Template], chance: random.Random, count: int) -> list[UUID]:
    """Tasks of random templates, of which one execution in ten fails for a passing reason."""
    contexts = [{"n": n, "pause_s": 0.1, "may_fail": True} for n in range(count)]
    names = [chance.choice(templates).name for _ in contexts]
    submitted = [
        await tasker.submit(name, namespace="tests", context=context)
        for name, context in zip(names, contexts, strict=True)
    ]
    return [task.task_uuid for task in submitted]


def _is_no_vacuity(fleet: Fleet, tasks: list[Any]) -> None:
    """The faults struck: steps were lost in the middle, and nearly all the work was done all the same."""
    lost = ask(
        fleet.dsn, "select count(*) from tasker_engine.transitions where detail ->> 'error_type' = 'worker_lost'"
    )
    ended = ask(fleet.dsn, "select count(*) from tasker_engine.sessions where is_loss")
    failed = """select s.task_id, s.number, s.state::text, s.attempt, s.tries, s.losses, s.error::text
                from tasker_engine.steps s join tasker_engine.tasks t using (task_id)
                where t.state <> 'complete' and s.state <> 'complete'"""
    assert lost[0][0] >= KILLS
    assert ended[0][0] >= KILLS
    assert ask(fleet.dsn, failed) == []
    assert ask(fleet.dsn, "select count(*) from tasker_engine.tasks where state = 'complete'") == [(len(tasks),)]


async def test_five_that_kill_their_worker_among_five_hundred(fleet: Fleet, client: Callable[..., Any]) -> None:
    """Steps that take their worker with them end with `worker_lost`, after three losses alone; no other one does."""
    chance = random.Random(seed_of("poison"))
    tasker = await client(fleet.dsn, [flow("good", "walk"), flow("poison", "kill")])
    names = ["good"] * 500 + ["poison"] * 5
    chance.shuffle(names)
    tasks = {name: [] for name in ("good", "poison")}
    for n, name in enumerate(names):
        tasks[name].append((await tasker.submit(name, namespace="tests", context={"n": n})).task_uuid)
    everything = [*tasks["good"], *tasks["poison"]]
    fleet.start(2)
    revival = asyncio.create_task(_replace_the_dead(fleet))
    await all_ended(fleet.dsn, everything, within_s=90)
    revival.cancel()
    assert violations(fleet.dsn, fleet.ledger, everything) == []
    query = """select t.state::text, s.error ->> 'error_type', s.losses from tasker_engine.steps s
               join tasker_engine.tasks t using (task_id) where task_id = any (%s) group by 1, 2, 3"""
    assert ask(fleet.dsn, query, tasks["poison"]) == [("error", "worker_lost", 3)]
    assert ask(fleet.dsn, query, tasks["good"]) == [("complete", None, 0)]


async def _replace_the_dead(fleet: Fleet) -> None:
    """What a supervisor does, at once."""
    while True:
        for worker in [one for one in fleet.workers if not one.is_alive]:
            await fleet.kill(worker)
            fleet.start()
        await asyncio.sleep(0.02)


async def test_a_worker_stopped_past_its_lease_and_continued(fleet: Fleet, client: Callable[..., Any]) -> None:
    """What a stopped process held goes on elsewhere; when it wakes, its results are refused and counted, and it goes on
    with a new session."""
    tasker = await client(fleet.dsn, [flow("slow", "linger")])
    [sleeper] = fleet.start()
    await fleet.ready(1)
    context = {"n": 1, "first_s": 0.6}
    tasks = [(await tasker.submit("slow", namespace="tests", context=context)).task_uuid for _ in range(20)]
    await until(lambda: fleet.ledger.count("start") == 20, "all run")
    sleeper.signal(signal.SIGSTOP)
    fleet.start()
    await all_ended(fleet.dsn, tasks, within_s=90)
    sleeper.signal(signal.SIGCONT)
    refused = "select coalesce(sum(stale_outcomes), 0) from tasker_engine.sessions"
    await until(lambda: ask(fleet.dsn, refused)[0][0] == 20, "twenty late results were refused")
    await until(lambda: len(fleet.living()) == 2, "it has a new session")
    assert violations(fleet.dsn, fleet.ledger, tasks) == []
    again = await tasker.submit("slow", namespace="tests", context={"n": 1, "first_s": 0})
    await all_ended(fleet.dsn, [again.task_uuid], within_s=90)


async def test_a_worker_stopped_while_a_megabyte_is_on_its_way(fleet: Fleet, client: Callable[..., Any]) -> None:
    """A worker that is stopped while it receives a large reply holds up nobody: operators act on the task at once, its
    steps run elsewhere after its lease, and others never notice."""
    tasker = await client(fleet.dsn, [flow("large", "walk", "walk"), flow("small", "walk")])
    [sleeper] = fleet.start(TASKER_TEST_STOP_AT_LOAD="1")
    await fleet.ready(1)
    large = {"n": 1, "text": "x" * 1_000_000}
    first = (await tasker.submit("large", namespace="tests", context=large)).task_uuid
    await all_ended(fleet.dsn, [first], within_s=90)
    stuck = (await tasker.submit("large", namespace="tests", context=large)).task_uuid
    await until(lambda: fleet.ledger.count("stopped") == 1, "the worker has stopped itself")
    await asyncio.wait_for(tasker.act("pause", stuck, actor="ada"), 30)
    await asyncio.wait_for(tasker.act("resume", stuck, actor="ada"), 30)
    fleet.start()
    small = [(await tasker.submit("small", namespace="tests", context={"n": n})).task_uuid for n in range(50)]
    await all_ended(fleet.dsn, small, within_s=90)
    await all_ended(fleet.dsn, [stuck], within_s=90)
    assert sleeper.is_alive
    assert ask(fleet.dsn, "select count(*) from pg_locks where not granted")[0][0] == 0
    assert violations(fleet.dsn, fleet.ledger, [first, stuck, *small]) == []
    sleeper.signal(signal.SIGCONT)
    await until(lambda: len(fleet.living()) == 2, "it has a new session")


async def test_a_killed_worker_goes_on_at_the_last_checkpoint(fleet: Fleet, client: Callable[..., Any]) -> None:
    """Workers die in the middle of long steps: each goes on elsewhere where it had come to, and no row is worked on
    again once it was saved."""
    chance = random.Random(seed_of("checkpoints"))
    tasker = await client(fleet.dsn, [flow("long", "rows")])
    contexts = [{"n": n, "rows": 150} for n in range(12)]
    tasks = [task.task_uuid for task in await tasker.submit_many("long", contexts, namespace="tests")]
    fleet.start(2)
    revival = asyncio.create_task(_replace_the_dead(fleet))
    for _ in range(6):
        seen = fleet.ledger.count()
        await until(lambda seen=seen: fleet.ledger.count() > seen + chance.randint(50, 150), "rows are worked on")
        chance.choice([worker for worker in fleet.workers if worker.is_alive]).signal(signal.SIGKILL)
    await all_ended(fleet.dsn, tasks, within_s=90)
    revival.cancel()
    assert violations(fleet.dsn, fleet.ledger, tasks) == []
    saved, again = dict.fromkeys(map(str, tasks), 0), 0
    for entry in fleet.ledger.entries():
        moment, _, number = entry.moment.partition("=")
        if moment == "row":
            assert int(number) >= saved[entry.task], f"row {number} of {entry.task} was saved, and worked on again"
        elif moment == "saved":
            saved[entry.task] = int(number)
        again += moment == "start" and entry.attempt > 1
    assert set(saved.values()) == {150}
    assert again >= 6


async def test_a_batch_goes_on_when_its_workers_are_killed(fleet: Fleet, client: Callable[..., Any]) -> None:
    """Each part goes on at its last checkpoint: every row is done, none again once saved, and the counts agree."""
    chance = random.Random(seed_of("batches"))
    tasker = await client(fleet.dsn, [parted("cut", "part")])
    contexts = [{"n": n, "rows": 180} for n in range(4)]
    tasks = [task.task_uuid for task in await tasker.submit_many("parted", contexts, namespace="tests")]
    fleet.start(2)
    revival = asyncio.create_task(_replace_the_dead(fleet))
    for _ in range(5):
        seen = fleet.ledger.count()
        await until(lambda seen=seen: fleet.ledger.count() > seen + chance.randint(50, 120), "rows are worked on")
        chance.choice([worker for worker in fleet.workers if worker.is_alive]).signal(signal.SIGKILL)
    await all_ended(fleet.dsn, tasks, within_s=90)
    revival.cancel()
    assert check(fleet.dsn) == []
    saved: dict[tuple[str, str], int] = {}
    done: dict[str, set[int]] = {str(task): set() for task in tasks}
    for entry in fleet.ledger.entries():
        moment, _, number = entry.moment.partition("=")
        part = (entry.task, entry.step)
        if moment == "row":
            assert int(number) >= saved.get(part, 0), f"row {number} of {part} was saved, and worked on again"
            done[entry.task].add(int(number))
        elif moment == "saved":
            saved[part] = int(number)
    assert done == {str(task): set(range(180)) for task in tasks}
    results = ask(fleet.dsn, "select result from tasker_engine.steps where number = 2")
    assert [row[0] for row in results] == [{"total": 6, "succeeded": 6, "failed": 0, "items": 180}] * 4
