"""A task whose row is busy keeps nobody waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import pytest
from support.engine import Engine
from support.waiting import until_blocked


@asynccontextmanager
async def _busy(engine: Engine, task: UUID) -> AsyncGenerator[None]:
    """While it lasts, somebody else holds the task's row."""
    holder = await engine.connect()
    async with holder.transaction():
        await holder.execute("select from tasker_engine.tasks where task_id = $1 for no key update", task)
        yield


async def test_the_outcome_of_a_busy_task_is_deferred(engine: Engine) -> None:
    """Report answers at once: `deferred` for the busy task, and the others are recorded; sent again, it counts."""
    await engine.publish("a")
    busy, free = await engine.submit_many(2)
    worker = await engine.session()
    grants = await worker.claim()
    await engine.connection.execute("set lock_timeout = '100 ms'")
    async with _busy(engine, busy):
        reply = await worker.succeed(*grants)
        assert [(verdict.task_id, verdict.verdict) for verdict in reply.verdicts] == [(busy, "deferred")]
        assert reply.ended == [(free, "complete")]
    reply = await worker.succeed(*worker.held.values())
    assert reply.ended == [(busy, "complete")]


async def test_failures_are_deferred_too(engine: Engine) -> None:
    """Whatever the outcome says, a busy task's step stays as it was."""
    await engine.publish("a; b; c")
    task = await engine.submit()
    worker = await engine.session()
    a, b, c = await worker.claim()
    async with _busy(engine, task):
        for reply in (await worker.fail(a), await worker.retry(b), await worker.release(c)):
            assert [verdict.verdict for verdict in reply.verdicts] == ["deferred"]
    assert set((await engine.states(task)).values()) == {"in_progress"}


async def test_a_report_that_may_wait_waits(engine: Engine) -> None:
    """With `may_wait` the report stands in line for the row, and then counts."""
    await engine.publish("a")
    task = await engine.submit()
    theirs = await engine.connect()
    worker = await engine.session(connection=theirs)
    [grant] = await worker.claim()
    async with _busy(engine, task):
        reporting = asyncio.create_task(worker.succeed(grant, may_wait=True))
        await until_blocked(engine, theirs)
    assert (await reporting).ended == [(task, "complete")]


async def test_a_report_does_not_wait_for_long(engine: Engine) -> None:
    """Whoever holds a task for minutes holds up that task only: the report gives up and has done nothing."""
    await engine.publish("a")
    busy, free = await engine.submit_many(2)
    worker = await engine.session()
    grants = await worker.claim()
    async with _busy(engine, busy):
        with pytest.raises(asyncpg.LockNotAvailableError):
            await worker.succeed(*grants, may_wait=True)
        assert await engine.state(free, "a") == "in_progress"
        assert await engine.value("show lock_timeout") == "0"
    reply = await worker.succeed(*grants, may_wait=True)
    assert sorted(reply.ended) == sorted([(busy, "complete"), (free, "complete")])


async def test_the_time_is_read_after_the_wait(engine: Engine) -> None:
    """A report that stood in line writes the time at which it came to its turn, so that history is in order."""
    await engine.publish("a")
    task = await engine.submit()
    theirs, holder = await engine.connect(), await engine.connect()
    worker = await engine.session(connection=theirs.raw)
    [grant] = await worker.claim()
    async with holder.transaction():
        await holder.execute("select from tasker_engine.tasks where task_id = $1 for no key update", task)
        reporting = asyncio.create_task(worker.succeed(grant, may_wait=True))
        await until_blocked(engine, theirs)
        let_go_at = await holder.fetchval("select clock_timestamp()")
    await reporting
    query = "select at from tasker_engine.transitions where task_id = $1 and to_state = 'complete' and number = 1"
    assert await engine.value(query, task) >= let_go_at


async def test_claims_pass_over_what_is_locked(engine: Engine) -> None:
    """A step that another claim is about to take is left, and the next ones are granted."""
    await engine.publish("a")
    tasks = await engine.submit_many(6)
    theirs = await engine.connect()
    other, worker = await engine.session(connection=theirs, slots=2), await engine.session()
    await engine.connection.execute("set lock_timeout = '100 ms'")
    async with theirs.transaction():
        assert {grant.task_id for grant in await other.claim()} == set(tasks[:2])
        assert {grant.task_id for grant in await worker.claim()} == set(tasks[2:])


async def test_a_busy_task_is_granted_and_marked_later(engine: Engine) -> None:
    """A claim does not wait to note that a task has begun: what its step brings notes it."""
    await engine.publish("a -> b")
    task = await engine.submit()
    worker = await engine.session()
    async with _busy(engine, task):
        [grant] = await worker.claim()
        assert await engine.state(task) == "pending"
    await worker.succeed(grant)
    assert await engine.state(task) == "steps_in_process"
    assert await engine.history(task) == [(None, "pending"), ("pending", "steps_in_process")]


async def test_what_is_due_of_a_busy_task_waits_for_the_next_claim(engine: Engine) -> None:
    """A due step whose task is busy is left, and is not lost."""
    await engine.publish("a")
    busy = await engine.submit(delay_s=1)
    free = await engine.submit(delay_s=1)
    worker = await engine.session()
    engine.advance(1)
    async with _busy(engine, busy):
        assert [grant.task_id for grant in await worker.claim()] == [free]
    assert [grant.task_id for grant in await worker.claim()] == [busy]
