"""A whole template in a test: the engine's own behaviour, on a clock that moves by itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import testing_shop
from support.checker import check
from support.databases import Databases
from testing_shop import DIAMOND, HANDLERS, IMPORT, rows, rows_in_thread

from tasker import PermanentError, RetryableError, StepContext, Tasker
from tasker.handlers import Decision
from tasker.model.errors import (
    ActionForbidden,
    HandlerNotFound,
    InvalidInput,
    SettingsError,
    StepNotFound,
    TaskerError,
    TemplateNotFound,
)
from tasker.testing import Workflow, fail, lose_worker

Make = Callable[..., Workflow]
APPROVAL = """
tasker: 1
namespace_name: shop
name: approval
version: 1.0.0
steps:
  - {name: route, type: decision, handler: route}
  - {name: at_once, handler: go, dependencies: [route]}
  - {name: by_hand, handler: go, dependencies: [route]}
"""


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    testing_shop.done.clear()


@pytest.fixture
def shop(workflow: Make) -> Workflow:
    """The shop's workflow."""
    return workflow(DIAMOND, handlers=HANDLERS)


def test_a_task_runs_to_its_end(shop: Workflow) -> None:
    """Steps run in the order of their dependencies, with their inputs, and every result is there."""
    ran = shop.run({"amount": 3})
    ran.assert_complete()
    assert ran.order == ["price", "charge", "reserve", "ship"]
    assert ran.results["charge"] == {"paid": 6, "currency": "EUR"}
    assert ran.results["ship"] == {"of": ["charge", "price", "reserve"], "paid": 6}
    assert ran.errors == {}
    assert [attempt.kind for attempt in ran.attempts] == ["succeeded"] * 4
    assert ran.moves("charge") == ["in_progress", "complete"]
    assert ran.moves() == ["pending", "steps_in_process", "complete"]
    assert ran.elapsed_s == 0


def test_the_order_is_the_same_in_every_run(workflow: Make) -> None:
    """Twice the same task: the same attempts in the same order."""
    stories = set()
    for _ in range(2):
        shop = workflow(DIAMOND, handlers=HANDLERS)
        stories.add(str(shop.run(faults=[fail("reserve", attempts=1)])))
    assert len(stories) == 1


def test_retries_wait_on_the_moved_clock(shop: Workflow) -> None:
    """A step that fails twice runs a third time after its policy's waits, and nobody waits for that."""
    start = shop.now
    ran = shop.run(faults=[fail("charge", attempts=[1, 2], error=RetryableError("busy"))])
    ran.assert_complete()
    ran.assert_attempts(charge=3, ship=1)
    ran.assert_waits("charge", 1, 2)
    ran.assert_order("price", "reserve", "ship")
    assert testing_shop.done == ["price", "reserve", "charge 3", "ship"]
    assert [attempt.is_injected for attempt in ran.attempts_of("charge")] == [True, True, False]
    assert ran.elapsed_s == 3
    assert shop.now - start == timedelta(seconds=3)
    assert "waiting_for_retry" in ran.moves("charge")


def test_a_servers_wish_is_honoured_to_the_second(shop: Workflow) -> None:
    """`retry_after` is the wait, to the fraction of a second."""
    ran = shop.run(faults=[fail("charge", attempts=1, error=RetryableError("later", retry_after=7.125))])
    ran.assert_waits("charge", 7.125)


def test_a_task_of_next_year_runs_now(shop: Workflow) -> None:
    """The time moves to where the task begins, however far that is, and tasks after it can be submitted."""
    ran = shop.run(delay_s=400 * 86_400)
    ran.assert_complete()
    assert ran.elapsed_s == 400 * 86_400
    shop.run().assert_complete()


def test_a_policy_that_is_used_up_ends_in_error(shop: Workflow) -> None:
    """A step that fails in every attempt ends in error after max_attempts; its branch stops, the other goes on."""
    ran = shop.run(faults=[fail("reserve")])
    ran.assert_status("error")
    ran.assert_attempts(reserve=2, charge=1, ship=0)
    ran.assert_failed("reserve")
    ran.assert_not_run("ship")
    assert ran.states == {"price": "complete", "charge": "complete", "reserve": "error", "ship": "pending"}


