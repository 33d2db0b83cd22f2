"""Stopping: a worker finishes or hands back what it holds, and spends nothing of anybody's budget."""

from __future__ import annotations

import asyncio
import threading
import time

from support.until import until
from worker_support import Sql, Start

from tasker import StepContext


async def test_a_stop_lets_running_steps_finish(start: Start, sql: Sql) -> None:
    """What runs when the worker is asked to stop ends and is recorded; what has not started stays for others; the
    session ends."""
    running, opened = asyncio.Event(), asyncio.Event()

    async def a() -> str:
        running.set()
        await opened.wait()
        return "finished"

    async def b() -> None:
        return None

    tasker = await start("a -> b", {"a": a, "b": b})
    client = await start("a -> b", worker=False)
    task = await client.submit("flow", namespace="tests")
    await running.wait()
    stopping = asyncio.create_task(tasker.stop())
    await until(lambda: tasker._worker.turns.is_draining, "it drains")  # type: ignore[union-attr]
    opened.set()
    await stopping
    view = await client.get(task.task_uuid)
    assert view.results == {"a": {"result": "finished"}}
    assert (view.step("b").state, view.step("b").attempt) == ("enqueued", 0)
    [session] = await sql.sessions()
    assert (session["end_reason"], session["is_loss"]) == ("stopped", False)


async def test_a_stop_that_takes_too_long_hands_back(start: Start, sql: Sql) -> None:
    """What does not end within the time for draining is handed back: no try, no loss, no suspicion."""
    running = asyncio.Event()

    async def a(context: StepContext) -> str:
        if context.attempt == 1:
            running.set()
            await asyncio.sleep(60)
        return "elsewhere"

    tasker = await start("a", {"a": a})
    task = await tasker.submit("flow", namespace="tests")
    await running.wait()
    began = time.monotonic()
    await tasker.stop(0.2)
    assert time.monotonic() - began < 5
    step = await sql.step(task.task_uuid)
    assert (step["state"], step["tries"], step["losses"], step["is_suspect"]) == ("enqueued", 0, 0, False)
    other = await start("a", {"a": a})
    done = await other.wait(task.task_uuid, 60)
    assert (done.status, done.step("a").tries) == ("complete", 1)


async def test_a_hurried_stop_hands_back_at_once(start: Start, sql: Sql) -> None:
    """hurry() during a stop ends the waiting, for each kind of handler, stubborn ones too."""
    running = [0]
    release = threading.Event()

    async def stubborn() -> None:
        running[0] += 1
        while not release.is_set():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue

    def blocking() -> None:
        running[0] += 1
        release.wait(30)

    tasker = await start("a; b", {"a": stubborn, "b": blocking})
    task = await tasker.submit("flow", namespace="tests")
    await until(lambda: running[0] == 2, "both run")
    stopping = asyncio.create_task(tasker.stop(60))
    await until(lambda: tasker._worker.turns.is_draining, "it drains")  # type: ignore[union-attr]
    began = time.monotonic()
    tasker.hurry()
    await stopping
    assert time.monotonic() - began < 8
    release.set()
    for number in (1, 2):
        step = await sql.step(task.task_uuid, number)
        assert (step["state"], step["tries"], step["losses"]) == ("enqueued", 0, 0)


async def test_a_stop_in_the_middle_of_much_work_loses_nothing(start: Start, sql: Sql) -> None:
    """A worker that stops under load hands over: another one finishes everything, each step with one try."""

    async def step() -> None:
        await asyncio.sleep(0.01)

    handlers = dict.fromkeys("abc", step)
    client = await start("a -> b -> c", worker=False)
    tasker = await start("a -> b -> c", handlers, concurrency=20)
    tasks = await client.submit_many("flow", [{}] * 200, namespace="tests")
    await until(lambda: tasker._worker.counts["outcomes"] > 100, "it is busy")  # type: ignore[union-attr]
    await tasker.stop()
    assert await sql.value("select count(*) from tasker_engine.steps where state = 'in_progress'") == 0
    await start(None, handlers)
    for task in tasks:
        assert (await client.wait(task.task_uuid, 20)).status == "complete"
    assert await sql.value("select max(tries) from tasker_engine.steps") == 1


async def test_nothing_is_left_behind(start: Start, sql: Sql) -> None:
    """After a stop no connection of the worker is open and its threads are gone."""

    def a() -> None:
        return None

    tasker = await start("a", {"a": a})
    task = await tasker.submit("flow", namespace="tests")
    await tasker.wait(task.task_uuid, 60)
    await tasker.stop()
    query = """select count(*) = 0 from pg_stat_activity
               where datname = current_database() and pid <> pg_backend_pid() and application_name = 'tasker'"""
    await until(lambda: sql.value(query), "no connection is left")
    names = {thread.name for thread in threading.enumerate()}
    await until(lambda: not any(n.startswith("tasker-") for n in _threads()), f"no thread is left of {names}")


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


async def test_stopping_twice_is_harmless(start: Start) -> None:
    """A second stop, and one before the start, do nothing."""

    async def a() -> None:
        return None

    tasker = await start("a", {"a": a})
    await tasker.stop()
    await tasker.stop()
