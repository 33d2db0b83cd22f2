"""What each kind of outcome does to its step and its task."""

from __future__ import annotations

import pytest
from support.engine import Engine
from support.session import lasting_fault, passing_fault, success

from tasker.model.outcome import succeeded


async def test_a_success_keeps_the_result(engine: Engine) -> None:
    """A step that succeeded is complete and has the result that was reported, and its task ends with the last one."""
    await engine.publish("a -> b")
    task = await engine.submit()
    worker = await engine.session()
    [a] = await worker.claim()
    [b] = (await worker.succeed(a, result={"total": 12.5, "wörter": ["ü", None]})).grants
    reply = await worker.succeed(b)
    assert (await engine.step(task, "a"))["result"] == {"total": 12.5, "wörter": ["ü", None]}
    assert reply.ended == [(task, "complete")]
    assert (await engine.task(task))["finished_at"] == engine.clock.now


async def test_a_result_of_null_is_a_result(engine: Engine) -> None:
    """A handler that returns nothing completes its step."""
    await engine.publish("a")
    task = await engine.submit()
    worker = await engine.session()
    await worker.succeed(*await worker.claim(), result=None)
    assert await engine.state(task) == "complete"


async def test_a_permanent_error_ends_the_step_at_once(engine: Engine) -> None:
    """A permanent error spends no further tries, whatever the limit, and keeps its record."""
    await engine.publish("a -> b", max_attempts=10)
    task = await engine.submit()
    worker = await engine.session()
    error = {"error_type": "permanent_error", "error_code": "CARD_DECLINED", "message": "no", "retryable": False}
    reply = await worker.fail(*await worker.claim(), error=error)
    step = await engine.step(task, "a")
    assert (step["state"], step["tries"], step["error"]) == ("error", 1, error)
    assert reply.ended == [(task, "error")]
    assert await engine.states(task) == {"a": "error", "b": "pending"}


async def test_executions_are_counted_inclusive_of_the_first(engine: Engine) -> None:
    """A step with max_attempts 3 runs three times, not four, and then ends in error with the last error."""
    await engine.publish("a", max_attempts=3, backoff="none")
    task = await engine.submit()
    worker = await engine.session()
    for execution in (1, 2, 3):
        [grant] = await worker.claim()
        assert (grant.attempt, grant.tries) == (execution, execution - 1)
        await worker.report((grant, passing_fault(error={"message": f"fault {execution}"})))
    assert await worker.claim() == []
    step = await engine.step(task, "a")
    assert (step["state"], step["tries"], step["error"]) == ("error", 3, {"message": "fault 3"})
    assert await engine.state(task) == "error"


async def test_a_step_that_is_not_retryable_runs_once(engine: Engine) -> None:
    """`retryable: false` makes every failure the last one."""
    await engine.publish("a", retryable=False, max_attempts=5)
    task = await engine.submit()
    worker = await engine.session()
    await worker.retry(*await worker.claim())
    assert await engine.state(task, "a") == "error"


async def test_a_step_handed_back_costs_no_try(engine: Engine) -> None:
    """What was not started is ready again at once, with all its tries, under a new attempt."""
    await engine.publish("a", max_attempts=1)
    task = await engine.submit()
    worker = await engine.session()
    await worker.release(*await worker.claim())
    [again] = await worker.claim()
    assert (again.attempt, again.tries) == (2, 0)
    await worker.succeed(again)
    assert await engine.state(task) == "complete"


async def test_a_step_handed_back_for_a_while_waits_that_long(engine: Engine) -> None:
    """A worker may ask that nobody takes a step for some seconds; that is no try either."""
    await engine.publish("a")
    task = await engine.submit()
    worker = await engine.session()
    await worker.release(*await worker.claim(), delay_s=20)
    assert await engine.due_in_s(task, "a") == 20
    assert await engine.state(task) == "waiting_for_retry"
    assert await worker.claim() == []
    engine.advance(20)
    [again] = await worker.claim()
    assert again.tries == 0


async def test_outcomes_of_one_batch_do_not_touch_each_other(engine: Engine) -> None:
    """In one report some steps succeed, some fail and some go back; each ends as it says."""
    await engine.publish("a")
    tasks = await engine.submit_many(4)
    worker = await engine.session()
    grants = {grant.task_id: grant for grant in await worker.claim()}
    kinds = [success(1), lasting_fault(), passing_fault(7), success(2)]
    reply = await worker.report(*((grants[task], kind) for task, kind in zip(tasks, kinds, strict=True)))
    assert [await engine.state(task) for task in tasks] == ["complete", "error", "waiting_for_retry", "complete"]
    assert sorted(reply.ended) == sorted([(tasks[0], "complete"), (tasks[1], "error"), (tasks[3], "complete")])
    assert reply.verdicts == []


async def test_a_failed_branch_stops_only_its_descendants(engine: Engine) -> None:
    """Independent branches go on; meanwhile the task is blocked_by_failures, and ends in error."""
    await engine.publish("start -> broken, fine; broken -> after; fine -> last")
    task = await engine.submit()
    worker = await engine.session()
    reply = await worker.succeed(*await worker.claim())
    broken, fine = sorted(reply.grants, key=lambda grant: grant.number)
    await worker.fail(broken)
    assert await engine.state(task) == "blocked_by_failures"
    [last] = (await worker.succeed(fine)).grants
    assert (await worker.succeed(last)).ended == [(task, "error")]
    assert await engine.states(task) == {
        "start": "complete",
        "broken": "error",
        "fine": "complete",
        "after": "pending",
        "last": "complete",
    }


async def test_the_task_waits_for_retry_only_when_all_that_can_move_waits(engine: Engine) -> None:
    """`waiting_for_retry` is the task's state while nothing runs and nothing is ready."""
    await engine.publish("a, b")
    task = await engine.submit()
    worker = await engine.session()
    a, b = await worker.claim()
    await worker.retry(a, retry_after_s=5)
    assert await engine.state(task) == "steps_in_process"
    await worker.retry(b, retry_after_s=9)
    assert await engine.state(task) == "waiting_for_retry"
    engine.advance(5)
    assert len(await worker.claim()) == 1
    assert await engine.state(task) == "steps_in_process"


@pytest.mark.parametrize("text", [r'"\u0000"', r'"\ud800"', "{", ""])
async def test_a_result_that_the_database_refuses_changes_nothing(engine: Engine, text: str) -> None:
    """A batch with data that cannot be stored is refused as a whole, so that the worker can halve it."""
    await engine.publish("a -> b")
    good, bad = await engine.submit_many(2)
    worker = await engine.session()
    grants = {grant.task_id: grant for grant in await worker.claim()}
    with pytest.raises(Exception) as caught:
        await worker.report((grants[good], success(1)), (grants[bad], succeeded(text)))
    assert str(getattr(caught.value, "sqlstate", ""))[:2] == "22"
    assert await engine.states(good) == {"a": "in_progress", "b": "pending"}
    await worker.report((grants[good], success(1)))
    assert (await engine.states(good))["a"] == "complete"
    await worker.fail(grants[bad], error={"error_type": "invalid_result", "message": "the database refused it"})
    assert await engine.state(bad) == "error"
