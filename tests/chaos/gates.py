"""Stories that end well on a sound engine, each the gate of one of the sixteen mutants in `chaos.mutants`."""

from __future__ import annotations

from support.engine import Engine

from tasker.model.template import EventDeclaration

_PATIENCE = "set lock_timeout = '100 ms'"


async def a_claim_passes_over_what_is_held(engine: Engine) -> None:
    """Somebody is at the first step in line: the claim takes the next, and does not stand in line."""
    await engine.publish("a")
    tasks = await engine.submit_many(2)
    worker, holder = await engine.session(), await engine.connect()
    await engine.connection.execute(_PATIENCE)
    async with holder.transaction():
        await holder.execute("select from tasker_engine.steps where task_id = $1 for update", tasks[0])
        assert [grant.task_id for grant in await worker.claim()] == [tasks[1]]


async def a_silent_worker_is_replaced(engine: Engine) -> None:
    """It took a step and says nothing more: when its lease is over, the step is for others."""
    await engine.publish("a", max_attempts=5)
    task = await engine.submit()
    await engine.sweep_all()
    silent = await engine.session(lease_s=10)
    await silent.claim()
    for _ in range(4):
        engine.advance(3)
        await engine.sweep_all()
    assert await engine.state(task, "a") == "enqueued"


async def an_event_is_kept_with_its_outcome(engine: Engine) -> None:
    """A worker reports a step that publishes, and dies before it can do anything else: the event is there."""
    await engine.publish("a", publishes_events=(EventDeclaration(name="a.done"),))
    await engine.submit()
    worker = await engine.session()
    await worker.succeed(*await worker.claim())
    assert await engine.count("events") == 1


async def an_ended_worker_beats(engine: Engine) -> None:
    """Its session is over: its beat is told so, and the session stays as it ended."""
    await engine.publish("a")
    worker = await engine.session()
    await worker.end(is_loss=True)
    engine.advance(5)
    assert (await worker.beat()).session_ended
    row = await engine.rows("select beat_at < ended_at + interval '1 s' as is_over from tasker_engine.sessions")
    assert row == [{"is_over": True}]


async def two_parents_are_reported_together(engine: Engine) -> None:
    """The second report comes while the first is not committed: it is sent again, and the child is free once."""
    await engine.publish("a, b -> c", handler="work")
    task = await engine.submit()
    first, second = await engine.session(slots=1, connection=await engine.connect()), await engine.session(slots=1)
    [one], [other] = await first.claim(), await second.claim()
    await engine.connection.execute(_PATIENCE)
    async with first.connection.transaction():
        await first.succeed(one, room=0)
        verdicts = (await second.succeed(other, room=0)).verdicts
        assert [verdict.verdict for verdict in verdicts] == ["deferred"]
    await second.succeed(other, room=0)
    assert await engine.state(task, "c") == "enqueued"


async def a_reported_step_outlives_its_worker(engine: Engine) -> None:
    """The worker is lost after its step is recorded, and before it names the grant as over: the step stays complete."""
    await engine.publish("a -> b", max_attempts=5)
    task = await engine.submit()
    worker = await engine.session()
    await worker.succeed(*await worker.claim(), room=0)
    await worker.end(is_loss=True)
    await engine.sweep_all()
    assert await engine.states(task) == {"a": "complete", "b": "enqueued"}


async def a_worker_with_a_wrong_clock_sweeps(engine: Engine) -> None:
    """Its clock is an hour ahead, which nobody goes by: sessions that have just beaten live on."""
    await engine.publish("a")
    await engine.session(lease_s=15)
    raw = (await engine.connect()).raw
    await raw.execute("update tasker_engine.sessions set beat_at = clock_timestamp()")
    await raw.execute("update tasker_engine.sweeps set swept_at = clock_timestamp() + interval '59 min 59 s'")
    await raw.execute("set tasker.chaos_skew_s = '3600'")
    await raw.execute("select tasker_engine.sweep()")
    assert await engine.value("select count(*) from tasker_engine.sessions where ended_at is null") == 1


async def a_submit_is_repeated(engine: Engine) -> None:
    """Its reply was lost: the same ids again are the same tasks."""
    await engine.publish("a")
    ids = [engine.clock.uuid7() for _ in range(3)]
    for _ in range(2):
        assert await engine.submit_many(contexts=[{}] * 3, ids=ids) == ids
    assert await engine.count("tasks") == 3


async def attempts_rise(engine: Engine) -> None:
    """A step is granted, handed back, and granted again: the first holder's result is refused."""
    await engine.publish("a")
    task = await engine.submit()
    worker = await engine.session()
    [first] = await worker.claim()
    await worker.release(first)
    [second] = await worker.claim()
    assert second.attempt == first.attempt + 1
    await worker.succeed(first)
    assert await engine.state(task, "a") == "in_progress"


async def a_result_comes_twice(engine: Engine) -> None:
    """The reply to a report was lost: the repeat is known, and the child still waits for its other parent."""
    await engine.publish("a, b -> c")
    task = await engine.submit()
    worker = await engine.session()
    a, _ = sorted(await worker.claim(), key=lambda grant: grant.number)
    await worker.succeed(a)
    verdicts = (await worker.succeed(a, room=0)).verdicts
    assert [verdict.verdict for verdict in verdicts] == ["already"]
    assert await engine.state(task, "c") == "pending"


async def a_task_fails_twice(engine: Engine) -> None:
    """A task whose entry in the dead letter queue nobody has settled fails again: it has that entry, and no second."""
    await engine.publish("a", max_attempts=1)
    task = await engine.submit()
    worker = await engine.session(lease_s=1000)
    await engine.sweep_all()
    for _ in range(2):
        await worker.retry(*await worker.claim())
        await engine.sweep_all()
        await engine.act("retry", task, "a")
    assert await engine.count("dlq") == 1


async def work_is_done(engine: Engine) -> None:
    """A small graph, from its beginning to its end."""
    await engine.publish("a, b -> c -> d")
    task = await engine.submit()
    worker = await engine.session()
    await worker.work_off()
    assert await engine.state(task) == "complete"


async def a_begun_task_is_found_late(engine: Engine) -> None:
    """A task whose time came while nobody was there begins when somebody comes, however late."""
    await engine.publish("a")
    await engine.sweep_all()
    await engine.submit(delay_s=1)
    worker = await engine.session(lease_s=100_000)
    engine.advance(600)
    await engine.sweep_all()
    await engine.sweep_all()
    assert len(await worker.claim()) == 1
