"""Only the holder of the last grant can end a step, and only once."""

from __future__ import annotations

import dataclasses

from support.engine import Engine
from support.session import passing_fault, success

from tasker.store.replies import Reply


def _verdicts(reply: Reply) -> list[str]:
    return [verdict.verdict for verdict in reply.verdicts]


async def test_an_outcome_is_recorded_once(engine: Engine) -> None:
    """The same outcome reported again answers `already`, whatever the outcome was, and changes nothing."""
    await engine.publish("ok -> next; bad; again", bad={"max_attempts": 1})
    task = await engine.submit()
    worker = await engine.session()
    by_number = {grant.number: grant for grant in await worker.claim()}
    numbers = {name: await engine.number(task, name) for name in ("ok", "bad", "again")}
    outcomes = [
        (by_number[numbers["ok"]], success(1)),
        (by_number[numbers["bad"]], passing_fault()),
        (by_number[numbers["again"]], passing_fault(100)),
    ]
    await worker.report(*outcomes)
    before = await engine.rows("select * from tasker_engine.steps order by number")
    assert _verdicts(await worker.report(*outcomes)) == ["already"] * 3
    assert await engine.rows("select * from tasker_engine.steps order by number") == before


async def test_a_release_reported_again_is_already_there(engine: Engine) -> None:
    """Handing back twice puts a step in line once."""
    await engine.publish("a")
    await engine.submit()
    worker = await engine.session()
    [grant] = await worker.claim()
    await worker.release(grant)
    assert _verdicts(await worker.release(grant)) == ["already"]
    assert await engine.count("ready") == 1


async def test_an_older_attempt_is_stale(engine: Engine) -> None:
    """When a step was granted again, the outcome of the attempt before changes nothing."""
    await engine.publish("a", max_attempts=5, backoff="none")
    task = await engine.submit()
    worker = await engine.session()
    [first] = await worker.claim()
    await worker.retry(first)
    [second] = await worker.claim()
    assert second.attempt == first.attempt + 1
    assert _verdicts(await worker.succeed(first, result="late")) == ["stale"]
    assert await engine.state(task, "a") == "in_progress"
    await worker.succeed(second, result="in time")
    assert (await engine.step(task, "a"))["result"] == "in time"


async def test_another_session_cannot_report(engine: Engine) -> None:
    """The fence is the attempt and the session: a stranger that names the right attempt is stale."""
    await engine.publish("a")
    task = await engine.submit()
    worker, stranger = await engine.session(), await engine.session()
    [grant] = await worker.claim()
    for outcome in (success("forged"), passing_fault()):
        assert _verdicts(await stranger.report((grant, outcome))) == ["stale"]
    assert await engine.state(task, "a") == "in_progress"


async def test_what_was_never_granted_is_stale(engine: Engine) -> None:
    """Unknown tasks, unknown steps, and attempts to come are stale, each by itself."""
    await engine.publish("a -> b")
    task = await engine.submit()
    worker = await engine.session()
    [grant] = await worker.claim()
    made_up = [
        dataclasses.replace(grant, task_id=engine.clock.uuid7()),
        dataclasses.replace(grant, number=99),
        dataclasses.replace(grant, number=await engine.number(task, "b"), attempt=0),
        dataclasses.replace(grant, attempt=grant.attempt + 1),
    ]
    assert _verdicts(await worker.succeed(*made_up)) == ["stale"] * 4
    assert await engine.states(task) == {"a": "in_progress", "b": "pending"}


async def test_a_good_outcome_beside_stale_ones_counts(engine: Engine) -> None:
    """Verdicts are of each outcome: the others of the batch are recorded."""
    await engine.publish("a")
    one, other = await engine.submit_many(2)
    worker = await engine.session()
    grants = {grant.task_id: grant for grant in await worker.claim()}
    await engine.act("cancel", other)
    reply = await worker.succeed(*grants.values())
    assert [(verdict.task_id, verdict.verdict) for verdict in reply.verdicts] == [(other, "stale")]
    assert reply.ended == [(one, "complete")]


async def test_one_outcome_named_twice_in_a_batch_counts_once(engine: Engine) -> None:
    """A batch that holds the same outcome twice records it once, and frees its children once."""
    await engine.publish("a -> b")
    task = await engine.submit()
    worker = await engine.session()
    [grant] = await worker.claim()
    reply = await worker.report((grant, success(1)), (grant, success(2)))
    assert [freed.number for freed in reply.grants] == [await engine.number(task, "b")]
    assert await engine.counters(task) == (1, 1, 0, 0)


async def test_the_reports_of_an_ended_session_meet_the_same_fence(engine: Engine) -> None:
    """A session that was ended may still report: what nobody took from it counts, and it is granted nothing."""
    await engine.publish("a -> b")
    kept, taken = await engine.submit_many(2)
    worker, operator = await engine.session(), await engine.connect()
    grants = {grant.task_id: grant for grant in await worker.claim()}
    async with operator.transaction():
        await operator.execute("select from tasker_engine.tasks where task_id = $1 for update", kept)
        await worker.end(is_loss=True)
    assert await engine.state(taken, "a") == "enqueued"
    reply = await worker.succeed(*grants.values())
    assert reply.session_ended
    assert reply.grants == []
    assert [(verdict.task_id, verdict.verdict) for verdict in reply.verdicts] == [(taken, "stale")]
    assert await engine.states(kept) == {"a": "complete", "b": "enqueued"}


async def test_stale_outcomes_are_counted_by_session(engine: Engine) -> None:
    """What a worker says it got back as stale adds up in the row of its session."""
    worker = await engine.session()
    await worker.beat(stale=3)
    await worker.beat(stale=4)
    assert await engine.value("select stale_outcomes from tasker_engine.sessions") == 7
