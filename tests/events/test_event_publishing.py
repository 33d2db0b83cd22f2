"""What waits in the outbox: it is published in order, handed to each subscriber, and goes when it is old."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from events_support import answer, declared, handed, published, settle, subscribe, take
from support.engine import Engine
from support.until import until

from tasker.store.events import read_events

# Publishing -----------------------------------------------------------------------------------------------------------


async def told_tasks(engine: Engine, count: int, **options: Any) -> list[UUID]:
    """So many tasks of two steps, each of which has told `order.paid`, the steps in their order."""
    await engine.publish("a -> b", **({"a": declared("order.paid"), "b": declared("order.sent")} | options))
    tasks = await engine.submit_many(count)
    worker = await engine.session()
    await worker.succeed(*await worker.claim())
    await worker.succeed(*list(worker.held.values()))
    return tasks


async def test_the_events_of_a_task_are_published_in_order(engine: Engine) -> None:
    """Only the first of a task that is not settled is handed out, to whomever."""
    tasks = await told_tasks(engine, 3)
    mine, others = uuid4(), uuid4()
    first = await take(engine, owner=mine, most=2)
    assert [one.occurrence.name for one in first] == ["order.paid"] * 2
    assert [one.occurrence.name for one in await take(engine, owner=others)] == ["order.paid"]
    assert await take(engine, owner=others) == []
    await settle(engine, mine, first)
    assert [one.occurrence.name for one in await take(engine, owner=others)] == ["order.sent"] * 2
    assert {one.occurrence.task_uuid for one in first} < set(tasks)


async def test_what_a_dead_process_had_taken_is_taken_by_another(engine: Engine) -> None:
    """After its lease; what the dead one says then counts no more."""
    await told_tasks(engine, 1)
    dead, living = uuid4(), uuid4()
    taken = await take(engine, owner=dead)
    engine.advance(31)
    again = await take(engine, owner=living)
    assert [one.seq for one in again] == [one.seq for one in taken]
    assert [one.occurrence.event_id for one in again] == [one.occurrence.event_id for one in taken]
    assert await settle(engine, dead, taken) == 0
    assert await settle(engine, living, again) == 1


async def test_an_event_waits_for_its_publisher(engine: Engine) -> None:
    """A process without it is not given the event, nor what its task tells later."""
    await told_tasks(engine, 1, a=declared("order.paid", publisher="Shop::Paid"))
    assert await take(engine, owner=uuid4()) == []
    assert [one.name for one in await published(engine, "Shop::Paid")] == ["order.paid", "order.sent"]


async def test_a_failing_publisher_is_asked_again_and_not_for_ever(engine: Engine) -> None:
    """It waits longer each time; at last the event is refused, and says why, and what comes after it goes on."""
    await told_tasks(engine, 1)
    owner, tries = uuid4(), 0
    while (taken := await take(engine, owner=owner)) and taken[0].occurrence.name == "order.paid":
        tries += 1
        await settle(engine, owner, taken, "it is broken")
        assert tries == 10 or await take(engine, owner=owner) == []
        engine.advance(61)
    assert tries == 10
    assert [one.occurrence.name for one in taken] == ["order.sent"]
    (refused,) = await read_events(engine.connection, statuses=["refused"])
    assert (refused.name, refused.problem) == ("order.paid", "it is broken")


async def test_an_event_that_kills_its_processes_is_refused(engine: Engine) -> None:
    """Who takes it for the eleventh time is told that ten before were never heard of again."""
    await told_tasks(engine, 1)
    losses = []
    for _ in range(11):
        losses += [one.is_lost for one in await take(engine, owner=uuid4())]
        engine.advance(31)
    assert losses == [False] * 10 + [True]


async def test_positions_become_visible_in_their_order(engine: Engine) -> None:
    """Who publishes while another has not committed waits: a reader's cursor never passes what comes later."""
    await told_tasks(engine, 2)
    slow, quick = await engine.connect(), await engine.connect()
    mine, others = uuid4(), uuid4()
    (first,) = await take(engine, owner=mine, most=1)
    (second,) = await take(engine, owner=others, most=1)
    held = Engine(engine.dsn)
    held.connection, held.clock = slow, engine.clock
    also = Engine(engine.dsn)
    also.connection, also.clock = quick, engine.clock
    async with slow.transaction(isolation="read_committed"):
        await settle(held, mine, [first])
        waiting = asyncio.create_task(settle(also, others, [second]))
        query = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        await until(lambda: engine.value(query), "the second waits")
        assert not waiting.done()
        assert await read_events(engine.connection) == []
    await waiting
    events = await read_events(engine.connection)
    assert [event.event_id for event in events] == [first.occurrence.event_id, second.occurrence.event_id]


async def test_a_reader_goes_on_from_its_cursor(engine: Engine) -> None:
    """Page by page, of the names and tasks that it asks for."""
    tasks = await told_tasks(engine, 3)
    await published(engine)
    seen = []
    cursor = 0
    while page := await read_events(engine.connection, after=cursor, limit=2):
        seen += page
        cursor = page[-1].cursor or 0
    assert len(seen) == 6 and len({event.event_id for event in seen}) == 6
    assert {event.task_uuid for event in await read_events(engine.connection, names=["order.s*"])} == set(tasks)
    assert len(await read_events(engine.connection, task_uuids=tasks[:1])) == 2
    assert await read_events(engine.connection, namespaces=["elsewhere"]) == []