def test_a_permanent_error_ends_at_once(shop: Workflow) -> None:
    """The error's record is there to be asserted on."""
    ran = shop.run(faults=[fail("charge", error=PermanentError("declined", error_code="DECLINED"))])
    ran.assert_attempts(charge=1)
    ran.assert_failed("charge", error_code="DECLINED")
    assert ran.errors["charge"]["message"] == "declined"


def test_a_lost_worker_costs_an_attempt_and_no_try(shop: Workflow) -> None:
    """A step whose worker died runs again, on another attempt with the same count of tries."""
    ran = shop.run(faults=[lose_worker("charge")])
    ran.assert_complete()
    assert [(a.attempt, a.tries, a.kind) for a in ran.attempts_of("charge")] == [(1, 0, "lost"), (2, 0, "succeeded")]
    assert testing_shop.done == ["price", "charge 2", "reserve", "ship"]


def test_a_worker_that_dies_after_the_work_does_it_twice(shop: Workflow) -> None:
    """With after_handler the work is done and its result is lost: what an idempotency key is for."""
    ran = shop.run(faults=[lose_worker("charge", after_handler=True), fail("reserve", attempts=1, after_handler=True)])
    ran.assert_complete()
    assert testing_shop.done == ["price", "charge 1", "charge 2", "reserve", "reserve", "ship"]


def test_a_step_that_kills_every_worker_is_stopped(shop: Workflow) -> None:
    """After the second loss the step runs alone, and the third loss alone ends it; the step beside it is not blamed."""
    ran = shop.run(faults=[lose_worker("charge", attempts=None)])
    ran.assert_status("error")
    ran.assert_attempts(charge=5, reserve=1)
    assert ran.errors["charge"]["error_type"] == "worker_lost"
    with pytest.raises(AssertionError, match="charge is in error: the worker process was lost"):
        ran.assert_complete()


def test_an_operator_repairs_a_task(shop: Workflow) -> None:
    """What `act` does is the engine's: a failed step is reset, and the task goes on from there."""
    ran = shop.run(faults=[fail("charge", error=PermanentError("declined"))])
    ran.assert_status("error")
    shop.act("retry", ran, step="charge", reason="the customer has paid")
    again = shop.go_on(ran)
    again.assert_complete()
    again.assert_attempts(price=1, charge=2, ship=1)
    with pytest.raises(ActionForbidden):
        shop.act("retry", ran, step="charge")


async def test_a_paused_task_ends_the_run_where_it_is(workflow: Make) -> None:
    """When nothing can move, run returns: a paused task is where it was, and goes on after a resume."""
    shop: Workflow

    async def pausing(context: StepContext) -> dict[str, Any]:
        await shop.act_async("pause", context.task_uuid)
        return {"total": 1}

    shop = workflow(DIAMOND, handlers=HANDLERS, replace={"price": pausing})
    ran = await shop.run_async()
    assert ran.view.is_paused
    ran.assert_not_run("charge", "reserve", "ship")
    await shop.act_async("resume", ran)
    (await shop.go_on_async(ran)).assert_complete()


async def test_an_attempt_that_was_cancelled_is_stale(workflow: Make) -> None:
    """What a handler returns after its task was cancelled is not recorded, and the record of the test says so."""
    shop: Workflow

    async def cancelling(context: StepContext) -> None:
        await shop.act_async("cancel", context.task_uuid)

    shop = workflow(DIAMOND, handlers=HANDLERS, replace={"price": cancelling})
    ran = await shop.run_async()
    ran.assert_status("cancelled")
    assert [attempt.kind for attempt in ran.attempts] == ["stale"]
    assert ran.results == {}


def test_a_repeated_key_is_the_same_task(shop: Workflow) -> None:
    """The second run with an idempotency key answers the task of the first, and no step runs again."""
    first, again = (shop.run({"amount": 1}, idempotency_key="order 7") for _ in range(2))
    assert first.task_uuid == again.task_uuid
    assert first.attempts == again.attempts
    assert testing_shop.done.count("price") == 1


