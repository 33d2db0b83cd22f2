"""Limits: each is a setting; at it all is well, and one more is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx2
import orjson
import pytest
from api_support import client_of, create, publish

from tasker import Settings, Tasker
from tasker.model.errors import Backpressure, QuotaExceeded
from tasker.operations.limits import Limits, Quota

ORDER = {"name": "order", "namespace": "shop"}
Limited = Callable[..., AbstractAsyncContextManager[httpx2.AsyncClient]]


@pytest.fixture
async def limited(database: str) -> Limited:
    """Makes a client of a server with these settings."""

    @asynccontextmanager
    async def make(**settings: Any) -> AsyncGenerator[httpx2.AsyncClient]:
        async with Tasker(database, worker=False, settings=Settings(**settings)) as tasker:
            await publish(tasker)
            async with client_of(tasker.asgi()) as client:
                yield client

    return make


def _nested(depth: int) -> dict[str, Any]:
    """A context that nests so deep, itself included."""
    value: Any = 1
    for _ in range(depth - 1):
        value = [value]
    return {"a": value}


async def _status(client: httpx2.AsyncClient, body: Any, path: str = "/v1/tasks") -> int:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    answer = await client.post(path, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 200 or answer.json()["error"]["message"]
    return answer.status_code


async def test_the_size_of_a_body(limited: Limited) -> None:
    """A body of as many bytes as the setting is taken, one more is not; nor is one that hides its size."""
    body = orjson.dumps(ORDER)
    async with limited(request_bytes_max=len(body)) as client:
        assert await _status(client, body) == 200
        assert await _status(client, body + b" ") == 413

        async def parts() -> AsyncGenerator[bytes]:
            yield body
            yield b" "

        answer = await client.post("/v1/tasks", content=parts(), headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_the_depth_of_json(limited: Limited) -> None:
    """The body's own object counts, and so does the context."""
    async with limited(json_depth_max=5) as client:
        assert await _status(client, {**ORDER, "context": _nested(3)}) == 200
        assert await _status(client, {**ORDER, "context": _nested(4)}) == 413
        assert await _status(client, b'{"a":' * 10_000 + b"1" + b"}" * 10_000) in (400, 413)


async def test_the_length_of_strings(limited: Limited) -> None:
    """Bytes count, in values and in names."""
    async with limited(json_string_bytes_max=20) as client:
        assert await _status(client, {**ORDER, "context": {"a": "x" * 20, "é" * 10: 1}}) == 200
        assert await _status(client, {**ORDER, "context": {"a": "x" * 21}}) == 413
        assert await _status(client, {**ORDER, "context": {"é" * 11: 1}}) == 413
        assert (await client.get("/v1/tasks", params={"initiator": "x" * 21})).status_code == 413


async def test_the_number_of_values(limited: Limited) -> None:
    """Everything that the JSON holds counts once."""
    async with limited(json_values_max=10) as client:
        assert await _status(client, {**ORDER, "context": {"a": list(range(5))}}) == 200
        assert await _status(client, {**ORDER, "context": {"a": list(range(6))}}) == 413


async def test_the_size_of_a_batch(limited: Limited) -> None:
    """So many tasks are created by one request, and no more."""
    async with limited(submit_batch_max=2) as client:
        assert await _status(client, {**ORDER, "tasks": [{}, {}]}, "/v1/tasks/bulk") == 200
        assert await _status(client, {**ORDER, "tasks": [{}, {}, {}]}, "/v1/tasks/bulk") == 400
        assert await _status(client, {**ORDER, "tasks": []}, "/v1/tasks/bulk") == 400


async def test_the_size_of_a_context(limited: Limited) -> None:
    """The engine's own limit is told in the API's words."""
    async with limited(input_bytes_max=9) as client:
        assert await _status(client, {**ORDER, "context": {"a": "x"}}) == 200
        assert await _status(client, {**ORDER, "context": {"a": "xx"}}) == 413


