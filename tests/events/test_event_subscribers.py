"""From a step to its subscribers, in processes as users start them."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from events_support import Begin, shop
from support.until import until

from tasker import DomainEvent, DomainEventPublisher, Occurrence, PermanentError, SyncTasker, on_event, step_handler
from tasker.model.errors import HandlerNotFound, InvalidHandler, NotFound

RESULT = {"payment": 7, "total": 12.5}


@step_handler("pay")
async def pay(context: Any) -> dict[str, Any]:
    if context.inputs.get("fails"):
        raise PermanentError("declined", error_code="DECLINED")
    return RESULT


class Ear:
    """Subscribers that remember. `fails`: how many times they raise first."""

    def __init__(self, fails: int = 0) -> None:
        self.events: list[DomainEvent] = []
        self.threads: list[str] = []
        self.fails = fails

    def subscriber(self, *patterns: str, name: str = "ear") -> Any:
        """An async one."""

        @on_event(*patterns, name=name)
        async def hear(event: DomainEvent) -> None:
            self._hear(event)

        return hear

    def plain(self, *patterns: str, name: str = "plain") -> Any:
        """One that runs in a thread."""

        @on_event(*patterns, name=name)
        def hear(event: DomainEvent) -> None:
            self.threads.append(threading.current_thread().name)
            self._hear(event)

        return hear

    def _hear(self, event: DomainEvent) -> None:
        self.events.append(event)
        if len(self.events) <= self.fails:
            raise RuntimeError("not yet")

    async def heard(self, count: int) -> list[DomainEvent]:
        """So many events, when they have come."""
        await until(lambda: len(self.events) >= count, f"{count} events are heard")
        return self.events


class Receipt(DomainEventPublisher):
    """A publisher that transforms, adds, and declines."""

    publisher_name = "Shop::Receipt"

    def should_publish(self, occurrence: Occurrence) -> bool:
        return occurrence.result["total"] > 10

    async def payload(self, occurrence: Occurrence) -> Any:
        return {"receipt": occurrence.result["payment"], "of": occurrence.description}

    def metadata(self, occurrence: Occurrence) -> Any:
        return {"currency": "EUR", "attempt": occurrence.attempt}


async def run(tasker: Any, **context: Any) -> Any:
    """A task of the shop, when it has ended."""
    task = await tasker.submit("order", namespace="shop", context=context)
    return await tasker.wait(task.task_uuid, timeout=30)


async def test_a_durable_event_reaches_its_subscribers(begin: Begin) -> None:
    """Async ones and plain ones, each once, with all that is known of the step."""
    ear, other = Ear(), Ear()
    tasker = await begin(shop("[order.paid]"), pay, ear.subscriber("order.*"), other.plain("*.paid"))
    done = await run(tasker)
    (event,) = await ear.heard(1)
    assert (event.name, event.payload, event.outcome, event.mode) == ("order.paid", RESULT, "success", "durable")
    assert (event.task_uuid, event.step_name, event.namespace, event.attempt) == (done.task_uuid, "pay", "shop", 1)
    assert event.step_uuid == done.step("pay").step_uuid
    assert event.is_from_outbox and event.tries == 1 and event.published_at is not None
    (same,) = await other.heard(1)
    assert same.event_id == event.event_id and other.threads[0].startswith("tasker-step")
    assert [one.event_id for one in await tasker.events()] == [event.event_id]
    await until(lambda: _waiting(tasker, 0), "all is delivered")
    assert len(ear.events) == len(other.events) == 1


async def _waiting(tasker: Any, count: int) -> bool:
    return sum(one.waiting for one in await tasker.event_subscribers()) == count


async def test_a_fast_event_comes_at_once_and_is_not_kept(begin: Begin) -> None:
    """It does not touch the database."""
    ear = Ear()
    tasker = await begin(shop("[{name: order.paid, delivery_mode: fast}]"), pay, ear.subscriber("order.*"))
    await run(tasker)
    (event,) = await ear.heard(1)
    assert (event.payload, event.is_from_outbox, event.cursor) == (RESULT, False, None)
    assert await tasker.events(statuses=["recorded", "published"]) == []


async def test_a_broadcast_event_comes_both_ways_with_one_id(begin: Begin) -> None:
    """By which its subscribers know that it is the same."""
    ear = Ear()
    tasker = await begin(shop("[{name: order.paid, delivery_mode: broadcast}]"), pay, ear.subscriber("order.*"))
    await run(tasker)
    first, second = await ear.heard(2)
    assert first.event_id == second.event_id
    assert sorted((first.is_from_outbox, second.is_from_outbox)) == [False, True]


async def test_a_failure_tells_its_error(begin: Begin) -> None:
    """Under the conditions that are for failures."""
    ear = Ear()
    events = "[order.paid, {name: order.failed, condition: permanent_failure}]"
    tasker = await begin(shop(events), pay, ear.subscriber("order.*"))
    await run(tasker, fails=True)
    (event,) = await ear.heard(1)
    assert (event.name, event.outcome, event.payload["error_code"]) == ("order.failed", "permanent_failure", "DECLINED")


async def test_a_publisher_makes_the_payload(begin: Begin) -> None:
    """It transforms, adds metadata, and knows the declaration's description."""
    ear = Ear()
    events = "[{name: order.paid, description: money came, publisher: 'Shop::Receipt'}]"
    tasker = await begin(shop(events), pay, Receipt, ear.subscriber("order.*"))
    await run(tasker)
    (event,) = await ear.heard(1)
    assert event.payload == {"receipt": 7, "of": "money came"}
    assert event.metadata == {"currency": "EUR", "attempt": 1}
    assert event.publisher == "Shop::Receipt"


