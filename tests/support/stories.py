"""Small stories that end well on a sound engine; each asserts what must hold."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import UUID

import pytest

from support.engine import Engine
from tasker.model.errors import IdentityConflict
from tasker.model.outcome import decided


async def one_of_each(engine: Engine) -> None:
    """A task succeeds over a join, one is retried, one fails for good, one is handed back."""
    await engine.publish("a, b -> c", backoff="none", max_attempts=3)
    tasks = await engine.submit_many(4)
    worker = await engine.session()
    grants = {(grant.task_id, grant.number): grant for grant in await worker.claim()}
    for number in (1, 2):
        await worker.succeed(grants[tasks[0], number])
        engine.advance(1)
    await worker.retry(grants[tasks[1], 1])
    await worker.fail(grants[tasks[2], 1])
    await worker.release(grants[tasks[3], 1])


async def retries_run_out(engine: Engine) -> None:
    """A step fails until it may not any more."""
    await engine.publish("a", backoff="none", max_attempts=2)
    await engine.submit()
    worker = await engine.session()
    while grants := await worker.claim():
        await worker.retry(*grants)


async def a_stranger_reports(engine: Engine) -> None:
    """Another session names the right attempt."""
    await engine.publish("a")
    await engine.submit()
    worker, stranger = await engine.session(), await engine.session()
    await stranger.succeed(*await worker.claim())


async def an_old_attempt_reports(engine: Engine) -> None:
    """The attempt before the one that runs reports its success."""
    await engine.publish("a", backoff="none")
    task = await engine.submit()
    worker = await engine.session()
    [first] = await worker.claim()
    await worker.retry(first)
    await worker.claim()
    await worker.succeed(first)
    assert await engine.state(task, "a") == "in_progress"


async def keys_are_used(engine: Engine) -> None:
    """One key, twice, then with other content."""
    await engine.publish("a")
    task = await engine.submit({"n": 1}, idempotency_key="Key")
    assert await engine.submit({"n": 1}, idempotency_key="Key") == task
    with pytest.raises(IdentityConflict):
        await engine.submit({"n": 2}, idempotency_key="Key")


async def a_worker_dies(engine: Engine) -> None:
    """What it held is run elsewhere, and is not condemned."""
    await engine.publish("a", max_attempts=10)
    task = await engine.submit()
    for _ in range(5):
        worker = await engine.session()
        [grant] = await worker.claim(may_be_alone=True)
        assert grant.is_alone == (grant.attempt > 2)
        await worker.end(is_loss=True)
    assert await engine.state(task, "a") == "enqueued"


async def the_database_was_away(engine: Engine) -> None:
    """Nobody swept for an hour; the worker is alive."""
    await engine.publish("a")
    task = await engine.submit()
    worker = await engine.session(lease_s=10)
    await worker.claim()
    await engine.sweep_all()
    engine.advance(3600)
    await engine.sweep_all()
    assert await engine.state(task, "a") == "in_progress"


async def a_busy_task_is_reported(engine: Engine) -> None:
    """Somebody holds the task's row."""
    await engine.publish("a")
    task = await engine.submit()
    worker = await engine.session()
    grants = await worker.claim()
    holder = await engine.connect()
    await engine.connection.execute("set lock_timeout = '50 ms'")
    async with holder.transaction():
        await holder.execute("select from tasker_engine.tasks where task_id = $1 for update", task)
        assert [verdict.verdict for verdict in (await worker.succeed(*grants)).verdicts] == ["deferred"]


async def a_cancelled_task_is_claimed(engine: Engine) -> None:
    """Its ready row is still in line."""
    await engine.publish("a")
    await engine.act("cancel", await engine.submit())
    worker = await engine.session()
    assert await worker.claim() == []


async def a_paused_task_goes_on(engine: Engine) -> None:
    """It is paused while its first step runs, and resumed."""
    await engine.publish("a -> b")
    task = await engine.submit()
    worker = await engine.session()
    grants = await worker.claim()
    await engine.act("pause", task)
    assert (await worker.succeed(*grants)).grants == []
    await engine.act("resume", task)
    assert len(await worker.claim()) == 1


async def an_old_due_row_comes_up(engine: Engine) -> None:
    """A step was retried by hand before its time, and waits anew when the first time comes."""
    await engine.publish("a", max_attempts=9)
    task = await engine.submit()
    worker = await engine.session()
    await worker.retry(*await worker.claim(), retry_after_s=5)
    await engine.act("retry", task, "a")
    await worker.retry(*await worker.claim(), retry_after_s=500)
    engine.advance(5)
    assert await worker.claim() == []


async def a_waiting_step_is_resolved(engine: Engine) -> None:
    """By hand, while it waits for its retry."""
    await engine.publish("a; b")
    task = await engine.submit()
    worker = await engine.session()
    await worker.retry(*await worker.claim(), retry_after_s=5)
    await engine.act("resolve", task, "a")


async def a_reply_is_lost(engine: Engine) -> None:
    """The worker asks again for what it was granted."""
    await engine.publish("a")
    await engine.submit()
    worker = await engine.session()
    await worker.claim()
    worker.held.clear()
    assert len((await worker.regrant()).grants) == 1