def test_decisions_are_the_engines(workflow: Make) -> None:
    """A branch that a decision did not choose does not run; the attempt of the decision says what it chose."""
    route = workflow(
        APPROVAL, handlers={"route": lambda context: Decision.route([context.get_input("to")]), "go": lambda: None}
    )
    ran = route.run({"to": "by_hand"})
    ran.assert_complete()
    ran.assert_order("route", "by_hand")
    assert ran.states == {"route": "complete", "at_once": "not_taken", "by_hand": "complete"}
    assert ran.attempts_of("route")[0].kind == "decided"
    route.run({"to": "nowhere"}).assert_failed("route", "invalid_decision")


@pytest.mark.parametrize("handler", [rows, rows_in_thread])
def test_a_step_goes_on_at_its_last_checkpoint(workflow: Make, handler: Any) -> None:
    """A worker that dies, and a failure, after so many checkpoints: the next attempt begins where the last one was."""
    faults = [lose_worker("rows", after_checkpoint=2), fail("rows", attempts=2, after_checkpoint=1)]
    ran = workflow(IMPORT, handlers={"rows": handler}).run(faults=faults)
    ran.assert_complete()
    assert testing_shop.done == [f"row {row}" for row in range(5)]
    assert [attempt.kind for attempt in ran.attempts] == ["lost", "retryable", "succeeded"]
    cursors = [[saved["cursor"] for saved in attempt.checkpoints] for attempt in ran.attempts]
    assert cursors == [[1, 2], [3], [4, 5]]


def test_a_fault_after_a_checkpoint_that_never_comes_does_not_happen(workflow: Make) -> None:
    """The step ends as if there were no fault, and its attempt says so."""
    ran = workflow(IMPORT, handlers=[rows]).run(faults=[fail("rows", after_checkpoint=6)])
    ran.assert_complete()
    assert [attempt.is_injected for attempt in ran.attempts] == [False]


def test_a_handler_may_take_long(workflow: Make) -> None:
    """A handler that moves the clock has taken that long; the wait for the retry begins when it has ended."""
    shop: Workflow

    def slow() -> None:
        shop.advance(100)
        raise RetryableError("took too long")

    shop = workflow(DIAMOND, handlers=HANDLERS, replace={"reserve": slow})
    ran = shop.run()
    ran.assert_waits("reserve", 1)
    assert (ran.attempts_of("reserve")[0].ended_at - ran.attempts_of("reserve")[0].began_at).total_seconds() == 100


def test_a_step_past_its_timeout_is_tried_again(workflow: Make) -> None:
    """The worker's own timeout ends an attempt, in real time; a thread that cannot be stopped is left behind."""
    returns = threading.Event()

    def hangs_first(context: StepContext) -> None:
        if context.attempt == 1:
            returns.wait(30)

    text = IMPORT.replace("handler: rows}", "handler: rows, timeout_seconds: 0.05}")
    try:
        ran = workflow(text, handlers={"rows": hangs_first}).run()
    finally:
        returns.set()
    ran.assert_complete()
    first, _ = ran.attempts_of("rows")
    assert first.error is not None
    assert (first.kind, first.error["error_type"]) == ("retryable", "timeout")


def test_a_database_that_is_not_for_tests_is_refused(databases: Databases) -> None:
    """Where the engine takes no made-up time, nothing is submitted, and the error names the setting."""
    with databases.migrated() as dsn:
        outside = Workflow(f"{dsn}&options=-c%20tasker.test_clock%3Doff", DIAMOND, handlers=HANDLERS)
        with pytest.raises(SettingsError, match=r"tasker\.test_clock"):
            outside.run()


def test_a_handler_can_be_replaced(workflow: Make) -> None:
    """What a test must not touch is replaced by name; the rest is what production runs."""
    shop = workflow(DIAMOND, handlers=["testing_shop"], replace={"charge": lambda: {"paid": 1}})
    ran = shop.run()
    assert ran.results["ship"]["paid"] == 1
    assert testing_shop.done == ["price", "reserve", "ship"]
    by_path = DIAMOND.replace("callable: charge", "callable: testing_shop.charge")
    shop = workflow(by_path, handlers=["testing_shop"], replace={"charge": lambda: {"paid": 2}})
    assert shop.run().results["ship"]["paid"] == 2


