"""Which of the waiting steps a claim takes."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest
from support.engine import Engine

from tasker.store.replies import Grant


async def _namespaces(engine: Engine, grants: list[Grant]) -> Counter[str]:
    query = """select n.name from tasker_engine.tasks t join tasker_engine.namespaces n using (namespace_id)
               where task_id = $1"""
    return Counter([await engine.value(query, grant.task_id) for grant in grants])


def _ids(grants: list[Grant]) -> list[UUID]:
    return [grant.task_id for grant in grants]


async def test_first_come_first_served(engine: Engine) -> None:
    """Tasks of one kind and priority begin in the order in which they were submitted."""
    await engine.publish("a")
    tasks = await engine.submit_many(10)
    worker = await engine.session(slots=3)
    taken: list[UUID] = []
    while grants := await worker.claim():
        taken += _ids(grants)
        await worker.succeed(*grants)
    assert taken == tasks


async def test_a_claim_takes_no_more_than_there_are_free_slots(engine: Engine) -> None:
    """Each pool is filled up to its free slots, and no further."""
    await engine.publish("a; b")
    await engine.submit_many(10)
    worker = await engine.session()
    handlers = {
        row["channel_id"]: row["handler"]
        for row in await engine.rows("select channel_id, handler from tasker_engine.channels")
    }
    worker.serving.pools = [1 if handlers[channel] == "a" else 2 for channel in worker.serving.channels]
    reply = await engine.verbs.claim(engine.connection, worker.number, worker.serving, [3, 5], may_be_alone=False)
    counts = Counter(grant.number for grant in reply.grants)
    assert counts == {1: 3, 2: 5}
    reply = await engine.verbs.claim(engine.connection, worker.number, worker.serving, [0, 0], may_be_alone=False)
    assert reply.grants == []


async def test_started_tasks_come_before_new_ones(engine: Engine) -> None:
    """Steps of a task that has begun go before the first steps of younger tasks."""
    await engine.publish("a -> b, c")
    older = await engine.submit()
    worker = await engine.session(slots=1)
    [a] = await worker.claim()
    engine.advance(1)
    await engine.submit_many(5)
    [first] = (await worker.succeed(a)).grants
    await worker.succeed(first)
    [second] = await worker.claim()
    assert (first.task_id, second.task_id) == (older, older)


@pytest.mark.parametrize("priorities", [[-2, -1, 0, 1, 2], [-100, -1, 0, 1, 100]])
async def test_a_higher_priority_comes_first(engine: Engine, priorities: list[int]) -> None:
    """Of tasks submitted together the one of the highest priority begins first; there are five classes."""
    await engine.publish("a")
    tasks = [await engine.submit(priority=priority) for priority in priorities]
    worker = await engine.session(slots=1)
    taken: list[UUID] = []
    while grants := await worker.claim():
        taken += _ids(grants)
        await worker.succeed(*grants)
    assert taken == tasks[::-1]


async def test_waiting_ages(engine: Engine) -> None:
    """A task of low priority that has waited longer than the classes between are worth comes first."""
    await engine.publish("a")
    low = await engine.submit(priority=-1)
    engine.advance(119)
    middle = await engine.submit(priority=1)
    engine.advance(2)
    late = await engine.submit(priority=1)
    worker = await engine.session(slots=1)
    taken: list[UUID] = []
    while grants := await worker.claim():
        taken += _ids(grants)
        await worker.succeed(*grants)
    assert taken == [middle, low, late]


async def test_what_a_priority_is_worth_is_a_setting(engine: Engine) -> None:
    """`tasker.priority_s` says how many seconds of waiting one class is worth."""
    await engine.publish("a")
    low = await engine.submit(priority=0)
    engine.advance(10)
    high = await engine.submit(priority=1)
    await engine.connection.execute("set tasker.priority_s = 5")
    worker = await engine.session(slots=1)
    [first] = await worker.claim()
    assert first.task_id == low
    await worker.succeed(first)
    assert _ids(await worker.claim()) == [high]


async def test_namespaces_share_a_claim(engine: Engine) -> None:
    """A namespace with a huge backlog leaves the others their share of each claim, however late they come."""
    for namespace in ("noisy", "quiet", "calm"):
        await engine.publish("a", name=namespace, namespace=namespace)
    await engine.submit_many(300, name="noisy")
    engine.advance(60)
    await engine.submit_many(300, name="quiet")
    await engine.submit_many(300, name="calm")
    worker = await engine.session(slots=30)
    for _ in range(5):
        grants = await worker.claim()
        assert await _namespaces(engine, grants) == {"noisy": 10, "quiet": 10, "calm": 10}
        await worker.succeed(*grants)


async def test_a_share_that_is_not_used_goes_to_the_others(engine: Engine) -> None:
    """A namespace with little work leaves no slot empty."""
    for namespace in ("noisy", "quiet", "idle"):
        await engine.publish("a", name=namespace, namespace=namespace)
    await engine.submit_many(100, name="noisy")
    await engine.submit_many(2, name="quiet")
    worker = await engine.session(slots=30)
    assert await _namespaces(engine, await worker.claim()) == {"noisy": 28, "quiet": 2}


async def test_namespaces_take_turns_where_there_is_one_slot(engine: Engine) -> None:
    """With a single slot each namespace is served: none waits for the backlog of another."""
    for namespace in ("noisy", "quiet"):
        await engine.publish("a", name=namespace, namespace=namespace)
    await engine.submit_many(200, name="noisy")
    engine.advance(600)
    await engine.submit_many(200, name="quiet")
    worker = await engine.session(slots=1)
    served: Counter[str] = Counter()
    for _ in range(60):
        grants = await worker.claim()
        served += await _namespaces(engine, grants)
        await worker.succeed(*grants)
    assert min(served["noisy"], served["quiet"]) >= 10


async def test_one_missing_handler_blocks_nobody(engine: Engine) -> None:
    """A thousand steps that no worker can run, all older, delay no step that one can."""
    await engine.publish("a", name="deployed")
    await engine.publish("x", name="missing")
    await engine.submit_many(1000, name="missing")
    engine.advance(10)
    task = await engine.submit(name="deployed")
    worker = await engine.session(["a"], slots=1)
    assert _ids(await worker.claim()) == [task]


async def test_a_queue_names_its_workers(engine: Engine) -> None:
    """A step with a queue runs where that queue is served, and nowhere else."""
    await engine.publish("a -> b", b={"queue": "gpu"})
    await engine.submit()
    ordinary = await engine.session(queues=["tests"])
    special = await engine.session(queues=["gpu"])
    assert (await ordinary.succeed(*await ordinary.claim())).grants == []
    assert await ordinary.claim() == []
    assert len(await special.claim()) == 1


async def test_an_empty_claim_writes_nothing(engine: Engine) -> None:
    """Polling an empty engine takes no transaction id and leaves no row."""
    await engine.publish("a")
    worker = await engine.session()
    before = await engine.value("select pg_current_xact_id_if_assigned() is null")
    async with engine.connection.transaction():
        assert await worker.claim(may_be_alone=True) == []
        after = await engine.value("select pg_current_xact_id_if_assigned() is null")
    assert (before, after) == (True, True)


async def test_a_claim_says_when_the_next_step_is_due(engine: Engine) -> None:
    """An idle worker learns how long it may sleep; where nothing is due, it learns that."""
    await engine.publish("a")
    worker = await engine.session()
    assert (await worker.claim_reply()).next_due_s is None
    await engine.submit(delay_s=30)
    await engine.submit(delay_s=12.5)
    assert (await worker.claim_reply()).next_due_s == 12.5
