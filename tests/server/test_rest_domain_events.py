"""The outbox of domain events over HTTP: pages in one order, one event, and a stream that leaves none out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from support.engine import Engine

from tasker import Tasker
from tasker.store import events as outbox
from tasker.store.events import Made
from tasker.templates import load_text

SCHEMA = "tasker_engine"
NOBODY = "01987654-0000-7000-8000-000000000001"
TOLD = """
tasker: 1
namespace_name: shop
name: told
version: 1.0.0
steps: [{name: pay, handler: pay, publishes_events: [order.paid, receipt.sent]}]
"""


@pytest.fixture
async def engine(idle: Tasker) -> AsyncIterator[Engine]:
    """The server's database, driven by hand, with a template that tells two events."""
    made = Engine(idle.dsn)
    await made.open()
    await made.publish(load_text(TOLD).template)
    yield made
    await made.close()


async def tell(engine: Engine, tasks: int = 1, *, most: int = 1000) -> None:
    """So many tasks are done, and what they tell is published, up to `most`."""
    await engine.submit_many(tasks, name="told", namespace="shop")
    session = await engine.session(["pay"])
    while grants := await session.claim(100):
        await session.succeed(*grants, result={"n": 1})
    owner = uuid4()
    while most > 0 and (taken := await outbox.take_events(engine.connection, owner, [], most, 30, schema=SCHEMA)):
        made = [Made(one.seq, "published", '{"said": 1}', "{}") for one in taken]
        most -= await outbox.settle_events(engine.connection, owner, made, schema=SCHEMA)


async def page(api: httpx2.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await api.get("/v1/events", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_pages_have_each_event_once_in_one_order(api: httpx2.AsyncClient, engine: Engine) -> None:
    """By the cursor of each page, forwards as backwards, all are seen and none twice; what comes later is behind it."""
    await tell(engine, 3)
    seen: dict[bool, list[str]] = {False: [], True: []}
    for newest_first, ids in seen.items():
        said: dict[str, Any] = {"limit": 4, "newest_first": newest_first}
        while (found := await page(api, **said))["events"]:
            ids += [one["event_id"] for one in found["events"]]
            said["cursor"] = found["next_cursor"]
    assert len(set(seen[False])) == len(seen[False]) == 6
    assert seen[True] == seen[False][::-1]
    end = (await page(api))["next_cursor"]
    assert (await page(api, cursor=end)) == {"events": [], "next_cursor": end, "has_more": False}
    await tell(engine)
    assert len((await page(api, cursor=end))["events"]) == 2


async def test_every_filter_of_events_works(api: httpx2.AsyncClient, engine: Engine) -> None:
    """By pattern of names, namespace, task and state; what is not settled is the newest, where it is asked for."""
    await tell(engine, 2)
    first = (await page(api))["events"][0]
    assert (first["name"], first["payload"], first["template"], first["outcome"]) == (
        "order.paid",
        {"said": 1},
        "told",
        "success",
    )
    for query, count in (
        ({"name": "order.*"}, 2),
        ({"name": "*"}, 4),
        ({"name": ["order.paid", "receipt.*"]}, 4),
        ({"name": "order"}, 0),
        ({"name": "orderXpaid".lower()}, 0),
        ({"namespace": "shop"}, 4),
        ({"namespace": "elsewhere"}, 0),
        ({"task_uuid": first["task_uuid"]}, 2),
        ({"task_uuid": NOBODY}, 0),
        ({"status": "refused,declined"}, 0),
    ):
        assert len((await page(api, **query))["events"]) == count, query
    await tell(engine, 1, most=0)
    newest = await page(api, status="recorded,published", newest_first=True)
    assert [one["status"] for one in newest["events"]] == ["recorded"] * 2 + ["published"] * 4
    assert [one["cursor"] is None for one in newest["events"]] == [True] * 2 + [False] * 4


async def test_one_event_is_found_by_its_id(api: httpx2.AsyncClient, engine: Engine) -> None:
    """Also one that is not published yet; another is not found."""
    await tell(engine)
    await tell(engine, most=0)
    for one in (await page(api, status="recorded,published"))["events"]:
        assert (await api.get(f"/v1/events/{one['event_id']}")).json() == one
    assert (await api.get(f"/v1/events/{NOBODY}")).status_code == 404
    assert (await api.get("/v1/events/garbage")).status_code == 400


async def test_what_is_no_question_is_refused(api: httpx2.AsyncClient) -> None:
    """A page of a million, cursors and patterns that are none: each is told, in the one form of errors."""
    for query in (
        {"limit": 1_000_000},
        {"limit": 0},
        {"cursor": "-1"},
        {"cursor": "9" * 19},
        {"cursor": "x"},
        {"name": "order.%"},
        {"name": "x" * 256},
        {"name": ",".join(["a"] * 21)},
        {"name": ""},
        {"status": "lost"},
        {"task_uuid": "x"},
        {"nonsense": "1"},
    ):
        answer = await api.get("/v1/events", params=query)
        assert answer.status_code == 400, query
        assert answer.json()["error"]["code"] in ("BAD_REQUEST", "INVALID_UUID"), query


async def _updates(answer: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in answer.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


async def test_a_stream_leaves_no_event_out(serve: Any, engine: Engine) -> None:
    """It begins with what is published from now on; whoever comes back with the last id is told what came meanwhile."""
    await tell(engine)
    async with serve() as served:
        async with served.api.stream("GET", "/v1/events/stream", params={"name": "order.*"}) as answer:
            updates = _updates(answer)
            assert (await anext(updates))["update_type"] == "ready"
            await tell(engine)
            first = await asyncio.wait_for(anext(updates), 30)
        assert (first["update_type"], first["event"]["name"]) == ("event", "order.paid")
        await tell(engine, 2)
        again = {"last-event-id": first["cursor"]}
        async with served.api.stream("GET", "/v1/events/stream", headers=again) as answer:
            updates = _updates(answer)
            assert (await anext(updates))["cursor"] == first["cursor"]
            names = [(await asyncio.wait_for(anext(updates), 30))["event"]["name"] for _ in range(5)]
    assert (names[0], sorted(names[1:])) == ("receipt.sent", ["order.paid"] * 2 + ["receipt.sent"] * 2)


async def test_a_stream_does_not_look_through_others_events_again(
    idle: Tasker, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where none of what is published is asked for, each look begins behind what the one before has looked through."""
    from tasker.operations import ANYBODY, OPERATIONS, events, stream

    asked: list[int | None] = []
    listed = events.list_events

    async def counted(connection: Any, *, cursor: int | None, **options: Any) -> Any:
        asked.append(cursor)
        return await listed(connection, cursor=cursor, **options)

    monkeypatch.setattr(events, "list_events", counted)
    watch = OPERATIONS["watch_domain_events"]
    updates = await stream(idle.engine(), watch, ANYBODY, watch.given(name=["nothing.*"]))
    assert (await anext(updates)).update_type == "ready"
    coming = asyncio.ensure_future(anext(updates))
    await tell(engine, 5)
    for _ in range(600):
        if asked and asked[-1] == 10:
            break
        await asyncio.wait([coming], timeout=0.05)
    coming.cancel()
    assert asked[-1] == 10
