"""A call that was cut between its sending and its reply loses nothing and runs nothing twice."""

from __future__ import annotations

from support.engine import Engine
from support.session import Session

from tasker.store.verbs import Submit


def _forget(worker: Session) -> None:
    """The reply never came: the worker does not know what it was granted."""
    worker.held.clear()


async def test_what_a_lost_claim_granted_is_handed_out_again(engine: Engine) -> None:
    """Steps that the session owns and the worker does not hold come back under the same attempt, with their inputs."""
    await engine.publish("a")
    tasks = await engine.submit_many(5, contexts=[{"n": n} for n in range(5)])
    worker = await engine.session()
    granted = {(grant.task_id, grant.attempt) for grant in await worker.claim()}
    _forget(worker)
    reply = await worker.regrant()
    assert {(grant.task_id, grant.attempt) for grant in reply.grants} == granted
    assert set(reply.inputs) == set(tasks)
    await worker.succeed(*reply.grants)
    assert {await engine.state(task) for task in tasks} == {"complete"}


async def test_what_a_lost_report_granted_is_handed_out_again(engine: Engine) -> None:
    """A successor handed over in a lost reply comes with its parents' results; the repeat answers `already`."""
    await engine.publish("a -> b")
    task = await engine.submit({"x": 1})
    worker = await engine.session()
    [a] = await worker.claim()
    await worker.succeed(a, result={"y": 2})
    worker.held = {(a.task_id, a.number): a}
    reply = await worker.regrant()
    assert [grant.number for grant in reply.grants] == [await engine.number(task, "b")]
    assert reply.gone == [(task, a.number, a.attempt)]
    assert reply.results == {task: {a.number: '{"y": 2}'}}
    again = await worker.succeed(a)
    assert [verdict.verdict for verdict in again.verdicts] == ["already"]
    await worker.succeed(*reply.grants)
    assert await engine.state(task) == "complete"


async def test_only_what_is_missing_is_granted_again(engine: Engine) -> None:
    """What the worker still holds is not handed out twice."""
    await engine.publish("a")
    await engine.submit_many(4)
    worker = await engine.session()
    grants = await worker.claim(2)
    lost = await worker.claim(2)
    worker.held = {(grant.task_id, grant.number): grant for grant in grants}
    reply = await worker.regrant()
    assert {grant.task_id for grant in reply.grants} == {grant.task_id for grant in lost}
    assert (await worker.regrant()).grants == []


async def test_regrant_is_repeatable(engine: Engine) -> None:
    """When the reply of regrant is lost too, the next one answers the same."""
    await engine.publish("a")
    await engine.submit()
    worker = await engine.session()
    await worker.claim()
    attempts: list[int] = []
    for _ in range(3):
        _forget(worker)
        attempts += [grant.attempt for grant in (await worker.regrant()).grants]
    assert attempts == [1, 1, 1]
    await worker.succeed(*worker.held.values())


async def test_an_older_attempt_in_hand_does_not_hide_the_newer(engine: Engine) -> None:
    """A worker with attempt 1 of a step whose attempt 2 its session owns lets the one go and gets the other."""
    await engine.publish("a", timeout_seconds=1, backoff="none")
    task = await engine.submit()
    worker = await engine.session(lease_s=1000)
    [old] = await worker.claim()
    await worker.beat(old)
    await engine.sweep_all()
    engine.advance(30)
    await engine.sweep_all()
    [new] = await worker.claim()
    worker.held = {(old.task_id, old.number): old}
    reply = await worker.regrant()
    assert reply.gone == [(task, 1, old.attempt)]
    assert [(grant.task_id, grant.attempt) for grant in reply.grants] == [(task, new.attempt)]


async def test_a_turn_that_still_runs_is_waited_for(engine: Engine) -> None:
    """A cut connection's server process may still commit: the next call of the session waits for it, and sees it."""
    await engine.publish("a")
    await engine.submit()
    cut, fresh = await engine.connect(), await engine.connect()
    worker = await engine.session(connection=cut)
    turn = cut.transaction()
    await turn.start()
    await worker.claim()
    _forget(worker)
    worker.connection = fresh
    await fresh.execute("set lock_timeout = '50 ms'")
    try:
        await worker.regrant()
    except Exception as error:
        assert getattr(error, "sqlstate", "") == "55P03"
    else:
        raise AssertionError("regrant did not wait for the turn that was still running")
    await turn.commit()
    assert len((await worker.regrant()).grants) == 1


async def test_a_suspect_granted_in_a_lost_reply_is_still_alone(engine: Engine) -> None:
    """What comes again says again that it must run alone."""
    await engine.forgive(0)
    await engine.publish("a")
    await engine.submit()
    first, worker = await engine.session(), await engine.session()
    await first.claim()
    await first.end(is_loss=True)
    [suspect] = await worker.claim(may_be_alone=True)
    _forget(worker)
    [again] = (await worker.regrant()).grants
    assert (suspect.is_alone, again.is_alone, again.attempt) == (True, True, suspect.attempt)
    await worker.succeed(again)


async def test_a_submit_can_be_repeated(engine: Engine) -> None:
    """The same ids with the same contexts make no second task; the answer says that they existed."""
    await engine.publish("a")
    ids = [engine.clock.uuid7() for _ in range(3)]
    contexts = ['{"n": 1}', '{"n": 2}', '{"n": 3}']
    first = await engine.verbs.submit(engine.connection, Submit("tests", "flow", None, ids[:2], contexts[:2], None))
    assert [(answer.task_id, answer.is_duplicate) for answer in first] == [(ids[0], False), (ids[1], False)]
    again = await engine.verbs.submit(engine.connection, Submit("tests", "flow", None, ids, contexts, None))
    assert [(answer.task_id, answer.is_duplicate) for answer in again] == [
        (ids[0], True),
        (ids[1], True),
        (ids[2], False),
    ]
    assert await engine.count("tasks") == 3
    assert await engine.count("ready") == 3
