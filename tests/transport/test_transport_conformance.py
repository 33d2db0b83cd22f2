"""What every transport keeps to: direct, PGMQ, RabbitMQ."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import psycopg
import pytest
from support.rabbit import RabbitServer
from support.until import until
from transport_support import BROKERS, NEVER_S, Begin, Foreign, Mischief, Ran, finished

from tasker import Tasker


async def submit(tasker: Tasker, namespace: str, count: int) -> list[Any]:
    made = await tasker.submit_many("order", [{} for _ in range(count)], namespace=namespace)
    return [one.task_uuid for one in made]


def each_ran_once(ran: Ran, tasks: list[Any]) -> bool:
    return ran.counts == {(task, step): 1 for task in tasks for step in ("pay", "ship")}


async def idles(foreign: Foreign, workers: int = 1) -> None:
    """Returns when so many workers have looked for work in vain, and each has heard that the others are idle."""
    since = "-infinity"
    query = (
        "select count(*), max(beat_at)::text from tasker_engine.sessions where is_idle and beat_at > %s::timestamptz"
    )

    async def have_beaten() -> bool:
        nonlocal since
        async with foreign.database() as connection:
            count, beat_at = await (await connection.execute(query, [since])).fetchone() or (0, since)
        since, is_so = (beat_at, True) if count >= workers else (since, False)
        return is_so

    for _ in range(3):  # what a beat answers is heard before the next one
        await until(have_beaten, "the workers are idle")


async def test_work_is_handed_to_an_idle_worker_that_does_not_poll(
    begin: Begin, foreign: Foreign, namespace: str, ran: Ran
) -> None:
    """A worker that looks for work once an hour runs what another process submits: it was woken."""
    await begin(poll_s=NEVER_S)
    client = await begin(worker=False)
    await idles(foreign)
    for _ in range(3):
        tasks = await submit(client, namespace, 2)
        assert await finished(client, tasks) == ["complete"] * 2
    assert set(ran.counts.values()) == {1}


@pytest.mark.parametrize("transport", ["direct"])
async def test_a_step_that_is_freed_for_another_process_wakes_it(
    begin: Begin, foreign: Foreign, namespace: str, ran: Ran
) -> None:
    """Workers that look for work once an hour hand a task from one to the other: whoever frees a step announces it."""
    client = await begin(worker=False)
    for handler in ("pay", "ship"):
        await begin(poll_s=NEVER_S, only=handler)
    await idles(foreign, workers=2)
    tasks = await submit(client, namespace, 2)
    assert await finished(client, tasks) == ["complete"] * 2
    assert each_ran_once(ran, tasks)


async def test_mischief_at_the_broker_changes_nothing(begin: Begin, foreign: Foreign, namespace: str, ran: Ran) -> None:
    """Announcements are lost, doubled, delayed and reordered: every task ends, and each of its steps runs once."""
    await begin()
    client = await begin(worker=False)
    mischief = Mischief(foreign, f"worker_{namespace}_queue", seed=7)
    async with asyncio.TaskGroup() as group:
        meddling = group.create_task(mischief.run())
        tasks = [task for _ in range(20) for task in await submit(client, namespace, 10)]
        if foreign.transport != "direct":  # what a broker delivers long after the step is done
            late = {"task_uuid": str(tasks[0]), "step_number": 1, "attempt": 1, "namespace": namespace}
            await foreign.put(f"worker_{namespace}_queue", *[late] * 20)
            wanted = {"lost", "late", "doubled"}
        else:
            wanted = {"doubled"}
        assert await finished(client, tasks) == ["complete"] * len(tasks)
        await until(lambda: wanted <= mischief.did.keys(), "all kinds of mischief were done")
        meddling.cancel()
    assert each_ran_once(ran, tasks)


async def test_nothing_is_lost_when_the_broker_is_killed(
    begin: Begin, foreign: Foreign, namespace: str, ran: Ran, request: pytest.FixtureRequest
) -> None:
    """The broker dies while tasks are submitted and run: all of them end, and each event is told when it is back."""
    await begin()
    client = await begin(worker=False)
    first = await submit(client, namespace, 5)
    told: set[tuple[str, str]] = set()

    async def all_told(tasks: list[Any]) -> bool:
        """The foreign consumer was told each event of these; the direct transport has no such consumer."""
        if foreign.transport == "direct":
            return True
        for event in await foreign.take(f"{namespace}_domain_events"):
            told.add((event["metadata"]["task_uuid"], event["event_name"]))
        return told >= {(str(task), name) for task in tasks for name in ("order.paid", "order.shipped")}

    await until(lambda: all_told(first), "the broker has carried something", within_s=60)
    before = await submit(client, namespace, 20)
    rabbit: RabbitServer | None = request.getfixturevalue("rabbit") if foreign.transport == "rabbitmq" else None
    if rabbit is not None:
        since = time.time()
        await until(lambda: rabbit.is_flushed(since), "the broker has written down its queues")
        await asyncio.to_thread(rabbit.kill)
    else:
        await foreign.cut()
    during = await submit(client, namespace, 20)
    assert await finished(client, before + during) == ["complete"] * 40
    if rabbit is not None:
        await asyncio.to_thread(rabbit.start)
    after = await submit(client, namespace, 20)
    tasks = first + before + during + after
    assert await finished(client, after) == ["complete"] * 20
    await until(lambda: all_told(tasks), "each event has reached the foreign consumer", within_s=60)


async def test_domain_events_reach_a_foreign_consumer_in_order(begin: Begin, foreign: Foreign, namespace: str) -> None:
    """Each event reaches a program that knows only the broker: those of a task in order, with ids that never change."""
    tasker = await begin()
    tasks = await submit(tasker, namespace, 30)
    await finished(tasker, tasks)
    heard: list[Any] = []

    async def all_heard() -> bool:
        if foreign.transport == "direct":
            found = await tasker.events(after=heard[-1].cursor if heard else 0, limit=1000)
            heard.extend(found)
        else:
            heard.extend(await foreign.take(f"{namespace}_domain_events"))
        return len(heard) >= 60

    await until(all_heard, "all events were heard")
    outbox = await tasker.events(limit=1000)
    if foreign.transport == "direct":
        assert [one.event_id for one in heard] == [one.event_id for one in outbox]
        return
    assert {one["event_id"]: one["position"] for one in heard} == {str(one.event_id): one.cursor for one in outbox}
    assert {one["payload"]["payload"].popitem() for one in heard} == {("paid", 1), ("shipped", 1)}
    for task in tasks:
        of_task = [one for one in heard if one["metadata"]["task_uuid"] == str(task)]
        first = list({one["event_id"]: one["event_name"] for one in of_task}.values())
        assert first == ["order.paid", "order.shipped"]


@pytest.mark.parametrize("transport", BROKERS)
async def test_poisoned_messages_are_put_aside_and_counted(begin: Begin, foreign: Foreign, namespace: str) -> None:
    """What nobody can read goes to the dead letters, each message once; work goes on."""
    worker = await begin()
    client = await begin(worker=False)
    await finished(client, await submit(client, namespace, 1))
    queue = f"worker_{namespace}_queue"
    poison = ["not a pointer", {"task_uuid": "x"}, {"task_uuid": 7, "step_number": 1, "attempt": 1, "namespace": "a"}]
    await foreign.put(queue, *poison)
    await until(lambda: worker.transport_counts["dead"] == 3, "the poison was counted")
    dead: list[Any] = []

    async def all_dead() -> bool:
        dead.extend(await foreign.take(f"{queue}_dlq"))
        return len(dead) >= 3

    await until(all_dead, "the poison lies among the dead letters")
    bodies = [one["message"] if foreign.transport == "pgmq" else one for one in dead]
    assert sorted(map(_canonical, bodies)) == sorted(map(_canonical, poison))
    assert await finished(client, await submit(client, namespace, 5)) == ["complete"] * 5
    assert worker.transport_counts["dead"] == 3


@pytest.mark.parametrize("transport", BROKERS)
async def test_a_transaction_that_is_undone_announces_nothing(begin: Begin, foreign: Foreign, namespace: str) -> None:
    """State and message are one transaction: a submit that is rolled back leaves neither."""
    client = await begin(worker=False)
    await client.stop()  # nobody drains what is written
    query = (
        "select tasker_engine.submit(%s, 'order', null, array[tasker_engine.uuid7(clock_timestamp())], "
        "array['{}'::jsonb])"
    )
    async with foreign.database() as connection:
        for is_kept in (False, True):
            async with connection.transaction() as transaction:
                await connection.execute(query, [namespace])
                if not is_kept:
                    raise psycopg.Rollback(transaction)
            assert await _announced(foreign, connection, namespace) == is_kept


async def _announced(foreign: Foreign, connection: Any, namespace: str) -> int:
    queue = f"worker_{namespace}_queue"
    if foreign.transport == "pgmq":
        return len(await foreign.take(queue))
    found = await connection.execute("select count(*) from tasker_engine.messages where queue = %s", [queue])
    return (await found.fetchone())[0]


def _canonical(body: Any) -> str:
    return json.dumps(body, sort_keys=True)
