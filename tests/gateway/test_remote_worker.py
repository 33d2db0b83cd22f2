"""The Python worker through a server: the same turn loop, without a connection to the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from gateway_support import SHORT_TIMES
from support.serving import Serving
from support.serving_grpc import ServingGrpc
from support.until import until

from tasker import PermanentError, RetryableError, StepContext, Tasker, step_handler
from tasker.model.errors import ServerUnavailable, SettingsError
from tasker.remote.worker import RemoteWorker
from tasker.settings import Settings
from tasker.templates import load_text

TEXT = """
tasker: 1
namespace_name: shop
name: order
version: 1.0.0
steps:
  - {name: first, handler: first, retry: {max_attempts: 3, backoff_base_ms: 1}}
  - {name: left, handler: left, dependencies: [first]}
  - {name: right, handler: right, dependencies: [first]}
  - {name: last, handler: last, dependencies: [left, right]}
"""
SETTINGS = Settings(**SHORT_TIMES)


@pytest.fixture
async def client(database: str) -> AsyncIterator[Tasker]:
    """Submits, and looks."""
    async with Tasker(database, worker=False, settings=SETTINGS) as tasker:
        await tasker.publish(load_text(TEXT).template)
        yield tasker


@pytest.fixture(params=["HTTP", "gRPC"])
def over(request: pytest.FixtureRequest) -> str:
    """How the server is spoken to."""
    return request.param


def serving(client: Tasker, over: str, port: int = 0) -> Serving | ServingGrpc:
    """A server that has not started yet."""

    def make() -> Tasker:
        return Tasker(client.dsn, worker=False, settings=SETTINGS)

    return ServingGrpc(make, port) if over == "gRPC" else Serving(lambda: make().asgi(), port)


@pytest.fixture
def url(client: Tasker, over: str) -> Iterator[str]:
    """A server."""
    with serving(client, over) as server:
        yield server.url


def handlers(**others: Any) -> list[Any]:
    """Handlers of shop/order, some of them others."""

    async def first(context: StepContext) -> dict[str, Any]:
        return {"n": context.get_input("n")}

    def left(context: StepContext) -> dict[str, Any]:
        return {"n": context.get_dependency_result("first")["n"] + 1}

    async def right(context: StepContext) -> dict[str, Any]:
        return {"big": "x" * 70_000}

    async def last(context: StepContext) -> dict[str, Any]:
        results = context.get_dependency_result("left"), context.get_dependency_result("right")
        return {"n": results[0]["n"], "size": len(results[1]["big"])}

    made = {"first": first, "left": left, "right": right, "last": last, **others}
    return [step_handler(name)(function) for name, function in made.items()]


async def test_tasks_run_through_a_server(client: Tasker, url: str) -> None:
    """A worker that knows an address alone runs whole tasks: async handlers and plain ones, large results too."""
    async with RemoteWorker(url, handlers=handlers(), settings=SETTINGS) as worker:
        tasks = [await client.submit("order", namespace="shop", context={"n": n}) for n in range(20)]
        for n, task in enumerate(tasks):
            done = await client.wait(task.task_uuid, 30)
            assert (done.status, done.results["last"]) == ("complete", {"n": n + 1, "size": 70_000})
        assert worker.counts["stale"] == worker.counts["already"] == 0


async def test_failures_are_as_they_are_with_a_database(client: Tasker, url: str) -> None:
    """Retryable errors are tried again, permanent ones are not, and the record of an error is the same."""
    tries: list[int] = []

    async def first(context: StepContext) -> dict[str, Any]:
        tries.append(context.attempt)
        if len(tries) < 3:
            raise RetryableError("busy", retry_after=0, error_code="BUSY")
        raise PermanentError("declined", error_code="DECLINED", metadata={"card": "x"})

    async with RemoteWorker(url, handlers=handlers(first=first), settings=SETTINGS):
        task = await client.submit("order", namespace="shop", context={"n": 1})
        done = await client.wait(task.task_uuid, 30)
    error = done.step("first").error
    assert done.status == "error"
    assert tries == [1, 2, 3]
    assert error is not None
    assert (error["message"], error["error_code"], error["metadata"]) == ("declined", "DECLINED", {"card": "x"})
    assert error["error_class"] == "tasker.model.errors.PermanentError"


async def test_checkpoints_go_through_a_server(client: Tasker, url: str) -> None:
    """A step that is tried again goes on from its checkpoint."""
    seen: list[Any] = []

    async def first(context: StepContext) -> dict[str, Any]:
        seen.append(context.checkpoint_cursor)
        if not context.has_checkpoint:
            await context.save_checkpoint({"at": 5}, items_processed=2)
            raise RetryableError("once more", retry_after=0)
        return {"n": context.checkpoint_items_processed}

    async with RemoteWorker(url, handlers=handlers(first=first), settings=SETTINGS):
        task = await client.submit("order", namespace="shop", context={"n": 1})
        done = await client.wait(task.task_uuid, 30)
    assert (done.results["first"], seen) == ({"n": 2}, [None, {"at": 5}])


async def test_a_server_that_goes_away_loses_nothing(client: Tasker, over: str) -> None:
    """When the server stops in the middle and another takes its place, each step is recorded once, on its attempt."""
    ran: list[str] = []
    running, opened = asyncio.Event(), asyncio.Event()

    async def first(context: StepContext) -> dict[str, Any]:
        ran.append(str(context.task_uuid))
        running.set()
        await opened.wait()
        return {"n": 1}

    with serving(client, over) as server:
        worker = RemoteWorker(server.url, handlers=handlers(first=first), settings=SETTINGS)
        await worker.start()
        tasks = [await client.submit("order", namespace="shop", context={"n": n}) for n in range(5)]
        await until(lambda: len(ran) == 5, "all of them run")
    opened.set()
    await until(lambda: worker._worker.turns._is_uncertain, "a call goes to nobody")
    with serving(client, over, server.port):
        for task in tasks:
            done = await client.wait(task.task_uuid, 30)
            assert (done.status, done.step("first").attempt) == ("complete", 1)
        await worker.stop()
    assert len(ran) == 5
    assert worker.counts["regrants"] > 0


async def test_a_stop_hands_back(client: Tasker, url: str) -> None:
    """What does not end within the time for draining is handed back through the server, and spends no try."""
    running = asyncio.Event()

    async def first(context: StepContext) -> dict[str, Any]:
        running.set()
        await asyncio.sleep(60)
        return {}

    async with RemoteWorker(url, handlers=handlers(first=first), settings=SETTINGS) as worker:
        task = await client.submit("order", namespace="shop", context={"n": 1})
        await running.wait()
        await worker.stop(0.1)
    step = (await client.get(task.task_uuid)).step("first")
    assert (step.state, step.tries) == ("enqueued", 0)
    async with RemoteWorker(url, handlers=handlers(), settings=SETTINGS):
        assert (await client.wait(task.task_uuid, 30)).status == "complete"


@pytest.mark.parametrize("nowhere", ["http://127.0.0.1:9", "grpc://127.0.0.1:9"])
async def test_a_worker_says_what_it_cannot_do(nowhere: str) -> None:
    """Without a server it does not start; without handlers it is not made."""
    with pytest.raises(SettingsError, match="without a handler"):
        RemoteWorker(nowhere, handlers=[])
    worker = RemoteWorker(nowhere, handlers=handlers())
    with pytest.raises(ServerUnavailable):
        await worker.start()
