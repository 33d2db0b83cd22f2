"""What operators want of workers: pause, drain, resume; and what is known of each worker."""

from __future__ import annotations

from uuid import uuid4

import pytest
from fleet_support import FLEET, on_worker
from support.engine import Engine

from tasker.model.errors import ActionForbidden, NotFound
from tasker.store.why import explain_task


async def test_a_paused_worker_finishes_and_is_handed_nothing(engine: Engine) -> None:
    """It reports what it has; what that frees is for others; the beat says what is wanted; resumed, it works."""
    await engine.publish("a -> b")
    worker, other = await engine.session(slots=1), await engine.session()
    task = await engine.submit()
    (grant,) = await worker.claim()
    assert (await on_worker(engine, "pause", worker)).state == "paused"
    assert (await worker.beat(is_idle=True)).wanted == "paused"
    assert not await engine.value("select is_idle from tasker_engine.sessions where session_id = $1", worker.number)
    assert (await worker.succeed(grant)).grants == []
    assert await worker.claim(may_be_alone=True) == []
    (step,) = (await explain_task(engine.connection.raw, task, now=engine.clock.now)).steps
    assert "(workers that serve it: 2, idle: 0, paused or draining: 1)" in step.conditions[0].said
    assert (await worker.submit_here(engine.clock.uuid7())).grants == []
    assert len(await other.claim(1)) == 1
    assert (await on_worker(engine, "resume", worker)).state == "running"
    assert (await worker.beat()).wanted is None
    assert len(await worker.claim(1)) == 1


async def test_a_paused_workers_failures_count_for_breakers(engine: Engine) -> None:
    """What a paused worker reports of an outside system is heard as anybody's."""
    await engine.publish("a", system_dependency="gateway", max_attempts=10)
    worker = await engine.session()
    await engine.submit()
    (grant,) = await worker.claim()
    await on_worker(engine, "drain", worker)
    await worker.retry(grant)
    error = {"error_type": "handler_error", "message": "down", "retryable": True, "is_dependency_failure": True}
    await engine.submit()
    second = await engine.session()
    (other,) = await second.claim(1)
    await on_worker(engine, "pause", second)
    await second.fail(other, error=error)
    assert await engine.value("select failures from tasker_engine.breakers where name = 'gateway'") == 1


async def test_what_cannot_be_wanted_is_refused(engine: Engine) -> None:
    """A draining worker is not called back, a session that has ended is told of, and an act is done once."""
    await engine.publish("a")
    worker = await engine.session()
    act_id = uuid4()
    first = await on_worker(engine, "drain", worker, act_id=act_id)
    assert first.state == "draining"
    assert await on_worker(engine, "drain", worker, act_id=act_id) == first
    with pytest.raises(ActionForbidden, match="it ends when it is done"):
        await on_worker(engine, "resume", worker)
    other = await engine.session()
    with pytest.raises(ActionForbidden, match="done to something else"):
        await on_worker(engine, "drain", other, act_id=act_id)
    await worker.end()
    with pytest.raises(NotFound, match="tasker worker list"):
        await on_worker(engine, "pause", worker)


async def test_a_worker_is_told_with_all_that_is_known_of_it(engine: Engine) -> None:
    """Host, version, transport, state, namespaces, handlers with their versions, and what it runs."""
    await engine.publish("a -> b")
    worker = await engine.session(slots=1)
    old = await engine.session(["a"])
    await engine.verbs.describe_session(engine.connection, worker.number, "0.1.0", ["a", "b"], ["1.0.0", "2.1.0"])
    await engine.submit()
    await worker.claim()
    await on_worker(engine, "pause", worker)
    second, first = await FLEET.workers(engine.connection, now=engine.clock.now)
    assert (first.session_uuid, first.version, first.transport, first.state) == (
        worker.uuid,
        "0.1.0",
        "direct",
        "paused",
    )
    assert (first.namespaces, first.queues, first.held) == (("tests",), ("tests",), 1)
    assert first.handlers == ("a", "b")
    assert first.handler_versions == {"a": "1.0.0", "b": "2.1.0"}
    assert (first.wanted_by, first.wanted_reason) == ("ada", "a new disk")
    assert (second.version, second.state, second.handlers) == ("", "running", ("a",))
    await old.end()
    ended = await FLEET.workers(engine.connection, ended_within_s=60, now=engine.clock.now)
    assert [one.state for one in ended] == ["ended", "paused"]
