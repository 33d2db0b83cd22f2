"""Decisions through the worker: what handlers return, what follows, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from worker_support import Start

from tasker import Decision, StepContext, Tasker, depends_on, inputs, step_handler
from tasker.model.task import TaskView

GRAPH = "check -> route -> auto, manager, finance -> close"
TYPES = {"route": {"type": "decision"}, "close": {"type": "deferred_convergence"}}


async def _nothing() -> None:
    return None


@step_handler("route")
@inputs("amount")
async def route(amount: int) -> Decision:
    """Who has to approve this amount."""
    if amount < 0:
        return Decision.skip("nothing to approve")
    if amount < 1000:
        return Decision.route("auto", reason="small", limit=1000)
    return Decision.route(["manager"] if amount < 5000 else ["manager", "finance"], reason="large")


@step_handler("close")
@depends_on(auto="auto", manager="manager", finance="finance")
async def close(auto: Any = None, manager: Any = None, finance: Any = None) -> dict[str, Any]:
    """Which of them approved."""
    approvals = {"auto": auto, "manager": manager, "finance": finance}
    return {"approved_by": sorted(name for name, result in approvals.items() if result is not None)}


async def _run(tasker: Tasker, **context: Any) -> TaskView:
    task = await tasker.submit("flow", namespace="tests", context=context)
    return await tasker.wait(task.task_uuid, 60)


@pytest.mark.parametrize(
    ("amount", "by"), [(10, ["auto"]), (1000, ["manager"]), (5000, ["finance", "manager"]), (-1, [])]
)
async def test_an_approval_takes_its_route(start: Start, amount: int, by: list[str]) -> None:
    """The branches that the handler names run, the others are not taken, and the convergence gets what there is."""
    handlers = {**dict.fromkeys(("check", "auto", "manager", "finance"), _nothing), "route": route, "close": close}
    tasker = await start(GRAPH, handlers, steps=TYPES)
    ended = await _run(tasker, amount=amount)
    assert ended.status == "complete"
    assert ended.results["close"] == {"approved_by": by}
    assert {step.name for step in ended.steps if step.is_not_taken} == {"auto", "manager", "finance"} - set(by)


async def test_reason_and_context_are_kept(start: Start) -> None:
    """The result of a decision says what was chosen, why, and what the steps that follow may want to know."""
    handlers = {**dict.fromkeys(("check", "auto", "manager", "finance"), _nothing), "route": route, "close": close}
    ended = await _run(await start(GRAPH, handlers, steps=TYPES), amount=10)
    assert ended.results["route"] == {
        "decision_point_outcome": {"type": "create_steps", "step_names": ["auto"]},
        "reason": "small",
        "routing_context": {"limit": 1000},
    }


async def test_a_handler_that_names_a_step_elsewhere_fails_for_good(start: Start) -> None:
    """Nothing is skipped in silence: the step ends in error and names what there was to choose from."""

    async def lost() -> Decision:
        return Decision.route("nowhere")

    tasker = await start("d -> a, b", {"d": lost, "a": _nothing, "b": _nothing}, steps={"d": {"type": "decision"}})
    ended = await _run(tasker)
    assert ended.status == "error"
    assert ended.errors["d"]["error_code"] == "invalid_decision"
    assert 'chose "nowhere"; steps that depend on it: a, b' in ended.errors["d"]["message"]
    assert ended.step("d").tries == 1


async def test_a_decision_has_to_decide_and_no_other_step_may(start: Start) -> None:
    """A forgotten Decision, and one in the wrong place, are permanent errors that say what to write."""

    async def forgets() -> dict[str, int]:
        return {"total": 1}

    async def decides(context: StepContext) -> Decision:
        return Decision.skip()

    tasker = await start("d -> a", {"d": forgets, "a": _nothing}, steps={"d": {"type": "decision"}})
    assert "Decision.route" in (await _run(tasker)).errors["d"]["message"]
    other = await start("x", {"x": decides}, steps={"name": "other"})
    task = await other.submit("other", namespace="tests")
    ended = await other.wait(task.task_uuid, 60)
    assert "`type: decision`" in ended.errors["x"]["message"]