async def test_a_compressed_body_is_refused(limited: Limited) -> None:
    """What would unfold to any size is not taken."""
    async with limited() as client:
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        assert (await client.post("/v1/tasks", content=b"x", headers=headers)).status_code == 400


async def test_the_quota_of_a_namespace(limited: Limited) -> None:
    """One more than the quota is refused with the time after which it may work, and creates nothing."""
    async with limited(creates_per_minute_by_namespace=3) as client:
        assert await _status(client, {**ORDER, "tasks": [{}, {}]}, "/v1/tasks/bulk") == 200
        await create(client)
        refused = await client.post("/v1/tasks", json=ORDER)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "RATE_LIMITED")
        assert 1 <= int(refused.headers["retry-after"]) <= 20
        assert (await client.get("/v1/tasks")).json()["pagination"]["total_count"] == 3


async def test_the_backlog(limited: Limited) -> None:
    """While as many steps wait as the setting says, no task is taken."""
    async with limited(backlog_max=2) as client:
        await _status(client, {**ORDER, "tasks": [{}, {}]}, "/v1/tasks/bulk")
    async with limited(backlog_max=2) as client:
        refused = await client.post("/v1/tasks", json=ORDER)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "BACKPRESSURE")
        assert refused.json()["error"]["retry_after_seconds"] == int(refused.headers["retry-after"]) == 5
    async with limited(backlog_max=3) as client:
        assert await _status(client, ORDER) == 200


async def test_a_request_may_not_take_forever(limited: Limited) -> None:
    """A body that does not come ends with a timeout, in the form of all errors."""
    async with limited(request_timeout_s=0.05) as client:

        async def never() -> AsyncGenerator[bytes]:
            yield b"{"
            await asyncio.Event().wait()

        answer = await client.post("/v1/tasks", content=never(), headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (408, "TIMEOUT")


async def test_waiting_is_bounded(limited: Limited) -> None:
    """However long a caller wants to wait, the answer comes within the setting."""
    async with limited(wait_s_max=0.05) as client:
        made = await create(client)
        answer = await client.get(f"/v1/tasks/{made['task_uuid']}", params={"wait": "1h"})
        assert (answer.status_code, answer.json()["status"]) == (200, "pending")


def test_a_quota_fills_again_evenly() -> None:
    """After a part of a minute the same part is there again, and never more than the whole."""
    now = [0.0]
    quota = Quota(60, "caller", lambda: now[0])
    quota.take("ada", 60)
    assert quota.lacks_s("ada", 1) == 1
    assert quota.lacks_s("bob", 60) == 0
    now[0] = 30
    assert quota.lacks_s("ada", 30) == 0 and quota.lacks_s("ada", 31) == 1
    now[0] = 1_000
    assert quota.lacks_s("ada", 60) == 0 and quota.lacks_s("ada", 1_000) == 0
    quota.take("ada", 1_000)
    assert quota.lacks_s("ada", 1) == pytest.approx(941)


def test_what_is_refused_takes_nothing() -> None:
    """A caller that is refused for its namespace keeps its own quota."""
    limits = Limits(Settings(creates_per_minute_by_key=2, creates_per_minute_by_namespace=1), clock=lambda: 0.0)
    limits.check_create("ada", "shop", 1)
    with pytest.raises(QuotaExceeded, match="shop"):
        limits.check_create("ada", "shop", 1)
    limits.check_create("ada", "home", 1)
    with pytest.raises(QuotaExceeded, match="ada"):
        limits.check_create("ada", "work", 1)


@pytest.mark.parametrize(("ready", "wait_s"), [(10, 5), (14, 5), (15, 15), (20, 30), (21, 30)])
def test_the_more_waits_the_longer(ready: int, wait_s: float) -> None:
    """The time after which to come back grows with the backlog."""
    limits = Limits(Settings(backlog_max=10))
    limits.know_backlog(ready)
    with pytest.raises(Backpressure) as refused:
        limits.check_create("ada", "shop", 1)
    assert refused.value.retry_after_s == wait_s