def test_methods_and_paths_are_resolved(workflow: Make) -> None:
    """What a template says of its handlers is resolved as in a worker."""
    text = DIAMOND.replace("handler: ship", "handler: {callable: testing_shop.Ship, method: by_train}")
    ran = workflow(text, handlers=["testing_shop"]).run()
    assert ran.results["ship"] == {"by": "train"}


def test_environments_and_chance_are_the_tests(workflow: Make) -> None:
    """The named environment applies, and jitter is what `chance` says: none by default."""
    shop = workflow(DIAMOND, handlers=HANDLERS, environment="patient", faults=[fail("charge", attempts=[1, 2])])
    shop.run().assert_waits("charge", 60, 120)
    shop = workflow(DIAMOND, handlers=HANDLERS, chance=1.0)
    shop.run(faults=[fail("charge", attempts=1)]).assert_waits("charge", 1.1)


def test_faults_that_cannot_happen_are_refused(shop: Workflow, workflow: Make) -> None:
    """A fault that names no step would let a test pass for no reason."""
    with pytest.raises(StepNotFound, match='"chrage", which no template here has; did you mean "charge"'):
        shop.run(faults=[fail("chrage")])
    with pytest.raises(StepNotFound, match="Steps: charge, price, reserve, ship"):
        workflow(DIAMOND, handlers=HANDLERS, faults=[lose_worker("nothing_like_it")])


def test_what_is_wrong_is_said_before_anything_runs(workflow: Make, shop: Workflow) -> None:
    """A missing handler, an unknown template, a choice that is open and an input that does not fit are refused."""
    with pytest.raises(HandlerNotFound, match='"ship"'):
        workflow(DIAMOND, handlers=HANDLERS[:-1])
    with pytest.raises(TemplateNotFound, match=r"shop/order@1\.0\.0"):
        shop.run(name="ordre")
    two = workflow([DIAMOND, DIAMOND.replace("1.0.0", "2.0.0")], handlers=HANDLERS)
    with pytest.raises(TaskerError, match="several templates fit"):
        two.run()
    assert two.run(version="2.0.0").view.task.version == "2.0.0"
    strict = DIAMOND.replace(
        "steps:\n  - {name: price", "input_schema: {type: object, required: [amount]}\nsteps:\n  - {name: price", 1
    )
    with pytest.raises(InvalidInput, match="amount"):
        workflow(strict, handlers=HANDLERS).run()


async def test_in_a_loop_it_is_awaited(workflow: Make) -> None:
    """The async twin runs handlers on the test's loop."""
    here: list[asyncio.AbstractEventLoop] = []

    async def price() -> dict[str, int]:
        here.append(asyncio.get_running_loop())
        return {"total": 1}

    shop = workflow(DIAMOND, handlers=HANDLERS, replace={"price": price})
    (await shop.run_async()).assert_complete()
    assert here == [asyncio.get_running_loop()]
    with pytest.raises(TaskerError, match="await run_async"):
        shop.run()


def test_files_are_templates_too(workflow: Make, tmp_path: Path) -> None:
    """A path, a folder and a Template record are taken as `Tasker(templates=…)` takes them."""
    file = tmp_path / "order.yaml"
    file.write_text(DIAMOND)
    for source in (file, str(tmp_path), workflow(DIAMOND, handlers=HANDLERS).templates[0]):
        workflow(source, handlers=HANDLERS).run().assert_complete()


def test_the_engines_tables_agree_afterwards(shop: Workflow) -> None:
    """Losses, failures and repairs leave tables in which every invariant of the engine holds."""
    shop.run(faults=[lose_worker("charge", attempts=[1, 2]), fail("reserve", attempts=1)]).assert_complete()
    broken = shop.run(faults=[lose_worker("price", attempts=None)])
    shop.act("cancel", broken)
    shop.run(faults=[fail("charge", error=PermanentError("no"))]).assert_status("error")
    assert check(shop._dsn) == []


async def test_a_whole_tasker_may_use_the_database(tasker_database: str) -> None:
    """The fixture's database is one for `Tasker` too."""
    async with Tasker(tasker_database, handlers=HANDLERS) as tasker:
        assert (await tasker.stats())["tasks"] == {}
