"""One handler with a made-up context."""

from __future__ import annotations

import math
import os
import threading

import pytest
import testing_shop
from testing_shop import Ship, charge, price, rows, rows_in_thread

from tasker import PermanentError, RateLimitError, StepHandler, depends_on, inputs, step_handler
from tasker.handlers import Decision
from tasker.model.errors import InvalidHandler, InvalidInput, TaskerError
from tasker.templates import load_text
from tasker.testing import run_handler, run_handler_async

CONTEXT_TEMPLATE = """
tasker: 1
namespace_name: shop
name: one
version: 1.0.0
steps:
  - name: only
    handler: {callable: only, initialization: {limit: 3}}
    retry: {max_attempts: 7}
    result_schema: {type: object, required: [id]}
"""


def test_a_success_has_the_result_as_it_would_be_kept() -> None:
    """Inputs, results and configuration reach the handler; its result comes back as JSON keeps it."""
    ran = run_handler(charge, results={"price": {"total": 4}}, config={"currency": "USD"})
    assert ran.succeeded
    assert ran.assert_succeeded() == {"paid": 4, "currency": "USD"}
    assert run_handler(price, {"amount": 3}).result == {"total": 6}
    assert run_handler(lambda: (1, 2)).result == {"result": [1, 2]}


def test_classes_paths_and_the_older_form_run() -> None:
    """Whatever a worker can call, run_handler can, results of steps before it included."""

    class Older(StepHandler):
        def process(self, task, sequence, step):
            total = sequence.find_step_by_name("price").results["total"]
            return {"total": total, "attempts": step.attempts, "email": task.context["email"]}

    assert run_handler(Ship, results={"charge": {"paid": 9}}).result == {"of": ["charge"], "paid": 9}
    ran = run_handler(Older, {"email": "ada"}, results={"price": {"total": 2}}, attempt=2)
    assert ran.result == {"total": 2, "attempts": 1, "email": "ada"}
    assert run_handler("testing_shop:price").result == {"total": 10}
    assert run_handler(Ship, method="by_train").result == {"by": "train"}
    assert run_handler("testing_shop:Ship", method="by_train").result == {"by": "train"}


def test_a_permanent_error_is_told_with_its_code() -> None:
    """`failed` is what ends a step at once: type, class, code and message are those of the record."""

    def declined():
        raise PermanentError("no money", error_code="DECLINED", metadata={"bank": "b"})

    ran = run_handler(declined)
    assert (ran.kind, ran.error_type, ran.error_code, ran.message) == (
        "failed",
        "permanent_error",
        "DECLINED",
        "no money",
    )
    assert ran.error is not None
    assert ran.error["metadata"] == {"bank": "b"}
    ran.assert_failed("DECLINED")
    with pytest.raises(AssertionError, match=r"expected retryable, the handler's outcome is failed: .*no money"):
        ran.assert_retryable()
    with pytest.raises(AssertionError, match=r"expected failed \[OTHER\]"):
        ran.assert_failed("OTHER")


def test_a_passing_error_is_told_with_its_wish() -> None:
    """`retryable` carries the seconds that the error asks for; any other exception is retryable too, with its trace."""

    def busy():
        raise RateLimitError("slow down", retry_after=7)

    def broken():
        return {}["nothing"]

    ran = run_handler(busy)
    assert (ran.kind, ran.retry_after, ran.result) == ("retryable", 7, None)
    ran = run_handler(broken)
    ran.assert_retryable()
    assert ran.error_class == "KeyError"
    with pytest.raises(
        AssertionError, match=r"(?s)did not succeed: retryable: handler_error: 'nothing'\n.*in broken"
    ) as told:
        ran.assert_succeeded()
    assert "tasker/worker" not in str(told.value)


def test_what_the_worker_refuses_is_refused() -> None:
    """A missing input, a result that is no JSON and one that breaks its schema fail as they do in a worker."""

    @step_handler("needy")
    @depends_on(priced="price")
    @inputs("email")
    def needy(priced, email):
        return None

    run_handler(needy).assert_failed("missing_input")
    run_handler(lambda: {"a": math.nan}).assert_failed("invalid_result")
    step = load_text(CONTEXT_TEMPLATE).template.step("only")
    ran = run_handler(lambda: {"no": "id"}, step=step)
    assert (ran.kind, ran.error_type) == ("failed", "validation_error")
    assert run_handler(lambda: {"id": 1}, step=step).succeeded


def test_attempts_and_limits_are_what_the_test_says() -> None:
    """The context counts attempts from 1; the step of a template brings its name, limits and configuration."""

    def only(context):
        counts = (context.attempt, context.retry_count, context.max_attempts, context.is_last_retry())
        return {"id": 1, "counts": counts, "name": context.step_name, "config": context.configuration}

    assert run_handler(only, attempt=2, max_attempts=2).result["counts"] == [2, 1, 2, True]
    step = load_text(CONTEXT_TEMPLATE).template.step("only")
    result = run_handler(only, step=step).result
    assert result == {"id": 1, "counts": [1, 0, 7, False], "name": "only", "config": {"limit": 3}}


def test_a_timeout_is_the_workers() -> None:
    """A handler that outlasts its timeout ends as a timeout that is tried again, async or plain."""
    returns = threading.Event()

    def plain():
        returns.wait(60)

    async def forever():
        import asyncio

        await asyncio.Event().wait()

    try:
        for handler in (plain, forever):
            ran = run_handler(handler, timeout_s=0.05)
            assert (ran.kind, ran.error_type) == ("retryable", "timeout")
    finally:
        returns.set()


def test_a_decision_is_one_where_the_step_is() -> None:
    """A handler that decides succeeds in a step of that type, and is refused in another, as in a worker."""

    def route():
        return Decision.route(["by_hand"])

    result = run_handler(route, type="decision").assert_succeeded()
    assert result["decision_point_outcome"]["step_names"] == ["by_hand"]
    run_handler(route).assert_failed("invalid_decision")
    run_handler(lambda: None, type="decision").assert_failed("invalid_decision")


def test_checkpoints_come_and_go() -> None:
    """A handler finds the checkpoint that the test gives it, and what it saves is told, in every pool."""
    testing_shop.done.clear()
    ran = run_handler(rows, checkpoint={"cursor": 3}, attempt=2)
    assert ran.assert_succeeded() == {"rows": 5, "resumed": True}
    assert [saved["cursor"] for saved in ran.checkpoints] == [4, 5]
    assert testing_shop.done == ["row 3", "row 4"]
    assert len(run_handler(rows_in_thread).checkpoints) == 5


def test_a_handler_for_processes_runs_in_one() -> None:
    """`runs_in="process"` is what the worker makes of it: another process."""
    ran = run_handler("testing_shop:which_process")
    assert ran.assert_succeeded()["pid"] != os.getpid()


async def test_in_a_loop_it_is_awaited() -> None:
    """The async form runs on the test's own loop; the other says so there."""
    import asyncio

    here = asyncio.get_running_loop()

    async def which():
        return asyncio.get_running_loop() is here

    assert (await run_handler_async(which)).result == {"result": True}
    with pytest.raises(TaskerError, match=r"await run_handler_async"):
        run_handler(which)


def test_what_cannot_be_run_is_said() -> None:
    """What is no handler, and inputs that JSON does not have, are errors of the test and no outcomes."""
    with pytest.raises(InvalidHandler, match="'nobody'"):
        run_handler(lambda nobody: None)
    with pytest.raises(InvalidInput):
        run_handler(price, {"amount": object()})
