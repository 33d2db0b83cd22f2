"""Timeouts: they run from the real start, and each kind of handler is stopped as far as it can be."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
import worker_processes
import worker_slow_import
from support.until import until
from worker_support import Sql, Start

from tasker import StepContext
from tasker.handlers import as_handler

pytestmark = pytest.mark.any_postgres

NOW = {"backoff_base_ms": 1, "jitter": 0.0}


async def test_an_async_handler_is_cancelled_at_its_timeout(start: Start) -> None:
    """An async handler that runs past its timeout is cancelled; the try counts, and the record says timeout."""
    seen: list[str] = []

    async def a(context: StepContext) -> str:
        if context.tries:
            return "in time"
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append(f"cancelled {context.cancelled}")
            raise
        return "too late"

    tasker = await start("a", {"a": a}, steps={"timeout_seconds": 0.2, **NOW})
    task = await tasker.submit("flow", namespace="tests")
    step = (await tasker.wait(task.task_uuid, 60)).step("a")
    assert (step.state, step.tries, step.result) == ("complete", 2, {"result": "in time"})
    assert (step.error or {})["error_type"] == "timeout"
    assert seen == ["cancelled True"]


async def test_an_async_handler_that_will_not_stop_times_out_all_the_same(start: Start, sql: Sql) -> None:
    """A handler that swallows its cancellation loses its step and keeps its slot; what it returns at last is lost."""
    running, over = asyncio.Event(), asyncio.Event()

    async def a(context: StepContext) -> str:
        if context.tries:
            return "the second"
        running.set()
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                continue
        return "the first, too late"

    tasker = await start("a", {"a": a}, concurrency=1, steps={"timeout_seconds": 0.2, **NOW})
    task = await tasker.submit("flow", namespace="tests")
    await until(lambda: _has_timed_out(sql, task.task_uuid), "the timeout is recorded")
    assert not over.is_set()
    over.set()
    done = await tasker.wait(task.task_uuid, 60)
    assert done.results == {"a": {"result": "the second"}}


async def _has_timed_out(sql: Sql, task_uuid: object) -> bool:
    step = await sql.step(task_uuid)  # type: ignore[arg-type]
    return (step["error"] or {}).get("error_type") == "timeout"


async def test_a_thread_that_timed_out_keeps_its_slot_and_its_late_result_is_lost(start: Start, sql: Sql) -> None:
    """A thread cannot be stopped: its step times out, its slot stays taken, its late result is fenced off."""
    release, ran = threading.Event(), list[int]()

    def a(context: StepContext) -> str:
        ran.append(context.attempt)
        if context.get_input("is_slow") and context.tries == 0:
            release.wait(60)
            return "too late"
        return "in time"

    tasker = await start("a", {"a": a}, threads=1, steps={"timeout_seconds": 0.2, **NOW})
    slow = await tasker.submit("flow", namespace="tests", context={"is_slow": True})
    await until(lambda: _has_timed_out(sql, slow.task_uuid), "the timeout is recorded")
    other = await tasker.submit("flow", namespace="tests")
    await sql.beats(2)
    assert await sql.state(other.task_uuid) == "enqueued"
    release.set()
    assert (await tasker.wait(other.task_uuid, 60)).status == "complete"
    assert (await tasker.wait(slow.task_uuid, 60)).results == {"a": {"result": "in time"}}
    assert len(ran) == 3


async def test_a_retry_waits_until_the_lingering_thread_has_returned(start: Start, sql: Sql) -> None:
    """Two executions of one step never overlap in a process: the retry is handed back until the old thread returns."""
    release, inside, overlaps = threading.Event(), list[int](), list[int]()

    def a(context: StepContext) -> str:
        if inside:
            overlaps.append(context.attempt)
        inside.append(context.attempt)
        if context.tries == 0:
            release.wait(60)
        inside.remove(context.attempt)
        return "done"

    tasker = await start("a", {"a": a}, threads=4, steps={"timeout_seconds": 0.2, **NOW})
    task = await tasker.submit("flow", namespace="tests")
    await until(lambda: _attempts(sql, task.task_uuid, 2), "the retry is granted, and handed back")
    assert (await sql.step(task.task_uuid))["tries"] == 1
    release.set()
    done = await tasker.wait(task.task_uuid, 60)
    assert (done.status, done.step("a").tries) == ("complete", 2)
    assert overlaps == []


async def _attempts(sql: Sql, task_uuid: object, count: int) -> bool:
    step = await sql.step(task_uuid)  # type: ignore[arg-type]
    return step["attempt"] >= count and step["state"] == "waiting_for_retry"


async def test_another_process_takes_the_retry_of_a_lingering_thread(start: Start) -> None:
    """The retry of a step whose thread still runs goes to another worker."""
    release, first = threading.Event(), threading.Event()

    def stuck() -> str:
        first.set()
        release.wait(60)
        return "too late"

    async def free() -> str:
        return "elsewhere"

    steps = {"timeout_seconds": 0.2, **NOW}
    tasker = await start("a", {"a": stuck}, steps=steps)
    task = await tasker.submit("flow", namespace="tests")
    await until(first.is_set, "the thread runs")
    await start("a", {"a": free}, steps=steps)
    done = await tasker.wait(task.task_uuid, 60)
    release.set()
    assert done.results == {"a": {"result": "elsewhere"}}


async def test_a_process_is_killed_at_its_timeout(start: Start) -> None:
    """A handler in a process is killed when its time is over, and its retry gets a new child."""
    steps = {"timeout_seconds": 0.3, **NOW}
    tasker = await start("a", {"a": as_handler(worker_processes.sleep_for, "a")}, cpu_processes=1, steps=steps)
    began = time.monotonic()
    task = await tasker.submit("flow", namespace="tests", context={"seconds": 60})
    done = await tasker.wait(task.task_uuid, 20)
    assert (done.status, done.step("a").tries) == ("complete", 2)
    assert (done.step("a").error or {})["error_type"] == "timeout"
    assert time.monotonic() - began < 10


async def test_the_start_of_a_child_does_not_count(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The timeout of a step in a process runs from the handler's own start, not from that of the child: a module that
    takes longer to import than its steps may run is no obstacle."""
    monkeypatch.setenv(worker_slow_import.SECONDS, "1.5")
    steps = {"timeout_seconds": 1.0, "max_attempts": 1}
    tasker = await start("a", {"a": as_handler(worker_slow_import.quick, "a")}, cpu_processes=1, steps=steps)
    task = await tasker.submit("flow", namespace="tests")
    done = await tasker.wait(task.task_uuid, 20)
    assert done.status == "complete", done.errors


