"""Stories of batches that end well on a sound engine, and engines on which they do not."""

from __future__ import annotations

from support.batch_play import fails, start
from support.engine import Engine
from support.mutants import Mutant
from tasker.model.outcome import expanded
from tasker.store.replies import Grant


async def one_fails_and_the_others_go_on(engine: Engine) -> None:
    """Two at a time; the failure is isolated, and the task completes."""
    run = await start(engine, 5, "isolate", parallelism=2)
    while await run.all_at_once(fails(2)):
        pass
    assert await engine.state(run.task) == "complete"


async def one_runs_while_others_wait(engine: Engine) -> None:
    """Two at a time; one of five has ended."""
    run = await start(engine, 5, parallelism=2)
    [grant] = await run.worker.claim(1)
    await run.worker.succeed(grant)


async def nothing_starts_after_a_failure(engine: Engine) -> None:
    """Four at a time; the first fails while the others are ready."""
    run = await start(engine, 6, "fail_fast", parallelism=4)
    [grant] = await run.worker.claim(1)
    await run.worker.fail(grant)
    assert await run.worker.claim() == []


async def a_failed_batch_is_mended(engine: Engine) -> None:
    """Its member is tried again, and then all of it runs."""
    run = await start(engine, 3, "fail_fast", parallelism=1)
    await run.all_at_once(fails(1))
    await engine.act("retry", run.task, "work")
    while await run.all_at_once():
        pass
    assert await engine.state(run.task) == "complete"


async def members_are_asked_for_again(engine: Engine) -> None:
    """The report of the expansion comes twice."""
    run = await start(engine, 2)
    await run.worker.report((Grant(run.task, 2, 1, 0, 1, 0), expanded()))
    assert len(await engine.members(run.task, "work")) == 2


async def a_batch_is_settled_by_hand(engine: Engine) -> None:
    """While two of its members run and others wait."""
    run = await start(engine, 5, parallelism=2)
    await run.worker.claim()
    await engine.act("resolve", run.task, "work")
    while await run.all_at_once():
        pass
    assert await engine.state(run.task) == "complete"


BATCH_MUTANTS = [
    Mutant(
        "failures of a batch are not counted",
        "advance_batches",
        "failed = b.failed + one.failed",
        "failed = b.failed",
        one_fails_and_the_others_go_on,
        "batches",
    ),
    Mutant(
        "an isolated failure counts",
        "advance_batches",
        "batch.failure_strategy = 'isolate'",
        "batch.failure_strategy = 'nobody'",
        one_fails_and_the_others_go_on,
        "counters",
    ),
    Mutant(
        "the next has no turn",
        "advance_batches",
        "row(one.task_id, 0, tasker_engine.release_members(one.task_id, one.number, _now), 0,",
        "row(one.task_id, 0, 0, 0,",
        one_runs_while_others_wait,
        "batches",
    ),
    Mutant(
        "all at once",
        "release_members",
        "limit batch.parallelism - batch.running",
        "limit 1000",
        one_runs_while_others_wait,
        "batches",
    ),
    Mutant(
        "nobody is held",
        "hold_members",
        "s.state = 'enqueued' and s.tries = 0",
        "s.state = 'enqueued' and s.tries = 9",
        nothing_starts_after_a_failure,
    ),
    Mutant(
        "a failed batch goes on",
        "advance_batches",
        "batch.failure_strategy = 'fail_fast' and",
        "batch.failure_strategy = 'nobody' and",
        nothing_starts_after_a_failure,
        "batches",
    ),
    Mutant(
        "a mended batch stays in error",
        "advance_batches",
        "tasker_engine.move_batch(one.task_id, one.number, 'pending', _now)",
        "0",
        a_failed_batch_is_mended,
    ),
    Mutant(
        "no fence for an expansion",
        "expand",
        "and s.state = 'in_progress' and s.attempt = o.attempt and s.session_id = _session",
        "",
        members_are_asked_for_again,
    ),
    Mutant(
        "members run on when the batch is settled",
        "settle_by_hand",
        "state = 'resolved_manually', session_id = null, waiting = 0",
        "waiting = 0",
        a_batch_is_settled_by_hand,
    ),
]
