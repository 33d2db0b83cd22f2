"""Whatever a handler does, it ends as an outcome of its step, and the worker goes on."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Callable
from typing import Any

import pytest
import worker_processes
from worker_support import Start

from tasker import PermanentError, StepContext
from tasker.handlers import as_handler
from tasker.model.task import StepView

pytestmark = pytest.mark.any_postgres

ONCE = {"max_attempts": 1}


async def _outcome(start: Start, handler: Any, **options: Any) -> StepView:
    """Runs one step, and then a good one on the same worker."""

    async def good() -> str:
        return "good"

    options.setdefault("steps", ONCE)
    tasker = await start("a; good", {"a": handler, "good": good}, **options)
    task = await tasker.submit("flow", namespace="tests")
    step = (await tasker.wait(task.task_uuid, 60)).step("a")
    again = await tasker.submit("flow", namespace="tests")
    assert (await tasker.wait(again.task_uuid, 60)).results["good"] == {"result": "good"}
    return step


async def _exits_on_the_loop() -> None:
    sys.exit(3)


def _exits_in_a_thread() -> None:
    sys.exit(3)


async def _cancels_itself() -> None:
    raise asyncio.CancelledError


async def _awaits_what_was_cancelled() -> None:
    other = asyncio.create_task(asyncio.sleep(60))
    other.cancel()
    await other


def _stops_an_iteration() -> None:
    next(iter(()))


async def _fails_in_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_raises())


async def _raises() -> None:
    raise ValueError("in a group")


@pytest.mark.parametrize(
    ("handler", "named"),
    [
        (_exits_on_the_loop, "SystemExit"),
        (_exits_in_a_thread, "SystemExit"),
        (_cancels_itself, "CancelledError"),
        (_awaits_what_was_cancelled, "CancelledError"),
        (_stops_an_iteration, "StopIteration"),
        (_fails_in_a_group, "ExceptionGroup"),
    ],
)
async def test_strange_ends_are_failures_of_the_step(start: Start, handler: Callable[..., Any], named: str) -> None:
    """sys.exit, a cancellation that nobody asked for and their like cost a try, and never the worker."""
    step = await _outcome(start, handler)
    assert (step.state, step.tries) == ("error", 1)
    assert named in (step.error or {})["error_class"]


async def test_exit_in_a_process_is_a_failure_of_the_step(start: Start) -> None:
    """The same for a handler in a process."""
    step = await _outcome(start, as_handler(worker_processes.raise_system_exit, "a"))
    assert (step.state, step.tries) == ("error", 1)


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ({"x": math.nan}, "nan"),
        ({"x": "a\0b"}, "NUL"),
        ({"x": "\ud800"}, "surrogate"),
        ({"x": 2**70}, "64 bits"),
        ({"x": b"bytes"}, "bytes"),
        ({"x": object()}, "object"),
        ({1: 1, "1": 2}, "two keys"),
        ({"x": asyncio}, "module"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_results_that_cannot_be_json_end_the_step_for_good(start: Start, value: Any, part: str) -> None:
    """What cannot be kept is a permanent error at once, which says where it lies: another try would not help."""

    async def a() -> Any:
        return value

    step = await _outcome(start, a, steps={})
    assert (step.state, step.tries) == ("error", 1)
    assert (step.error or {})["error_code"] == "invalid_result"
    assert part in (step.error or {})["message"]


async def test_a_result_that_breaks_while_it_is_read_ends_the_step(start: Start) -> None:
    """An object that raises while it is turned into JSON, whatever it raises, is a failure of its step."""

    class Broken(dict[str, Any]):
        def items(self) -> Any:
            raise RuntimeError("broken")

        def __iter__(self) -> Any:
            raise RuntimeError("broken")

    async def a() -> Any:
        return Broken(x={1: object()})

    step = await _outcome(start, a)
    assert step.state == "error"


async def test_too_large_a_result_says_so(start: Start) -> None:
    """A result over the limit is a permanent error that names the size and the limit."""

    def a() -> str:
        return "x" * 2000

    step = await _outcome(start, a, result_bytes_max=1000)
    assert (step.state, step.tries) == ("error", 1)
    assert (step.error or {})["error_type"] == "payload_too_large"
    assert "1000" in (step.error or {})["message"]


async def test_a_permanent_error_runs_once(start: Start) -> None:
    """A permanent error ends the step at its first try, with its code."""
    ran: list[int] = []

    async def a(context: StepContext) -> None:
        ran.append(context.attempt)
        raise PermanentError("declined", error_code="CARD_DECLINED")

    step = await _outcome(start, a, steps={})
    assert (step.state, step.tries) == ("error", 1)
    assert (step.error or {})["error_code"] == "CARD_DECLINED"
    assert ran == [1, 1]


async def test_tries_count_the_first_execution(start: Start) -> None:
    """A step with a limit of three runs three times, and keeps the last traceback."""
    ran: list[tuple[int, bool]] = []

    async def a(context: StepContext) -> None:
        ran.append((context.tries, context.is_last_retry()))
        raise ValueError("again")

    step = await _outcome(start, a, steps={"max_attempts": 3, "backoff_base_ms": 1})
    assert (step.state, step.tries) == ("error", 3)
    assert ran[:3] == [(0, False), (1, False), (2, True)]
    assert "ValueError: again" in (step.error or {})["traceback"]
