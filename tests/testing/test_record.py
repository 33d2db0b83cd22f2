"""What a test is told when an assertion on a task does not hold."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from testing_shop import DIAMOND, HANDLERS

from tasker import PermanentError
from tasker.model.errors import StepNotFound
from tasker.testing import Databases, TaskRecord, Workflow, fail

STORY = """\
shop/order@1.0.0 is error after 1.000 s:
    0.000 s  price, attempt 1: succeeded
    0.000 s  charge, attempt 1: failed: permanent_error [DECLINED]: no money (injected)
    0.000 s  reserve, attempt 1: retryable: retryable_error: busy (injected)
    1.000 s  reserve, attempt 2: succeeded
  charge is in error: no money
  steps: price complete, charge error, reserve complete, ship pending"""


@pytest.fixture(scope="module")
def ran(tasker_databases: Databases) -> TaskRecord:
    """A task with a step that failed for good, and one that was tried again."""
    declined = fail("charge", error=PermanentError("no money", error_code="DECLINED"))
    with tasker_databases.fresh() as dsn:
        return Workflow(dsn, DIAMOND, handlers=HANDLERS).run(
            faults=[declined, fail("reserve", attempts=1, error="busy")]
        )


def test_a_record_tells_its_story(ran: TaskRecord) -> None:
    """str() of a record is every attempt with its time and its end, and where the steps stand."""
    assert str(ran) == STORY


@pytest.mark.parametrize(
    ("check", "problem"),
    [
        (lambda ran: ran.assert_complete(), "the task is error, not complete"),
        (lambda ran: ran.assert_status("cancelled"), "the task is error, not cancelled"),
        (lambda ran: ran.assert_failed("ship"), 'step "ship" is pending, not error'),
        (lambda ran: ran.assert_failed("charge", "X"), 'step "charge" failed with error code DECLINED, not X'),
        (lambda ran: ran.assert_order("reserve", "charge"), "the order is charge -> reserve, not reserve -> charge"),
        (lambda ran: ran.assert_order("price", "ship"), "the order is price, not price -> ship"),
        (lambda ran: ran.assert_attempts(charge=2), "the attempts are {'charge': 1}, not {'charge': 2}"),
        (lambda ran: ran.assert_waits("reserve", 2), 'step "reserve" waited [1.0] s between its attempts, not [2]'),
        (lambda ran: ran.assert_waits("reserve"), 'step "reserve" waited [1.0] s between its attempts, not []'),
        (lambda ran: ran.assert_not_run("ship", "charge"), "these steps ran: charge"),
    ],
)
def test_each_assertion_can_fail_and_tells_the_story(
    ran: TaskRecord, check: Callable[[TaskRecord], None], problem: str
) -> None:
    """An assertion that does not hold says what was found instead, and then everything that happened."""
    with pytest.raises(AssertionError) as told:
        check(ran)
    assert str(told.value) == f"{problem}\n{STORY}"


def test_assertions_that_hold_say_nothing(ran: TaskRecord) -> None:
    """Each of them passes where it is true."""
    ran.assert_status("error")
    ran.assert_failed("charge", "DECLINED")
    ran.assert_order("price", "charge", "reserve")
    ran.assert_attempts(price=1, charge=1, reserve=2, ship=0)
    ran.assert_waits("reserve", 1)
    ran.assert_waits("price")
    ran.assert_not_run("ship")


def test_a_misspelt_step_is_named(ran: TaskRecord) -> None:
    """Asking about a step that is not there is an error, and no answer."""
    for ask in (ran.attempts_of, ran.waits, ran.moves, ran.assert_not_run):
        with pytest.raises(StepNotFound, match='did you mean "reserve"'):
            ask("reserv")
    with pytest.raises(StepNotFound):
        ran.assert_order("price", "reserv")
