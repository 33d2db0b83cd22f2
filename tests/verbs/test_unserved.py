"""Steps whose handler nobody has."""

from __future__ import annotations

from support.engine import Engine

MISSING_S = 300


async def _pass(engine: Engine, seconds: float, *workers: object) -> None:
    """Time goes by while everybody who is there beats and sweeps."""
    for _ in range(int(seconds // 5)):
        engine.advance(5)
        for worker in workers:
            await worker.beat()  # type: ignore[attr-defined]
        await engine.sweep_all()


async def test_a_step_that_no_worker_can_run_fails_after_a_time(engine: Engine) -> None:
    """While workers live and none has the handler for five minutes, the step ends with `handler_not_found`."""
    await engine.publish("a -> x")
    task = await engine.submit()
    worker = await engine.session(["a"])
    await engine.sweep_all()
    await _pass(engine, 10, worker)
    await worker.succeed(*await worker.claim())
    await _pass(engine, MISSING_S, worker)
    assert await engine.state(task, "x") == "enqueued"
    await _pass(engine, 10, worker)
    step = await engine.step(task, "x")
    assert (step["state"], step["error"]["error_type"]) == ("error", "handler_not_found")
    assert '"x"' in step["error"]["message"]
    assert '"tests"' in step["error"]["message"]
    assert await engine.state(task) == "error"


async def test_where_nobody_works_work_waits(engine: Engine) -> None:
    """Without a living worker steps wait for days and do not fail."""
    await engine.publish("x")
    task = await engine.submit()
    engine.advance(100_000)
    await engine.sweep_all()
    worker = await engine.session([])
    await _pass(engine, MISSING_S - 20, worker)
    assert await engine.state(task, "x") == "enqueued"


async def test_a_worker_that_comes_in_time_saves_the_step(engine: Engine) -> None:
    """A rolling deploy that brings the handler within the time costs nothing."""
    await engine.publish("x")
    task = await engine.submit()
    old = await engine.session([])
    await engine.sweep_all()
    await _pass(engine, MISSING_S - 20, old)
    new = await engine.session(["x"], slots=0)
    await _pass(engine, 100, old, new)
    new.slots = 1
    await new.succeed(*await new.claim())
    assert await engine.state(task) == "complete"


async def test_all_of_a_backlog_fails_in_the_end(engine: Engine) -> None:
    """However many steps wait for a handler that nobody has, each one ends."""
    await engine.publish("x")
    await engine.submit_many(350)
    worker = await engine.session([])
    await engine.sweep_all()
    await _pass(engine, MISSING_S + 10, worker)
    states = await engine.rows("select state::text, count(*) from tasker_engine.steps group by 1")
    assert [tuple(row.values()) for row in states] == [("error", 350)]
    assert await engine.count("ready") == 0


async def test_cancelled_and_paused_tasks_do_not_hide_the_others(engine: Engine) -> None:
    """Steps that are in line no longer do not hide those behind them; a paused task is left alone."""
    await engine.publish("x")
    cancelled = await engine.submit_many(150)
    paused = await engine.submit_many(150)
    stranded = await engine.submit()
    for task in cancelled:
        await engine.act("cancel", task)
    for task in paused:
        await engine.act("pause", task)
    worker = await engine.session([])
    await engine.sweep_all()
    await _pass(engine, MISSING_S + 10, worker)
    assert await engine.state(stranded) == "error"
    assert {await engine.state(task, "x") for task in paused} == {"enqueued"}
    await engine.act("resume", paused[0])
    served = await engine.session(["x"])
    assert [grant.task_id for grant in await served.claim()] == [paused[0]]


async def test_the_time_is_a_setting(engine: Engine) -> None:
    """`tasker.handler_missing_s` of the database says how long such steps wait."""
    await engine.publish("x")
    task = await engine.submit()
    worker = await engine.session([])
    await engine.connection.execute("set tasker.handler_missing_s = 20")
    await engine.sweep_all()
    await _pass(engine, 30, worker)
    assert await engine.state(task) == "error"


async def test_an_operator_can_retry_it_when_the_handler_is_there(engine: Engine) -> None:
    """After the deploy that was forgotten the failed step is retried by hand and runs."""
    await engine.publish("x")
    task = await engine.submit()
    worker = await engine.session([])
    await engine.sweep_all()
    await _pass(engine, MISSING_S + 10, worker)
    await engine.act("retry", task, "x")
    fresh = await engine.session(["x"])
    await fresh.succeed(*await fresh.claim())
    assert await engine.state(task) == "complete"
