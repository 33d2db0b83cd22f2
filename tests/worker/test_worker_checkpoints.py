"""Checkpoints through the worker: a long step goes on from where it was, on whatever worker, in whatever pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import worker_processes
from support.until import until
from worker_support import Sql, Start

from tasker import RetryableError, StepContext, Tasker
from tasker.model.task import TaskView

ROWS = 10


def in_thread(context: StepContext) -> dict[str, Any]:
    """Counts rows, and fails in the middle of the first two attempts."""
    done = context.checkpoint_cursor or 0
    seen = list(context.accumulated_results or [])
    for row in range(done, ROWS):
        if row == done + 4:
            raise RetryableError("the connection was cut")
        seen.append(row)
        context.save_checkpoint(row + 1, items_processed=row + 1, accumulated=seen)
    return {"seen": seen, "attempt": context.attempt}


async def on_the_loop(context: StepContext) -> dict[str, Any]:
    """The same, awaited."""
    done = context.checkpoint_cursor or 0
    seen = list(context.accumulated_results or [])
    for row in range(done, ROWS):
        if row == done + 4:
            raise RetryableError("the connection was cut")
        seen.append(row)
        await context.save_checkpoint(row + 1, items_processed=row + 1, accumulated=seen)
    return {"seen": seen, "attempt": context.attempt}


async def _run(tasker: Tasker, **context: Any) -> TaskView:
    task = await tasker.submit("flow", namespace="tests", context=context)
    return await tasker.wait(task.task_uuid, 20)


@pytest.mark.parametrize("handler", [in_thread, on_the_loop, worker_processes.in_process], ids=lambda one: one.__name__)
async def test_a_retry_goes_on_at_the_last_checkpoint(start: Start, handler: Callable[..., Any]) -> None:
    """Every row is seen once, whichever attempt saw it; nothing that was saved is lost with the attempt."""
    tasker = await start("a", {"a": handler}, steps={"backoff": "none", "max_attempts": 5})
    ended = await _run(tasker)
    assert ended.status == "complete", ended.errors
    assert ended.results["a"] == {"seen": list(range(ROWS)), "attempt": 3}


async def test_a_checkpoint_is_durable_when_it_is_saved(start: Start, sql: Sql) -> None:
    """What the handler has been told is saved, the database has."""
    seen: list[Any] = []

    async def a(context: StepContext) -> None:
        for cursor in ("a", {"page": 2}, [3, "c"]):
            await context.save_checkpoint(cursor)
            seen.append(await sql.value("select cursor::text from tasker_engine.checkpoints"))

    assert (await _run(await start("a", {"a": a}))).status == "complete"
    assert seen == ['"a"', '{"page": 2}', '[3, "c"]']


async def test_a_checkpoint_of_a_lost_attempt_is_refused(start: Start, sql: Sql) -> None:
    """A handler whose step was taken away meanwhile is told, and changes nothing."""
    begun, told = asyncio.Event(), asyncio.Event()

    async def a(context: StepContext) -> str:
        if context.attempt > 1:
            return "second"
        begun.set()
        await told.wait()
        try:
            await context.save_checkpoint(99)
        except RetryableError as error:
            assert error.error_code == "attempt_lost"
            lost.set()
        return "first"

    lost = asyncio.Event()
    tasker = await start("a", {"a": a}, beat_s=30, lease_s=3600)
    task = await tasker.submit("flow", namespace="tests")
    await begun.wait()
    await sql.run("update tasker_engine.steps set attempt = 2")
    told.set()
    await asyncio.wait_for(lost.wait(), 30)
    assert tasker._worker is not None
    counts = tasker._worker.counts
    await until(lambda: counts["stale"] > 0, "what it returned is refused too")
    assert await sql.value("select count(*) from tasker_engine.checkpoints") == 0
    await sql.run("update tasker_engine.steps set attempt = 1")
    await tasker.cancel(task.task_uuid)


async def test_a_checkpoint_that_is_too_large_fails_the_step(start: Start) -> None:
    """For good, and naming the setting."""

    async def a(context: StepContext) -> None:
        await context.save_checkpoint(1, accumulated="x" * 2000)

    ended = await _run(await start("a", {"a": a}, checkpoint_bytes_max=1000))
    assert ended.errors["a"]["error_code"] == "checkpoint_too_large"
    assert "TASKER_CHECKPOINT_BYTES_MAX" in ended.errors["a"]["message"]


async def test_many_checkpoints_at_once_go_in_few_calls(start: Start, sql: Sql) -> None:
    """A hundred steps that save together wait for a few calls, not for a hundred."""

    async def a(context: StepContext) -> None:
        for cursor in range(5):
            await context.save_checkpoint(cursor)

    tasker = await start("a", {"a": a})
    tasks = await tasker.submit_many("flow", [{}] * 100, namespace="tests")
    for task in tasks:
        assert (await tasker.wait(task.task_uuid, 60)).status == "complete"
    assert await sql.value("select sum(saves) from tasker_engine.checkpoints") == 500
    assert await sql.value("select count(distinct xmin::text) from tasker_engine.checkpoints") < 40


async def test_one_checkpoint_that_is_refused_stops_no_other(start: Start) -> None:
    """What the database cannot take fails its own step for good; those that went with it are saved."""

    async def a(context: StepContext) -> None:
        bad: Any = 1.5
        await context.save_checkpoint(1, items_processed=bad if context.get_input("n") == 7 else 1)

    tasker = await start("a", {"a": a})
    tasks = await tasker.submit_many("flow", [{"n": n} for n in range(20)], namespace="tests")
    ended = [await tasker.wait(task.task_uuid, 60) for task in tasks]
    assert [view.status for view in ended] == ["complete"] * 7 + ["error"] + ["complete"] * 12
    assert ended[7].errors["a"]["error_code"] == "invalid_checkpoint"