async def an_action_is_repeated(engine: Engine) -> None:
    """With the same id, when the step has failed anew."""
    await engine.publish("a")
    task = await engine.submit()
    worker = await engine.session()
    act_id = engine.clock.uuid7()
    for _ in range(2):
        await worker.fail(*await worker.claim())
        await engine.act("retry", task, "a", act_id=act_id)
    assert await engine.state(task) == "error"


async def a_server_wishes(engine: Engine) -> None:
    """It asks for five seconds, where the policy says one."""
    await engine.publish("a")
    task = await engine.submit()
    worker = await engine.session()
    await worker.retry(*await worker.claim(), retry_after_s=5)
    assert await engine.due_in_s(task, "a") == 5


async def a_transaction_was_open(engine: Engine) -> None:
    """A submit is committed below the bound."""
    await engine.publish("a")
    user = await engine.connect(pinned=False)
    transaction = user.transaction()
    await transaction.start()
    task = await engine.submit(connection=user)
    worker = await engine.session(slots=5000, lease_s=1000)
    for _ in range(3):
        await engine.submit_many(1200)
        await worker.fail(*await worker.claim())
        engine.advance(11)
        await engine.sweep_all()
    await transaction.commit()
    engine.advance(5)
    await engine.sweep_all()
    assert [grant.task_id for grant in await worker.claim()] == [task]


async def a_task_is_scheduled(engine: Engine) -> None:
    """For a minute from now."""
    await engine.publish("a")
    start_at = engine.clock.now + timedelta(seconds=60)
    await engine.submit(start_at=start_at.isoformat())
    worker = await engine.session()
    assert await worker.claim() == []


async def an_older_task_waits(engine: Engine) -> None:
    """A step is freed while an older one lies ready, and there is one slot."""
    await engine.publish("a -> b")
    older = await engine.submit()
    worker, other = await engine.session(slots=1), await engine.session(slots=1)
    [early] = await worker.claim()
    engine.advance(10)
    await engine.submit()
    [grant] = await other.claim()
    await worker.release(early)
    assert (await other.succeed(grant)).grants == []
    assert [grant.task_id for grant in await other.claim()] == [older]


async def a_namespace_is_noisy(engine: Engine) -> None:
    """Two namespaces have work for every slot."""
    for namespace in ("noisy", "quiet"):
        await engine.publish("a", name=namespace, namespace=namespace)
        await engine.submit_many(50, name=namespace)
    worker = await engine.session(slots=10)
    await worker.claim()
    query = """select count(*) from tasker_engine.steps join tasker_engine.tasks t using (task_id)
               where steps.state = 'in_progress' group by t.namespace_id"""
    assert [row["count"] for row in await engine.rows(query)] == [5, 5]


async def nobody_works(engine: Engine) -> None:
    """For a day; then a worker comes that has another handler."""
    await engine.publish("a")
    task = await engine.submit()
    engine.advance(86_400)
    await engine.sweep_all()
    await engine.session([])
    await engine.sweep_all()
    assert await engine.state(task, "a") == "enqueued"


async def a_step_waits_in_its_worker(engine: Engine) -> None:
    """For longer than its timeout, before it begins."""
    await engine.publish("a", timeout_seconds=1)
    task = await engine.submit()
    worker = await engine.session()
    await worker.claim()
    await engine.sweep_all()
    for _ in range(10):
        engine.advance(2)
        await worker.beat()
        await engine.sweep_all()
    assert await engine.state(task, "a") == "in_progress"


async def a_key_expires(engine: Engine) -> None:
    """After a minute it is free."""
    await engine.publish("a")
    first = await engine.submit({"n": 1}, idempotency_key="k", key_ttl_s=60)
    engine.advance(60)
    assert await engine.submit({"n": 2}, idempotency_key="k") != first


async def a_worker_holds_an_older_attempt(engine: Engine) -> None:
    """The reply that granted the newer one was lost."""
    await engine.publish("a", backoff="none")
    await engine.submit()
    worker = await engine.session()
    [old] = await worker.claim()
    await worker.retry(old)
    await worker.claim()
    worker.held = {(old.task_id, old.number): old}
    assert [grant.attempt for grant in (await worker.regrant()).grants] == [2]


async def _decide(engine: Engine, graph: str, *names: str) -> UUID:
    """A task whose first step, the decision `d`, chooses these steps."""
    types = {"d": {"type": "decision"}, "end": {"type": "deferred_convergence"}}
    await engine.publish(graph, **{name: kind for name, kind in types.items() if name in graph})
    task = await engine.submit()
    worker = await engine.session()
    [grant] = await worker.claim()
    outcome = {"type": "create_steps", "step_names": names} if names else {"type": "no_branches"}
    await worker.report((grant, decided(json.dumps({"decision_point_outcome": outcome}))))
    await worker.work_off()
    return task


async def a_branch_is_not_chosen(engine: Engine) -> None:
    """What follows only from it is not taken, and the task ends."""
    task = await _decide(engine, "d -> a -> a2; d -> b", "b")
    assert await engine.state(task) == "complete"


async def no_branch_is_chosen(engine: Engine) -> None:
    """The convergence runs all the same."""
    task = await _decide(engine, "d -> a, b -> end")
    assert await engine.state(task, "end") == "complete"


async def a_choice_is_wrong(engine: Engine) -> None:
    """The decision fails for good."""
    task = await _decide(engine, "d -> a -> a2", "a2")
    assert await engine.state(task, "d") == "error"
