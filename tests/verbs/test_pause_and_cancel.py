"""Pause, resume and cancel against what runs at the same time."""

from __future__ import annotations

from support.engine import Engine


async def test_a_paused_task_hands_out_nothing(engine: Engine) -> None:
    """Neither its ready steps nor what comes due nor what a report frees is granted; what runs is recorded."""
    await engine.publish("a -> b; c; d")
    task = await engine.submit()
    worker = await engine.session()
    a, c, d = sorted(await worker.claim(), key=lambda grant: grant.number)[0:3]
    await worker.retry(c, retry_after_s=5)
    await engine.act("pause", task)
    assert (await worker.succeed(a)).grants == []
    await worker.release(d)
    engine.advance(5)
    assert await worker.claim() == []
    assert await engine.states(task) == {"a": "complete", "b": "pending", "c": "enqueued", "d": "enqueued"}
    assert await engine.state(task) == "steps_in_process"


async def test_a_resumed_task_goes_on_where_it_stood(engine: Engine) -> None:
    """After a resume each step that can run is granted exactly once."""
    await engine.publish("a -> b; c; d")
    task = await engine.submit()
    worker = await engine.session()
    a, c, d = sorted(await worker.claim(), key=lambda grant: grant.number)
    await worker.retry(c, retry_after_s=5)
    await engine.act("pause", task)
    await worker.succeed(a)
    await worker.release(d)
    engine.advance(5)
    await worker.claim()
    await engine.act("resume", task)
    assert sorted(grant.number for grant in await worker.claim()) == [2, 3, 4]
    await worker.work_off()
    assert await engine.state(task) == "complete"


async def test_a_pause_takes_no_place_in_line_from_others(engine: Engine) -> None:
    """Claims drop the rows of paused tasks and go on to the next."""
    await engine.publish("a")
    paused = await engine.submit_many(50)
    free = await engine.submit()
    for task in paused:
        await engine.act("pause", task)
    worker = await engine.session(slots=100)
    assert [grant.task_id for grant in await worker.claim()] == [free]
    await engine.act("resume", paused[0])
    assert [grant.task_id for grant in await worker.claim()] == [paused[0]]


async def test_pausing_often_grants_a_step_once(engine: Engine) -> None:
    """Rows that a resume lays twice do no harm."""
    await engine.publish("a")
    task = await engine.submit()
    for _ in range(5):
        await engine.act("pause", task)
        await engine.act("resume", task)
    worker, other = await engine.session(), await engine.session()
    grants = [*await worker.claim(), *await other.claim()]
    assert len(grants) == 1
    await worker.succeed(*grants)
    assert await engine.state(task) == "complete"


async def test_pausing_twice_is_pausing_once(engine: Engine) -> None:
    """A pause of a paused task and a resume of a running one change nothing, and are no error."""
    await engine.publish("a")
    task = await engine.submit()
    await engine.act("resume", task)
    await engine.act("pause", task)
    await engine.act("pause", task)
    assert await engine.history(task) == [(None, "pending"), ("pending", "pending")]


async def test_a_paused_task_whose_worker_dies_waits_for_its_resumption(engine: Engine) -> None:
    """A step that is released while its task is paused is granted after the resume, as the suspect it is."""
    await engine.forgive(0)
    await engine.publish("a")
    task = await engine.submit()
    worker, other = await engine.session(), await engine.session()
    await worker.claim()
    await engine.act("pause", task)
    await worker.end(is_loss=True)
    assert await other.claim(may_be_alone=True) == []
    await engine.act("resume", task)
    assert await other.claim() == []
    [suspect] = await other.claim(may_be_alone=True)
    assert suspect.is_alone


async def test_a_step_retried_in_a_paused_task_waits(engine: Engine) -> None:
    """An operator may set a failed step up again and resume the task later."""
    await engine.publish("a, b", max_attempts=1)
    task = await engine.submit()
    worker = await engine.session()
    a, b = await worker.claim()
    await worker.fail(a)
    await engine.act("pause", task)
    await engine.act("retry", task, a.number)
    assert await worker.claim() == []
    await worker.succeed(b)
    await engine.act("resume", task)
    assert [grant.number for grant in await worker.claim()] == [a.number]


async def test_a_paused_task_that_fails_can_be_set_right(engine: Engine) -> None:
    """A paused task whose last running step fails is in error; retried, it stays paused until it is resumed."""
    await engine.publish("a", max_attempts=1)
    task = await engine.submit()
    worker = await engine.session()
    [grant] = await worker.claim()
    await engine.act("pause", task)
    await worker.fail(grant)
    assert await engine.state(task) == "error"
    await engine.act("retry", task, "a")
    assert await worker.claim() == []
    await engine.act("resume", task)
    await worker.work_off()
    assert await engine.state(task) == "complete"


async def test_a_paused_task_that_completes_is_paused_no_longer(engine: Engine) -> None:
    """What ran when it was paused was the last: it is complete, and there is nothing to resume."""
    await engine.publish("a")
    task = await engine.submit()
    worker = await engine.session()
    grants = await worker.claim()
    await engine.act("pause", task)
    await worker.succeed(*grants)
    assert (await engine.state(task), (await engine.task(task))["paused_at"]) == ("complete", None)


async def test_a_cancelled_task_is_over(engine: Engine) -> None:
    """Nothing of it is granted, its running steps are named as gone, their outcomes are stale."""
    await engine.publish("a -> z; b; c; d")
    task = await engine.submit()
    worker = await engine.session()
    a, b = await worker.claim(2)
    await worker.succeed(b)
    await engine.act("cancel", task)
    assert await worker.claim() == []
    assert (await worker.beat()).gone == [(task, a.number, a.attempt)]
    assert [verdict.verdict for verdict in (await worker.succeed(a)).verdicts] == ["stale"]
    assert await engine.state(task) == "cancelled"
    assert await engine.states(task) == {
        "a": "cancelled",
        "z": "cancelled",
        "b": "complete",
        "c": "cancelled",
        "d": "cancelled",
    }


async def test_a_cancelled_task_stays_cancelled(engine: Engine) -> None:
    """Neither a session's end nor the sweep nor a due time revives any of it."""
    await engine.publish("a; b; c", a={"timeout_seconds": 1})
    task = await engine.submit()
    worker = await engine.session()
    a, b, c = sorted(await worker.claim(), key=lambda grant: grant.number)
    await worker.beat(a)
    await worker.retry(b, retry_after_s=5)
    await engine.act("cancel", task)
    await engine.sweep_all()
    await worker.end(is_loss=True)
    engine.advance(7)
    await engine.sweep_all()
    engine.advance(7)
    await engine.sweep_all()
    assert await engine.state(task) == "cancelled"
    assert set((await engine.states(task)).values()) == {"cancelled"}
    assert c.number == 3
    assert await engine.count("due") == 0
    assert await engine.count("grants") == 0


async def test_a_failed_task_can_be_cancelled(engine: Engine) -> None:
    """What will not be repaired can be closed."""
    await engine.publish("a -> b")
    task = await engine.submit()
    worker = await engine.session()
    await worker.fail(*await worker.claim())
    await engine.act("cancel", task)
    assert await engine.states(task) == {"a": "cancelled", "b": "cancelled"}
