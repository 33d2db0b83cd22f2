"""Attempts that run past their timeout while their worker lives."""

from __future__ import annotations

from support.engine import Engine
from support.session import Session

GRACE_S = 5
LOOK_S = 2
"""The sweep looks for them no more often than that."""


async def _pass(engine: Engine, seconds: int, *workers: Session) -> None:
    for _ in range(seconds):
        engine.advance(1)
        for worker in workers:
            await worker.beat()
        await engine.sweep_all()


async def test_a_silent_overrun_counts_as_a_timeout(engine: Engine) -> None:
    """A worker that beats but does not end a step at its timeout loses the attempt; it is a failure like any other."""
    await engine.publish("a", timeout_seconds=10, max_attempts=2, backoff_base_ms=3000, jitter=0)
    task = await engine.submit()
    worker = await engine.session()
    [grant] = await worker.claim()
    await worker.beat(grant)
    await engine.sweep_all()
    await _pass(engine, 10 + GRACE_S, worker)
    assert await engine.state(task, "a") == "in_progress"
    await _pass(engine, 1, worker)
    step = await engine.step(task, "a")
    assert (step["state"], step["tries"], step["error"]["error_type"]) == ("waiting_for_retry", 1, "timeout")
    assert (await worker.beat()).gone == [(task, 1, grant.attempt)]
    assert [verdict.verdict for verdict in (await worker.succeed(grant)).verdicts] == ["stale"]
    assert await engine.state(task, "a") == "waiting_for_retry"


async def test_the_last_overrun_ends_the_step(engine: Engine) -> None:
    """A step that has no tries left ends in error with the timeout."""
    await engine.publish("a", timeout_seconds=1, max_attempts=1)
    task = await engine.submit()
    worker = await engine.session()
    await worker.beat(*await worker.claim())
    await engine.sweep_all()
    await _pass(engine, 1 + GRACE_S + LOOK_S, worker)
    assert await engine.state(task) == "error"
    assert (await engine.step(task, "a"))["error"]["error_type"] == "timeout"


async def test_a_step_that_has_not_started_cannot_time_out(engine: Engine) -> None:
    """The timeout runs from the start that the worker reported: until then a step waits as long as it must."""
    await engine.publish("a", timeout_seconds=1)
    task = await engine.submit()
    worker = await engine.session()
    [grant] = await worker.claim()
    await engine.sweep_all()
    await _pass(engine, 60, worker)
    assert await engine.state(task, "a") == "in_progress"
    await worker.succeed(grant)
    assert (await engine.step(task, "a"))["tries"] == 1


async def test_a_step_without_a_timeout_may_take_its_time(engine: Engine) -> None:
    """No timeout, no limit but the session's lease."""
    await engine.publish("a")
    task = await engine.submit()
    worker = await engine.session()
    await worker.beat(*await worker.claim())
    await engine.sweep_all()
    await _pass(engine, 60, worker)
    assert await engine.state(task, "a") == "in_progress"


async def test_a_start_is_never_before_the_grant(engine: Engine) -> None:
    """However long ago a worker's clock says that a step began, it was not before the step was granted."""
    await engine.publish("a", timeout_seconds=10)
    task = await engine.submit()
    worker = await engine.session()
    [grant] = await worker.claim()
    granted_at = engine.clock.now
    engine.advance(4)
    await worker.beat(grant, ago_s=1)
    assert ((await engine.step(task, "a"))["started_at"] - granted_at).total_seconds() == 3
    await worker.beat(grant, ago_s=3600)
    assert (await engine.step(task, "a"))["started_at"] == granted_at


async def test_a_new_attempt_starts_anew(engine: Engine) -> None:
    """What an attempt before it spent is not counted against the next one's time."""
    await engine.publish("a", timeout_seconds=10, backoff="none")
    task = await engine.submit()
    worker = await engine.session()
    [grant] = await worker.claim()
    await worker.beat(grant)
    await engine.sweep_all()
    await _pass(engine, 9, worker)
    await worker.retry(grant)
    [again] = await worker.claim()
    await _pass(engine, 30, worker)
    assert await engine.state(task, "a") == "in_progress"
    await worker.succeed(again)


async def test_an_overrun_of_many_is_taken_in_one_sweep(engine: Engine) -> None:
    """All overdue attempts of a session are taken, those of a busy task when the sweep looks again."""
    await engine.publish("a", timeout_seconds=1, max_attempts=1)
    tasks = await engine.submit_many(30)
    worker, operator = await engine.session(), await engine.connect()
    await worker.beat(*await worker.claim())
    await engine.sweep_all()
    async with operator.transaction():
        await operator.execute("select from tasker_engine.tasks where task_id = $1 for update", tasks[7])
        await _pass(engine, 1 + GRACE_S + LOOK_S, worker)
        assert [task for task in tasks if await engine.state(task) != "error"] == [tasks[7]]
    await _pass(engine, LOOK_S, worker)
    assert await engine.state(tasks[7]) == "error"
