"""Both clients and what lies beside tasks: breakers, batches, domain events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from client_support import NOBODY, AnyServing
from support import breakers
from support.batch_play import start
from support.engine import Engine

from tasker.client import AsyncTaskerClient
from tasker.model.errors import BreakerNotFound, InvalidInput, NotFound, TaskNotFound
from tasker.store import events as outbox
from tasker.store.events import Made
from tasker.templates import load_text

TOLD = """
tasker: 1
namespace_name: told
name: told
version: 1.0.0
steps: [{name: pay, handler: pay, publishes_events: [order.paid, receipt.sent]}]
"""


@pytest.fixture
async def engine(server: AnyServing, database: str) -> AsyncIterator[Engine]:
    """The server's database, driven by hand."""
    made = Engine(database)
    await made.open()
    yield made
    await made.close()


async def test_breakers_are_seen_and_moved(client: AsyncTaskerClient, engine: Engine) -> None:
    """Every operation of breakers; one that does not exist, and what none can do, are the engine's errors."""
    await breakers.publish(engine)
    assert [one.name for one in await client.list_breakers()] == ["gateway"]
    act_id = uuid4()
    for _ in range(2):
        opened = await client.open_breaker("gateway", for_s=600, reason="r", actor="ada", act_id=act_id)
        assert (opened.state, opened.open_until is not None) == ("open", True)
    assert (await client.set_breaker_limits("gateway", probes=3)).probes == 3
    assert (await client.set_breaker_limits("gateway", as_fleet=["probes"])).probes == 1
    assert (await client.reset_breaker("gateway")).state == (await client.get_breaker("gateway")).state == "closed"
    assert [move.to_state for move in await client.list_breaker_moves("gateway")] == ["closed", "open", "open", "open"]
    with pytest.raises(BreakerNotFound):
        await client.open_breaker("gatway")
    with pytest.raises(InvalidInput):
        await client.set_breaker_limits("gateway", probes=0)


async def test_two_clients_move_a_breaker_at_once(
    client: AsyncTaskerClient, engine: Engine, server: AnyServing
) -> None:
    """Acts of two clients happen one after the other, each once, and both are in the history."""
    await breakers.publish(engine)
    async with AsyncTaskerClient(server.url) as other:
        await asyncio.gather(
            *(
                one.open_breaker("gateway", actor=f"{who} {n}")
                for n in range(5)
                for who, one in (("a", client), ("b", other))
            )
        )
    actors = [move.actor for move in await client.list_breaker_moves("gateway")]
    assert sorted(map(str, actors)) == sorted(f"{who} {n}" for n in range(5) for who in "ab")


async def test_batches_are_told(client: AsyncTaskerClient, engine: Engine) -> None:
    """How far the batches of a task have come; a task that does not exist is not found."""
    run = await start(engine, 3)
    (batch,) = await client.list_batches(run.task)
    assert (batch.total, batch.share) == (3, 0)
    with pytest.raises(TaskNotFound):
        await client.list_batches(NOBODY)


async def _tell(engine: Engine) -> None:
    """One task is done, and what it tells is published."""
    await engine.submit_many(1, name="told")
    session = await engine.session(["pay"])
    await session.succeed(*await session.claim())
    owner, said = uuid4(), {"schema": "tasker_engine"}
    while taken := await outbox.take_events(engine.connection, owner, [], 9, 30, **said):
        made = [Made(one.seq, "published", '{"said": 1}', "{}") for one in taken]
        await outbox.settle_events(engine.connection, owner, made, **said)


async def test_domain_events_are_listed_and_watched(client: AsyncTaskerClient, engine: Engine) -> None:
    """Pages, one event, and a stream from a cursor on; an event that does not exist is not found."""
    await engine.publish(load_text(TOLD).template)
    await _tell(engine)
    page = await client.list_domain_events(name=["order.*", "receipt.*"], namespace="told")
    assert [one.name for one in page.events] == ["order.paid", "receipt.sent"]
    assert (await client.list_domain_events(newest_first=True, limit=1)).events == page.events[1:]
    first = page.events[0]
    assert await client.get_domain_event(first.event_id) == first
    with pytest.raises(NotFound):
        await client.get_domain_event(NOBODY)
    await _tell(engine)
    updates: Any = client.watch_domain_events(cursor=first.cursor, namespace="told")
    seen = [await anext(updates) for _ in range(4)]
    assert [one.event and one.event.name for one in seen] == [None, "receipt.sent", "order.paid", "receipt.sent"]
    assert seen[1].event == page.events[1]
