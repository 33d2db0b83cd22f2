"""Retries as users declare them: what passes is tried again, what does not is not; the history has every attempt."""

from __future__ import annotations

from typing import Any

import pytest
from workflow_history import RETRIED, Begin, moves, run

from tasker import PermanentError, RetryableError, StepContext, step_handler

TEMPLATE = """
tasker: 1
namespace_name: retries
name: flaky
version: 1.0.0
steps:
  - name: call
    handler: call
    retry: {max_attempts: %d, backoff: exponential, backoff_base_ms: 100, jitter: 0, retryable: %s}
  - {name: after, handler: after, dependencies: [call]}
"""


@step_handler("call")
async def call(context: StepContext) -> dict[str, int]:
    """Fails as often as the input says, and how."""
    if context.get_input_or("permanent", False):
        raise PermanentError("declined", error_code="DECLINED")
    if context.tries < context.get_input("failures"):
        raise RetryableError(f"busy, try {context.tries + 1}", error_code="BUSY")
    return {"tries": context.tries + 1}


@step_handler("after")
async def after() -> dict[str, Any]:
    """Runs only behind a success."""
    return {"done": True}


async def _flaky(begin: Begin, attempts: int = 3, *, is_retryable: bool = True) -> Any:
    return await begin(TEMPLATE % (attempts, str(is_retryable).lower()), [call, after])


FIRST = ["pending>enqueued", "enqueued>in_progress"]
FAILED = ["in_progress>error"]


async def test_it_succeeds_at_the_third_try(begin: Begin, database: str) -> None:
    """Two passing faults, two waits that double, then success; what follows runs."""
    ended = await run(await _flaky(begin), "flaky", "retries", failures=2)
    assert ended.status == "complete"
    assert ended.results == {"call": {"tries": 3}, "after": {"done": True}}
    step = ended.step("call")
    assert (step.attempt, step.tries) == (3, 3)
    assert moves(database, ended.task_uuid, "call") == [*FIRST, *RETRIED, *RETRIED, "in_progress>complete"]
    task = moves(database, ended.task_uuid)
    assert task[:3] == [">pending", "pending>steps_in_process", "steps_in_process>waiting_for_retry"]
    assert task[-1] == "steps_in_process>complete"


async def test_its_tries_run_out(begin: Begin, database: str) -> None:
    """The last failure is the step's error, and nothing behind it runs."""
    ended = await run(await _flaky(begin), "flaky", "retries", failures=9)
    assert ended.status == "error"
    assert ended.errors["call"]["message"] == "busy, try 3"
    assert ended.step("call").tries == 3
    assert ended.step("after").state == "pending"
    assert moves(database, ended.task_uuid, "call") == [*FIRST, *RETRIED, *RETRIED, *FAILED]
    assert moves(database, ended.task_uuid, "after") == []


@pytest.mark.parametrize("way", ["permanent error", "not retryable", "one attempt"])
async def test_it_is_not_tried_again(begin: Begin, database: str, way: str) -> None:
    """A permanent error, a step that its template does not retry, and a limit of one execution end at once."""
    tasker = await _flaky(begin, 1 if way == "one attempt" else 3, is_retryable=way != "not retryable")
    ended = await run(tasker, "flaky", "retries", failures=1, permanent=way == "permanent error")
    assert ended.status == "error"
    assert ended.errors["call"]["error_code"] == ("DECLINED" if way == "permanent error" else "BUSY")
    assert moves(database, ended.task_uuid, "call") == [*FIRST, *FAILED]
    assert (ended.step("call").attempt, ended.step("call").tries) == (1, 1)