async def test_waiting_for_a_slot_does_not_count(start: Start) -> None:
    """Eight steps of a fifth of a second through one thread end in time, although each has less than half a second."""

    def a() -> None:
        time.sleep(0.2)  # the work itself: what a timeout is measured against

    tasker = await start("a", {"a": a}, threads=1, steps={"timeout_seconds": 0.45, "max_attempts": 1})
    tasks = await tasker.submit_many("flow", [{}] * 8, namespace="tests")
    for task in tasks:
        assert (await tasker.wait(task.task_uuid, 20)).status == "complete"


async def test_a_step_that_says_it_lives_gets_its_time_anew(start: Start) -> None:
    """heartbeat() lets a step run past its timeout, in each kind of pool; without it the step ends."""

    async def on_loop(context: StepContext) -> int:
        for _ in range(15):
            await asyncio.sleep(0.1)
            context.heartbeat()
        return context.tries

    def in_thread(context: StepContext) -> int:
        for _ in range(15):
            time.sleep(0.1)
            context.heartbeat()
            assert (context.seconds_left or 0) > 0.5
        return context.tries

    handlers = {
        "loop": on_loop,
        "thread": in_thread,
        "process": as_handler(worker_processes.beat_and_sleep, "process"),
    }
    steps = {"timeout_seconds": 1.0, "max_attempts": 1}
    tasker = await start("loop, thread, process", handlers, steps=steps)
    task = await tasker.submit("flow", namespace="tests", context={"times": 15})
    done = await tasker.wait(task.task_uuid, 20)
    assert done.results == {name: {"result": 0} for name in handlers}, done.errors


async def test_the_database_learns_of_signs_of_life(start: Start, sql: Sql) -> None:
    """A beat tells the database that a step got its time anew, so that the sweep leaves it alone."""
    over = asyncio.Event()

    async def a(context: StepContext) -> None:
        while not over.is_set():
            context.heartbeat()
            await asyncio.sleep(0.02)

    tasker = await start("a", {"a": a}, steps={"timeout_seconds": 5})
    task = await tasker.submit("flow", namespace="tests")
    query = "select started_at - granted_at > interval '0.5 s' from tasker_engine.steps where task_id = $1"
    await until(lambda: sql.value(query, task.task_uuid), "the start moves on")
    over.set()
    await tasker.wait(task.task_uuid, 60)
