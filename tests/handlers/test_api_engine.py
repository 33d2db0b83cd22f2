"""A server's wish, from its header to the engine's clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from api_server import Answer, Server, serving
from support.contexts import build_context
from support.engine import Engine
from support.templates import template
from support.until import until

from tasker import Tasker, api_handler
from tasker.handlers import as_handler, encode_result
from tasker.model.outcome import succeeded


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


def fetcher(server: Server) -> Any:
    """A handler that asks the server."""

    @api_handler("a", server.url)
    async def fetch(api: Any) -> Any:
        return (await api.get("/x")).json()

    return fetch


async def run_once(database: str, engine: Engine, handler: Any) -> UUID:
    """A task whose one step a worker has run once, and failed; the worker has stopped."""
    made = template("a", backoff_base_ms=500, max_attempts=3)
    engine.templates[made.name] = made
    async with Tasker(database, templates=[made], handlers=[handler]) as tasker:
        task = (await tasker.submit("flow", namespace="tests", context={})).task_uuid

        async def waits() -> bool:
            return await engine.state(task, "a") == "waiting_for_retry"

        await until(waits, "the step waits for its next try")
    return task


async def failed_and_due_at(engine: Engine, task: UUID) -> tuple[Any, Any]:
    """When the database recorded the failure, and when the step is due."""
    failed_at = await engine.value(
        "select at from tasker_engine.transitions where task_id = $1 and to_state = 'waiting_for_retry' and number = 1",
        task,
    )
    return failed_at, await engine.value("select due_at from tasker_engine.due where task_id = $1", task)


@pytest.mark.parametrize("wish", ["7", "Wed, 21 Oct 2026 07:28:07 GMT"])
async def test_retry_after_is_honoured_by_the_engine(server: Server, database: str, engine: Engine, wish: str) -> None:
    """After a 429 with `Retry-After: 7`, in seconds or as a date, the step is due 7 s after its failure was recorded.

    By the database's clock: nobody gets it before, whoever asks gets it then, and its next attempt completes the task.
    """
    server.date = "Wed, 21 Oct 2026 07:28:00 GMT"
    server.says(Answer(429, headers={"Retry-After": wish}), Answer(body={"ok": True}))
    fetch = fetcher(server)
    task = await run_once(database, engine, fetch)
    failed_at, due_at = await failed_and_due_at(engine, task)
    assert due_at - failed_at == timedelta(seconds=7)

    engine.clock.now = due_at - timedelta(milliseconds=1)
    worker = await engine.session(["a"])
    assert await worker.claim() == []
    engine.clock.now = due_at
    [grant] = await worker.claim()
    assert (grant.task_id, grant.attempt) == (task, 2)

    result = await as_handler(fetch).call(build_context(attempt=2, tries=1))
    await worker.report((grant, succeeded(encode_result(result))))
    assert await engine.state(task) == "complete"
    step = await engine.step(task, "a")
    assert (step["tries"], step["result"]) == (2, {"ok": True})


async def test_a_busy_server_without_a_wish_leaves_the_wait_to_the_step(
    server: Server, database: str, engine: Engine
) -> None:
    """A 503 that says nothing, or 0, is tried again by the step's own backoff."""
    server.says(Answer(503, headers={"Retry-After": "0"}))
    task = await run_once(database, engine, fetcher(server))
    failed_at, due_at = await failed_and_due_at(engine, task)
    assert timedelta(seconds=0.5) <= due_at - failed_at <= timedelta(seconds=0.55)
    step = await engine.step(task, "a")
    assert (step["error"]["error_code"], step["error"]["error_class"]) == (
        "HTTP_503",
        "tasker.model.errors.ServiceUnavailableError",
    )
