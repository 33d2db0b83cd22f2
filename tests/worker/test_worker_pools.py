"""Pools: async handlers on the loop, plain ones in threads, heavy ones in processes, each kind with its slots."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import Any

import pytest
import worker_processes
from support.until import until
from worker_support import Sql, Start

from tasker.handlers import as_handler

pytestmark = pytest.mark.any_postgres


class Gauge:
    """Counts how many are inside at once; everybody stays until the gate opens."""

    def __init__(self) -> None:
        self.inside = self.most = 0
        self.gate = threading.Event()
        self._lock = threading.Lock()

    def enter(self) -> None:
        """One more."""
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)

    def leave(self) -> None:
        """One less."""
        with self._lock:
            self.inside -= 1


async def test_async_handlers_run_on_the_loop_up_to_their_slots(start: Start) -> None:
    """Async handlers share the loop's thread, and never more of them run than `concurrency` says."""
    gauge, threads, opened = Gauge(), set[int](), asyncio.Event()

    async def a() -> None:
        threads.add(threading.get_ident())
        gauge.enter()
        await opened.wait()
        gauge.leave()

    tasker = await start("a", {"a": a}, concurrency=3)
    tasks = await tasker.submit_many("flow", [{}] * 10, namespace="tests")
    await until(lambda: gauge.inside == 3, "three handlers run")
    opened.set()
    for task in tasks:
        assert (await tasker.wait(task.task_uuid, 60)).status == "complete"
    assert gauge.most == 3
    assert threads == {threading.get_ident()}


async def test_plain_handlers_run_in_threads_up_to_their_slots(start: Start) -> None:
    """Plain handlers run beside each other in threads, up to `threads`, and leave the loop free."""
    gauge, names = Gauge(), set[str]()

    def a() -> None:
        names.add(threading.current_thread().name)
        gauge.enter()
        gauge.gate.wait(60)
        gauge.leave()

    tasker = await start("a", {"a": a}, threads=2)
    tasks = await tasker.submit_many("flow", [{}] * 6, namespace="tests")
    await until(lambda: gauge.inside == 2, "two handlers run")
    gauge.gate.set()
    for task in tasks:
        await tasker.wait(task.task_uuid, 60)
    assert gauge.most == 2
    assert all(name.startswith("tasker-step") for name in names)


async def test_full_threads_leave_async_slots_free(start: Start, sql: Sql) -> None:
    """While every thread is busy, async steps are still taken, and steps for threads stay with the database."""
    gauge = Gauge()

    def slow() -> None:
        gauge.enter()
        gauge.gate.wait(60)
        gauge.leave()

    async def quick() -> str:
        return "done"

    tasker = await start("slow; quick", {"slow": slow, "quick": quick}, threads=1)
    first = await tasker.submit("flow", namespace="tests")
    await until(lambda: gauge.inside == 1, "the one thread is busy")
    others = await tasker.submit_many("flow", [{}] * 5, namespace="tests")
    for task in others:
        await until(lambda task=task: _is_complete(sql, task.task_uuid, 2), "the async step is complete")
        assert await sql.state(task.task_uuid, 1) == "enqueued"
    gauge.gate.set()
    for task in (first, *others):
        await tasker.wait(task.task_uuid, 60)


async def _is_complete(sql: Sql, task_uuid: Any, number: int) -> bool:
    return await sql.state(task_uuid, number) == "complete"


async def test_process_handlers_run_in_other_processes(start: Start) -> None:
    """A handler declared for processes runs in one, which is kept for the next step and ends with the worker."""
    tasker = await start("a", {"a": as_handler(worker_processes.who, "a")}, cpu_processes=1)
    pids: set[int] = set()
    for number in range(3):
        task = await tasker.submit("flow", namespace="tests", context={"number": number})
        done = await tasker.wait(task.task_uuid, 20)
        assert done.results["a"]["number"] == number
        pids.add(done.results["a"]["pid"])
    assert len(pids) == 1
    assert os.getpid() not in pids
    await tasker.stop()
    await until(lambda: not _lives(pids.pop()) if pids else True, "the child has ended")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_large_inputs_do_not_stop_the_loop_while_a_process_starts(start: Start) -> None:
    """While a child process is starting, the loop goes on, however much the child is to be sent."""
    tasker = await start("a", {"a": as_handler(worker_processes.size_of_input, "a")}, cpu_processes=1)
    longest, last, is_over = 0.0, time.monotonic(), False

    async def watch() -> None:
        nonlocal longest, last
        while not is_over:
            await asyncio.sleep(0)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()

    watcher = asyncio.create_task(watch())
    task = await tasker.submit("flow", namespace="tests", context={"text": "x" * 900_000})
    done = await tasker.wait(task.task_uuid, 20)
    is_over = True
    await watcher
    assert done.results["a"] == {"result": 900_000}
    assert longest < 0.25


async def test_a_process_that_dies_fails_its_step_only(start: Start) -> None:
    """A child that dies costs its step a try, and the next step gets a new child."""
    tasker = await start(
        "a",
        {"a": as_handler(worker_processes.die_the_first_time, "a")},
        cpu_processes=1,
        steps={"backoff_base_ms": 1},
    )
    task = await tasker.submit("flow", namespace="tests")
    done = await tasker.wait(task.task_uuid, 20)
    assert (done.status, done.step("a").tries) == ("complete", 2)
    assert "exit code -9" in (done.step("a").error or {})["message"]


async def test_a_signal_to_the_whole_group_costs_no_try(start: Start) -> None:
    """Ctrl-C and an init system's SIGTERM reach child processes too; the step in one goes on all the same."""
    tasker = await start("a", {"a": as_handler(worker_processes.signal_itself, "a")}, cpu_processes=1)
    task = await tasker.submit("flow", namespace="tests")
    done = await tasker.wait(task.task_uuid, 20)
    assert (done.status, done.step("a").tries) == ("complete", 1)
