"""What can be seen of batches: how far they are, what their members wait for, and how they are called everywhere."""

from __future__ import annotations

from datetime import timedelta

from support.batch_play import Run, fails, start
from support.engine import Engine
from support.session import passing_fault, success
from support.templates import template

from tasker.model.outcome import decided
from tasker.store.reads import Reads

READS = Reads()


async def _save(run: Run, index: int, items: int) -> None:
    grant = next(grant for grant in run.members if grant.number & 0xFFFF == index)
    state = f'{{"cursor": 1, "items_processed": {items}}}'
    await run.engine.verbs.checkpoint(
        run.engine.connection, run.worker.number, [(grant.task_id, grant.number, grant.attempt, state)]
    )


async def test_how_far_a_batch_is(engine: Engine) -> None:
    """Members and rows are counted, checkpoints of running members included; the end is estimated from the rate."""
    run = await start(engine, 5, "isolate", parallelism=3)
    one, two, _ = await run.worker.claim()
    engine.advance(10)
    await run.worker.report((one, success({"rows": 10})))
    await run.worker.fail(two)
    await run.worker.claim()
    await _save(run, 3, 5)
    [found] = await READS.batches(engine.connection, run.task, now=engine.clock.now)
    assert (found.name, found.state, found.total, found.parallelism) == ("work", "pending", 5, 3)
    assert (found.waiting, found.running, found.succeeded, found.failed) == (0, 3, 1, 1)
    assert (found.items, found.items_done, found.share) == (50, 25, 0.5)
    assert found.items_per_s is not None
    assert abs(found.items_per_s - 2.5) < 0.01
    assert found.ends_at is not None
    assert abs(found.ends_at - (engine.clock.now + timedelta(seconds=10))) < timedelta(seconds=0.1)


async def test_a_batch_that_is_over(engine: Engine) -> None:
    """Its time stands still, and no end is estimated."""
    run = await start(engine, 2)
    engine.advance(4)
    await run.all_at_once()
    engine.advance(100)
    [found] = await READS.batches(engine.connection, run.task, now=engine.clock.now)
    assert (found.state, found.items_done, found.ends_at, found.share) == ("complete", 20, None, 1.0)
    assert found.items_per_s is not None
    assert abs(found.items_per_s - 5) < 0.01


async def test_members_have_names_and_say_what_they_wait_for(engine: Engine) -> None:
    """In lists of steps, in readiness, in the history, in the levels and in the timings."""
    run = await start(engine, 3, parallelism=1)
    [grant] = await run.worker.claim()
    await run.worker.report((grant, passing_fault(60)))
    view = await READS.task_view(engine.connection, run.task)
    assert [step.name for step in view.steps] == ["cut", "work", "gather", "work_001", "work_002", "work_003"]
    assert view.step("work_001").next_retry_at == engine.clock.now + timedelta(seconds=60)
    ready = {each.name: each for each in await READS.readiness(engine.connection, [run.task], now=engine.clock.now)}
    assert ready["work"].why == "waits for 3 of its workers"
    assert ready["work_002"].why == "waits for its turn in the batch"
    assert (ready["work_001"].why or "").startswith("waits until")
    assert ready["gather"].why == "waits for work"
    history = await READS.history(engine.connection, [run.task])
    assert {move.name for move in history} >= {"work_001", "work"}
    levels = (await READS.levels(engine.connection, [run.task]))[run.task]
    assert levels == {"cut": 0, "work": 1, "work_001": 1, "work_002": 1, "work_003": 1, "gather": 2}
    [summary] = await READS.summaries(engine.connection, [run.task], now=engine.clock.now)
    assert {timing.name for timing in summary.timings} == set(levels)
    assert summary.context.total == 6


async def test_a_member_is_found_by_its_public_id(engine: Engine) -> None:
    """As any step."""
    run = await start(engine, 3)
    step = (await READS.task_view(engine.connection, run.task)).step("work_002")
    assert await READS.task_of_step(engine.connection, step.step_uuid) == (run.task, 2 << 16 | 2)


async def test_the_longest_way_leads_around_what_was_not_taken(engine: Engine) -> None:
    """A step without a row takes no other's place in it; a batch stands for its members."""
    made = template(
        "route -> left, right -> join", name="choice", route={"type": "decision"}, join={"type": "deferred_convergence"}
    )
    await engine.publish(made)
    task, worker = await engine.submit(), await engine.session()
    choice = '{"decision_point_outcome": {"type": "create_steps", "step_names": ["right"]}}'
    [right] = (await worker.report((*await worker.claim(), decided(choice)))).grants
    engine.advance(5)
    [join] = (await worker.succeed(right)).grants
    await worker.succeed(join)
    [summary] = await READS.summaries(engine.connection, [task], now=engine.clock.now)
    assert [timing.name for timing in summary.critical_path] == ["route", "right", "join"]
    run = await start(engine, 2)
    engine.advance(3)
    await run.all_at_once()
    await run.all_at_once()
    [summary] = await READS.summaries(engine.connection, [run.task], now=engine.clock.now)
    assert [timing.name for timing in summary.critical_path] == ["cut", "work", "gather"]


async def test_the_doctor_mends_the_counters_of_a_batch(engine: Engine) -> None:
    """A batch that has come to a halt goes on, and one whose members have all ended is complete."""
    run = await start(engine, 4, parallelism=2)
    await engine.connection.raw.execute("update tasker_engine.batches set running = 5")
    await run.all_at_once()
    assert await run.worker.claim() == []
    query = "select name, ok, repaired from tasker_engine.doctor(true, _now => $1) where name = 'batches go on'"
    assert await engine.rows(query, engine.clock.now) == [{"name": "batches go on", "ok": False, "repaired": 1}]
    while await run.all_at_once(fails()):
        pass
    assert await engine.state(run.task) == "complete"
