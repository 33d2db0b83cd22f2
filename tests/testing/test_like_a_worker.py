"""What the driver of tests makes of a task is what a real worker makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tasker import PermanentError, RetryableError, StepContext, Tasker
from tasker.handlers import Decision
from tasker.model.task import TaskView, Transition
from tasker.store.connection import connect
from tasker.store.reads import Reads
from tasker.templates import load_text
from tasker.testing import Workflow

TEMPLATE = """
tasker: 1
namespace_name: shop
name: everything
version: 1.0.0
steps:
  - {name: first, handler: steady}
  - name: busy
    handler: busy
    dependencies: [first]
    retry: {max_attempts: 4, backoff_base_ms: 5, max_backoff_ms: 20}
  - name: used_up
    handler: used_up
    dependencies: [first]
    retry: {max_attempts: 2, backoff_base_ms: 5, max_backoff_ms: 20}
  - {name: refused, handler: refused, dependencies: [first]}
  - {name: broken_result, handler: broken_result, dependencies: [first]}
  - {name: route, type: decision, handler: route, dependencies: [busy]}
  - {name: left, handler: steady, dependencies: [route]}
  - {name: right, handler: steady, dependencies: [route]}
  - {name: below_refused, handler: steady, dependencies: [refused, busy]}
  - {name: last, handler: plain, dependencies: [left, busy]}
"""


async def steady(context: StepContext) -> dict[str, Any]:
    return {"of": sorted(context.dependency_results), "attempt": context.attempt}


async def busy(context: StepContext) -> dict[str, Any]:
    if context.attempt <= 2:
        raise RetryableError("busy", error_code="BUSY", retry_after=0.01 if context.attempt == 1 else None)
    return {"tries": context.retry_count}


def used_up() -> None:
    raise ValueError("never works")


def refused() -> None:
    raise PermanentError("no", error_code="REFUSED", metadata={"why": "because"})


def broken_result() -> float:
    return float("nan")


def plain(context: StepContext) -> dict[str, Any]:
    return {"all": context.dependency_results}


HANDLERS = {
    "steady": steady,
    "busy": busy,
    "used_up": used_up,
    "refused": refused,
    "broken_result": broken_result,
    "route": lambda: Decision.route(["left"]),
    "plain": plain,
}


def essence(view: TaskView, history: list[Transition]) -> dict[str, Any]:
    """What does not depend on time: states, counts, results, errors, and the moves of each step but its queueing."""
    moves: dict[str, list[str]] = {}
    for move in sorted(history, key=lambda one: (one.number, one.seq)):
        if move.name is not None and move.to_state != "enqueued":
            moves.setdefault(move.name, []).append(move.to_state)
    errors: Mapping[str, Any] = {name: {**error, "traceback": None} for name, error in view.errors.items()}
    steps = {step.name: (step.status, step.attempt, step.tries) for step in view.steps}
    return {"status": view.status, "steps": steps, "results": view.results, "errors": errors, "moves": moves}


async def test_the_driver_does_what_a_worker_does(workflow: Callable[..., Workflow], tasker_database: str) -> None:
    """Retries, failures of all kinds, a decision, what is blocked: each state, count, result and move is the same."""
    ran = await workflow(TEMPLATE, handlers=HANDLERS).run_async()
    driven = essence(ran.view, list(ran.history))
    async with Tasker(tasker_database, templates=[load_text(TEMPLATE).template], handlers=[HANDLERS]) as tasker:
        task = await tasker.submit("everything", namespace="shop")
        done = await tasker.wait(task.task_uuid, timeout=30)
    connection = await connect(tasker_database)
    try:
        worked = essence(done, await Reads().history(connection, [done.task_uuid]))
    finally:
        await connection.close()
    assert driven == worked
    assert driven["status"] == "error"
    assert driven["steps"]["busy"] == ("complete", 3, 3)
