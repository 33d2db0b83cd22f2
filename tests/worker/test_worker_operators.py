"""What operators do while a worker runs steps: cancel, pause, resume, retry, complete by hand."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from support.until import until
from worker_support import Sql, Start

from tasker import StepContext


async def test_cancelling_reaches_a_running_handler(start: Start, sql: Sql) -> None:
    """A cancelled task's async handler is cancelled, its context says so, and nothing that it returns is recorded."""
    running, seen = asyncio.Event(), list[bool]()

    async def a(context: StepContext) -> str:
        running.set()
        try:
            await asyncio.sleep(60)
        finally:
            seen.append(context.cancelled)
        return "too late"

    tasker = await start("a -> b", {"a": a, "b": a})
    task = await tasker.submit("flow", namespace="tests")
    await running.wait()
    answer = await tasker.cancel(task.task_uuid, actor="ada", reason="a mistake")
    assert answer["task_state"] == "cancelled"
    await until(lambda: seen == [True], "the handler was cancelled")
    done = await tasker.wait(task.task_uuid, 30)
    assert (done.status, done.results) == ("cancelled", {})
    await until(lambda: tasker._worker.turns.is_idle, "the slot is free")  # type: ignore[union-attr]
    assert await sql.moves(task.task_uuid) == ["enqueued", "in_progress", "cancelled"]


async def test_cancelling_tells_a_thread(start: Start) -> None:
    """A thread cannot be stopped, but its context tells it, and its slot is free when it returns."""
    running, told = threading.Event(), threading.Event()

    def a(context: StepContext) -> None:
        running.set()
        while not context.cancelled:
            pass
        told.set()

    tasker = await start("a", {"a": a}, threads=1)
    task = await tasker.submit("flow", namespace="tests")
    await until(running.is_set, "the thread runs")
    await tasker.cancel(task.task_uuid)
    await until(told.is_set, "the thread was told")
    again = await tasker.submit("flow", namespace="tests")
    await until(lambda: _runs(tasker), "the slot is free again")
    await tasker.cancel(again.task_uuid)


def _runs(tasker: Any) -> bool:
    return len(tasker._worker.turns.running()) == 1


async def test_a_handler_that_cleans_up_is_cancelled_once(start: Start, sql: Sql) -> None:
    """However many beats say that a step is gone, its handler is cancelled once, and may take a moment to clean up."""
    running, cleaned = asyncio.Event(), asyncio.Event()

    async def a() -> None:
        running.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.6)
            cleaned.set()

    tasker = await start("a", {"a": a}, beat_s=0.1)
    task = await tasker.submit("flow", namespace="tests")
    await running.wait()
    await tasker.cancel(task.task_uuid)
    await sql.beats(3)
    await asyncio.wait_for(cleaned.wait(), 30)


async def test_a_paused_task_finishes_what_runs_and_begins_nothing(start: Start, sql: Sql) -> None:
    """Pause lets the running step end and be recorded; its successors wait until the task is resumed."""
    running, opened = asyncio.Event(), asyncio.Event()

    async def a() -> str:
        running.set()
        await opened.wait()
        return "recorded"

    async def b() -> str:
        return "after the pause"

    tasker = await start("a -> b", {"a": a, "b": b})
    task = await tasker.submit("flow", namespace="tests")
    await running.wait()
    await tasker.act("pause", task.task_uuid, actor="ada")
    opened.set()
    await until(lambda: _is(sql, task.task_uuid, 1, "complete"), "the running step is recorded")
    await sql.beats(2)
    view = await tasker.get(task.task_uuid)
    assert (view.is_paused, view.step("b").state) == (True, "pending")
    await tasker.act("resume", task.task_uuid, actor="ada")
    assert (await tasker.wait(task.task_uuid, 30)).results["b"] == {"result": "after the pause"}


async def _is(sql: Sql, task_uuid: Any, number: int, state: str) -> bool:
    return await sql.state(task_uuid, number) == state


async def test_a_retry_by_hand_wakes_the_worker(start: Start) -> None:
    """After an operator's retry of a failed step the task goes on at once, and ends well."""
    works = False

    async def a(context: StepContext) -> int:
        if not works:
            raise ValueError("not yet")
        return context.tries

    tasker = await start("a -> b", {"a": a, "b": a}, steps={"max_attempts": 1})
    task = await tasker.submit("flow", namespace="tests")
    assert (await tasker.wait(task.task_uuid, 30)).status == "error"
    works = True
    await tasker.act("retry", task.task_uuid, step="a", actor="ada")
    await until(lambda: _has_ended(tasker, task.task_uuid, "complete"), "the task is complete")
    step = (await tasker.get(task.task_uuid)).step("a")
    assert (step.attempt, step.tries, step.result) == (2, 1, {"result": 0})


async def _has_ended(tasker: Any, task_uuid: Any, state: str) -> bool:
    return (await tasker.get(task_uuid)).status == state


async def test_completing_a_running_step_by_hand_stops_its_handler(start: Start) -> None:
    """A result given by hand counts, the handler that still runs is stopped, and the next step gets that result."""
    running, stopped = asyncio.Event(), asyncio.Event()

    async def a() -> str:
        running.set()
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()
        return "by the handler"

    async def b(context: StepContext) -> Any:
        return context.get_dependency_result("a")

    tasker = await start("a -> b", {"a": a, "b": b})
    task = await tasker.submit("flow", namespace="tests")
    await running.wait()
    await tasker.act("complete", task.task_uuid, step="a", actor="ada", result={"by": "hand"})
    done = await tasker.wait(task.task_uuid, 30)
    assert done.results == {"a": {"by": "hand"}, "b": {"by": "hand"}}
    await asyncio.wait_for(stopped.wait(), 30)