async def test_a_publisher_may_decline(begin: Begin) -> None:
    """Then nobody hears of it, and the outbox says so."""

    class Never(DomainEventPublisher):
        publisher_name = "never"

        def should_publish(self, occurrence: Occurrence) -> bool:
            return False

    ear = Ear()
    events = "[{name: order.paid, publisher: never}, order.sent]"
    tasker = await begin(shop(events), pay, Never(), ear.subscriber("order.*"))
    await run(tasker)
    assert [event.name for event in await ear.heard(1)] == ["order.sent"]
    assert [event.name for event in await tasker.events(statuses=["declined"])] == ["order.paid"]


async def test_a_payload_that_does_not_fit_is_refused(begin: Begin) -> None:
    """The step is complete all the same, and the outbox says what is wrong."""
    schema = "{type: object, required: [receipt]}"
    tasker = await begin(shop(f"[{{name: order.paid, schema: {schema}}}]"), pay, Ear().subscriber("order.*"))
    done = await run(tasker)
    (refused,) = await until(lambda: tasker.events(statuses=["refused"]), "the event is refused")
    assert "receipt" in refused.problem and "does not fit its schema" in refused.problem
    assert done.status == "complete" and refused.payload is None


async def test_a_subscriber_that_raises_gets_the_event_again(begin: Begin) -> None:
    """With the same id, and the number of the try."""
    ear = Ear(fails=1)
    tasker = await begin(shop("[order.paid]"), pay, ear.subscriber("order.*"))
    await run(tasker)
    events = await ear.heard(2)
    assert [event.tries for event in events] == [1, 2] and len({event.event_id for event in events}) == 1
    await until(lambda: _waiting(tasker, 0), "it is delivered")


async def test_several_processes_share_a_subscriber(begin: Begin) -> None:
    """Each event is handed to one of them."""
    mine, theirs = Ear(), Ear()
    tasker = await begin(shop("[order.paid]"), pay, mine.subscriber("order.*"))
    await begin(None, theirs.subscriber("order.*"))
    tasks = await tasker.submit_many("order", [{} for _ in range(40)], namespace="shop")
    await until(lambda: len(mine.events) + len(theirs.events) >= 40, "all are heard")
    await until(lambda: _waiting(tasker, 0), "all is delivered")
    heard = [event.task_uuid for event in [*mine.events, *theirs.events]]
    assert sorted(heard) == sorted(task.task_uuid for task in tasks)


async def test_the_events_of_a_task_come_in_order(begin: Begin) -> None:
    """Although a subscriber takes longer over the first of them than the second needs to come."""
    order: list[tuple[str, str]] = []
    both_recorded = asyncio.Event()

    @on_event("order.*", name="slow")
    async def slow(event: DomainEvent) -> None:
        order.append((event.name, "begins"))
        if event.name == "order.paid":
            await asyncio.wait_for(both_recorded.wait(), 15)
        order.append((event.name, "ends"))

    more = "  - {name: send, handler: pay, dependencies: [pay], publishes_events: [order.sent]}\n"
    tasker = await begin(shop("[order.paid]", more=more), pay, slow)
    await run(tasker)
    await until(lambda: _published(tasker, 2), "both are published")
    both_recorded.set()
    await until(lambda: len(order) == 4, "both are handled")
    assert order == [(name, what) for name in ("order.paid", "order.sent") for what in ("begins", "ends")]


async def _published(tasker: Any, count: int) -> bool:
    return len(await tasker.events()) == count


async def test_a_subscriber_may_take_longer_than_its_lease(begin: Begin) -> None:
    """While its process lives, no other is handed the event."""
    begun, may_end, calls = asyncio.Event(), asyncio.Event(), []

    def long(name: str) -> Any:
        @on_event("order.*", name="long")
        async def handle(_: DomainEvent) -> None:
            calls.append(name)
            begun.set()
            await asyncio.wait_for(may_end.wait(), 30)

        return handle

    tasker = await begin(shop("[order.paid]"), pay, long("mine"), lease_s=3)
    await begin(None, long("theirs"), lease_s=3)
    await run(tasker)
    await begun.wait()
    query = "select min(leased_until) from tasker_engine.event_deliveries"
    until_when = await _value(tasker, query)
    for _ in range(2):
        previous = until_when
        await until(lambda previous=previous: _later(tasker, query, previous), "the lease is renewed")
        until_when = await _value(tasker, query)
    may_end.set()
    await until(lambda: _waiting(tasker, 0), "it is delivered")
    assert len(calls) == 1


async def _value(tasker: Any, query: str) -> Any:
    return await tasker._ask(lambda connection: connection.fetchval(query))


