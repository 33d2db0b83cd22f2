"""Server-sent events, from a server in a process of its own: they come as things happen, and go on where they ended."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from api_support import create
from server_process import Served
from support.until import until


async def _events(answer: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    """The events of a stream, as id, event and data."""
    event: dict[str, Any] = {}
    async for line in answer.aiter_lines():
        if not line and "data" in event:
            yield event
            event = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = json.loads(value) if name == "data" else value


@pytest.fixture
async def served(serve: Any) -> AsyncIterator[Served]:
    """A server, with its worker."""
    async with serve() as served:
        yield served


async def test_a_task_is_watched_to_its_end(served: Served) -> None:
    """The stream tells where each step and the task stand, ends with the task, and after that tells the end again."""
    made = await create(served.api, context={"amount": 1})
    async with served.api.stream("GET", f"/v1/tasks/{made['task_uuid']}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [event async for event in _events(answer)]
    assert events[0]["event"] == "ready"
    steps = {e["data"]["step"]["name"]: e["data"]["step"]["state"] for e in events if e["event"] == "step_state"}
    assert steps == {"check": "complete", "charge": "complete"}
    assert (events[-1]["data"]["task_state"], events[-1]["data"]["is_last"]) == ("complete", True)
    last = {"last-event-id": events[-1]["id"]}
    async with served.api.stream("GET", f"/v1/tasks/{made['task_uuid']}/events", headers=last) as answer:
        again = [event async for event in _events(answer)]
    assert again[-1]["data"]["task_state"] == "complete"


async def test_all_tasks_are_watched_and_nothing_is_missed(served: Served) -> None:
    """Who comes back with the id of the last event is told what happened meanwhile."""
    async with served.api.stream("GET", "/v1/tasks/events") as answer:
        stream = _events(answer)
        ready = await anext(stream)
        assert ready["event"] == "ready"
        first = await create(served.api)
        event = await anext(stream)
        assert event["data"]["task_uuid"] == first["task_uuid"]
    second = await create(served.api)
    await served.api.get(f"/v1/tasks/{second['task_uuid']}", params={"wait": "30s"})
    headers = {"last-event-id": ready["id"]}
    async with served.api.stream("GET", "/v1/tasks/events", headers=headers) as answer:
        ended: set[str] = set()
        async for event in _events(answer):
            if event["data"]["task_state"] == "complete":
                ended.add(event["data"]["task_uuid"])
            if {first["task_uuid"], second["task_uuid"]} <= ended:
                break


async def test_no_stream_of_nothing(served: Served) -> None:
    """A task that does not exist, and a wrong cursor, are errors of the request."""
    nobody = "01987654-0000-7000-8000-000000000001"
    assert (await served.api.get(f"/v1/tasks/{nobody}/events")).status_code == 404
    wrong = await served.api.get("/v1/tasks/events", headers={"last-event-id": "x"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "BAD_REQUEST")


async def test_streams_are_bounded(serve: Any) -> None:
    """As many streams as the setting are open, one more is refused, and when one has ended there is room again."""
    async with serve(TASKER_STREAMS_MAX="1") as served:
        async with served.api.stream("GET", "/v1/tasks/events") as answer:
            await anext(_events(answer))
            refused = await served.api.get("/v1/tasks/events")
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "BACKPRESSURE")

        async def has_room() -> bool:
            async with served.api.stream("GET", "/v1/tasks/events") as again:
                return again.status_code == 200

        await until(has_room)