# Retention ------------------------------------------------------------------------------------------------------------

DAY = 86_400


async def test_events_go_when_they_are_old_and_delivered(engine: Engine) -> None:
    """After a week; those that a subscriber still waits for after a month."""
    await subscribe(engine, "late", "order.paid")
    await told_tasks(engine, 2)
    await published(engine)
    await engine.sweep_all()
    assert await engine.count("events") == 4
    engine.advance(8 * DAY)
    await engine.sweep_all()
    await engine.sweep_all()
    assert await engine.count("events") == 2 and await engine.count("event_deliveries") == 2
    engine.advance(23 * DAY)
    await engine.sweep_all()
    await engine.sweep_all()
    await engine.sweep_all()
    assert await engine.count("events") == 0 and await engine.count("event_deliveries") == 0


async def test_what_stays_is_not_looked_at_by_each_sweep(engine: Engine) -> None:
    """The sweep goes round: behind many that have to stay it finds those that may go."""
    await subscribe(engine, "late", "order.paid")
    await told_tasks(engine, 150)
    await published(engine)
    engine.advance(8 * DAY)
    await engine.sweep()
    for _ in range(4):
        await engine.sweep()
    assert await engine.count("events") == 150


async def test_what_is_not_published_never_goes(engine: Engine) -> None:
    """However old."""
    await told_tasks(engine, 1)
    engine.advance(400 * DAY)
    await engine.sweep_all()
    await engine.sweep_all()
    assert await engine.count("events") == 2


# Deliveries -----------------------------------------------------------------------------------------------------------


async def test_each_subscriber_is_handed_each_event_once_and_in_order(engine: Engine) -> None:
    """By whichever process asks first; the next of a task comes when the one before it is done."""
    await subscribe(engine, "all", "order.*")
    await subscribe(engine, "sent", "order.sent")
    await told_tasks(engine, 2)
    await published(engine)
    one, other = uuid4(), uuid4()
    first = await handed(engine, "all", owner=one)
    assert [(delivery.subscriber, event.name) for delivery, event in first] == [("all", "order.paid")] * 2
    both = await handed(engine, "all", "sent", owner=other)
    assert [(delivery.subscriber, event.name) for delivery, event in both] == [("sent", "order.sent")] * 2
    await answer(engine, one, first)
    second = await handed(engine, "all", owner=other)
    assert [event.name for _, event in second] == ["order.sent"] * 2
    await answer(engine, other, [*second, *both])
    assert await engine.count("event_deliveries") == 0


async def test_patterns_are_no_more_than_stars(engine: Engine) -> None:
    """`_` and `%` mean themselves; a star means any text, dots included."""
    query = "select tasker_engine.event_matches($1, $2)"
    for name, patterns, wanted in [
        ("order.paid", ["order.*"], True),
        ("order.item.paid", ["order.*"], True),
        ("order_paid.x", ["order.*"], False),
        ("ordersxpaid.y", ["orders_paid.*"], False),
        ("order.paid", ["*.paid", "nothing"], True),
        ("order.paid", ["order.pai"], False),
        ("order.paid", ["*"], True),
    ]:
        assert await engine.value(query, name, patterns) is wanted, (name, patterns)


async def test_a_subscriber_that_failed_too_often_is_passed_over(engine: Engine) -> None:
    """What it failed of stays, with the reason, and the next events come to it."""
    await subscribe(engine, "all", "order.*")
    await told_tasks(engine, 1)
    await published(engine)
    owner, tries = uuid4(), []
    while (now := await handed(engine, "all", owner=owner)) and now[0][1].name == "order.paid":
        tries.append(now[0][1].tries)
        await answer(engine, owner, now, "it is broken")
        assert len(tries) == 10 or await handed(engine, "all", owner=owner) == []
        engine.advance(61)
    assert tries == list(range(1, 11)) and now[0][1].name == "order.sent"
    rows = await engine.rows(
        "select error, failed_at is not null as failed from tasker_engine.event_deliveries order by 1"
    )
    assert [tuple(row.values()) for row in rows] == [("it is broken", True), (None, False)]


async def test_a_subscriber_that_kills_its_processes_is_passed_over(engine: Engine) -> None:
    """A lease that ends without an answer counts as a try; after ten the event is given up."""
    await subscribe(engine, "all", "order.paid")
    await told_tasks(engine, 1)
    await published(engine)
    takers = 0
    while await handed(engine, "all", owner=uuid4()):
        takers += 1
        engine.advance(31)
    assert takers == 10
    error = await engine.value("select error from tasker_engine.event_deliveries where failed_at is not null")
    assert error == "the process ended while the subscriber ran"


async def test_the_outbox_keeps_its_rules(engine: Engine) -> None:
    """A row without a position is not settled, and one with a position is: the table itself refuses another."""
    await told_tasks(engine, 1)
    with pytest.raises(asyncpg.CheckViolationError):
        await engine.connection.raw.execute("update tasker_engine.events set position = 1")