async def _later(tasker: Any, query: str, than: Any) -> bool:
    return await _value(tasker, query) > than


async def test_what_waits_is_handed_over_before_the_end(begin: Begin) -> None:
    """A program that waits for its task and ends has told its subscribers."""
    ear = Ear()
    tasker = await begin(shop("[order.paid]"), pay, ear.subscriber("order.*"))
    await run(tasker)
    await tasker.stop()
    assert len(ear.events) == 1


async def test_a_subscriber_of_a_process_that_came_later_gets_what_was_told_since_it_was_known(begin: Begin) -> None:
    """It is known from its first start on: what comes while no process has it waits for the next."""
    early, late = Ear(), Ear()
    first = await begin(None, early.subscriber("order.*"))
    await first.stop()
    tasker = await begin(shop("[order.paid]"), pay)
    await run(tasker)
    await until(lambda: _waiting(tasker, 1), "the event waits")
    await begin(None, late.subscriber("order.*"))
    assert len(await late.heard(1)) == 1 and early.events == []


async def test_a_subscriber_that_is_gone_can_be_forgotten(begin: Begin) -> None:
    """With what waits for it."""
    first = await begin(None, Ear().subscriber("order.*", name="gone"))
    await first.stop()
    tasker = await begin(shop("[order.paid]"), pay)
    await run(tasker)
    await until(lambda: _waiting(tasker, 1), "the event waits")
    assert await tasker.forget_subscriber("gone") == 1
    assert await tasker.event_subscribers() == []
    with pytest.raises(NotFound, match="no subscriber"):
        await tasker.forget_subscriber("gone")


_CUT = """select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid()"""


async def test_a_cut_connection_loses_no_event(begin: Begin) -> None:
    """The courier takes up its work again on another."""
    ear = Ear()
    tasker = await begin(shop("[order.paid]"), pay, ear.subscriber("order.*"), lease_s=2)
    for _ in range(3):
        await run(tasker)
        await _value(tasker, _CUT)
    await until(lambda: len({event.event_id for event in ear.events}) == 3, "all are heard")


def test_without_a_loop(database: str) -> None:
    """SyncTasker reads the outbox too."""
    ear = Ear()
    from tasker.templates import load_text

    template = load_text(shop("[order.paid]")).template
    with SyncTasker(database, templates=[template], handlers=[pay, ear.plain("order.*")]) as tasker:
        task = tasker.submit("order", namespace="shop")
        tasker.wait(task.task_uuid, timeout=30)
    assert len(ear.events) == 1
    with SyncTasker(database, worker=False) as tasker:
        assert [event.name for event in tasker.events(names=["order.*"])] == ["order.paid"]
        assert [one.name for one in tasker.event_subscribers()] == ["plain"]
        assert tasker.forget_subscriber("plain") == 0


# What is refused ------------------------------------------------------------------------------------------------------


async def test_a_process_without_the_publisher_does_not_start(begin: Begin) -> None:
    """Its template names what nobody would ever make."""
    with pytest.raises(HandlerNotFound, match=r'"Shop::Receipt" \(order.paid of step pay\)'):
        await begin(shop("[{name: order.paid, publisher: 'Shop::Receipt'}]"), pay)


@pytest.mark.parametrize("patterns", [(), ("Order.*",), ("order paid",), ("",), (lambda: None,)])
def test_patterns_are_checked(patterns: tuple[Any, ...]) -> None:
    """What could never match, and a forgotten call, are told at once."""
    with pytest.raises(InvalidHandler, match="@on_event needs patterns"):
        on_event(*patterns)


def test_two_of_one_name_are_refused() -> None:
    """The outbox could not tell them apart."""
    from tasker.handlers import discover

    one, two = Ear().subscriber("a.b"), Ear().subscriber("a.b")
    assert list(discover([one, one]).events.subscribers) == ["ear"]
    with pytest.raises(InvalidHandler, match="two subscribers have the name 'ear'"):
        discover([one, two])

    class Other(DomainEventPublisher):
        publisher_name = "Shop::Receipt"

    with pytest.raises(InvalidHandler, match="two publishers have the name"):
        discover([Receipt, Other])


def test_a_publisher_that_cannot_be_made_is_told() -> None:
    """With what to do: an instance is taken as it is."""
    from tasker.handlers import discover

    class Needy(DomainEventPublisher):
        publisher_name = "needy"

        def __init__(self, gateway: object) -> None:
            self.gateway = gateway

    with pytest.raises(InvalidHandler, match="give handlers= an instance"):
        discover([Needy])
    assert list(discover([Needy(object())]).events.publishers) == ["needy"]


def test_modules_are_searched() -> None:
    """As for handlers; an instance in the module stands for its class."""
    import event_handlers

    from tasker.handlers import discover

    for source in ("event_handlers", event_handlers):
        found = discover([source])
        assert set(found.events.subscribers) == {"event_handlers.on_any", "audit"}
        assert set(found.events.publishers) == {"plain.receipt", "with.gateway"}
        assert found.events.publishers["with.gateway"] is event_handlers.made and "pay" in found
