"""docs/lifecycle.md: its tables hold every move that happens, and no move that never does.

That nothing else happens is checked after every test that uses a database (`support.checker`); here is the other half.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

from support import lifecycle
from support.batch_play import start
from support.engine import Engine
from support.session import Session
from support.templates import template

from tasker.model.states import StepState, TaskState
from tasker.model.template import Lifecycle
from tasker.store.replies import Grant


def test_the_page_uses_the_public_vocabulary() -> None:
    """Every state in the tables is one of the documented states."""
    assert {state for move in lifecycle.task_moves() for state in move if state} <= set(TaskState)
    assert {state for move in lifecycle.step_moves() for state in move if state} <= set(StepState)


def test_ended_is_ended() -> None:
    """No move leads out of a final state; `error` alone can be left, by an operator."""
    final = {"complete", "cancelled", "resolved_manually"}
    assert not {move for move in lifecycle.task_moves() | lifecycle.step_moves() if move[0] in final}


async def test_every_documented_move_happens(engine: Engine) -> None:
    """Each row of both tables is made by the engine in one of the stories below."""
    await engine.publish("a", name="one", max_attempts=2)
    await engine.publish("a; b", name="two", max_attempts=2)
    await engine.publish("a -> b, c", name="fork", max_attempts=2)
    await engine.publish("x; a", name="unserved")
    worker = await engine.session(["a", "b", "c"])
    await _beginnings(engine, worker)
    await _runs(engine, worker)
    await _waits(engine, worker)
    await _failures(engine, worker)
    await _hands(engine, worker)
    await _unserved(engine, worker)
    await _stale(engine, worker)
    await _batches(engine)
    query = "select distinct from_state::text, to_state::text from tasker_engine.transitions where (number = 0) = $1"
    for is_task, documented in ((True, lifecycle.task_moves()), (False, lifecycle.step_moves())):
        seen = {(row["from_state"], row["to_state"]) for row in await engine.rows(query, is_task)}
        assert documented - seen == set()


async def _batches(engine: Engine) -> None:
    """A batch fails with its member while others are ready, and is mended."""
    run = await start(engine, 4, "fail_fast", parallelism=3)
    [grant] = await run.worker.claim(1)
    await run.worker.fail(grant)
    await engine.act("retry", run.task, "work")
    while await run.all_at_once():
        pass
    await run.worker.end()


async def _take(engine: Engine, worker: Session, name: str) -> tuple[UUID, list[Grant]]:
    """A new task whose first steps the worker holds, in the order of their numbers."""
    task = await engine.submit(name=name)
    await worker.claim()
    return task, sorted((g for g in worker.held.values() if g.task_id == task), key=lambda grant: grant.number)


@asynccontextmanager
async def _unnoticed(engine: Engine, worker: Session, name: str) -> AsyncGenerator[list[Grant], None]:
    """A task whose row was busy while its first steps were granted, so that it is still pending."""
    holder = await engine.connect()
    task = await engine.submit(name=name)
    async with holder.transaction():
        await holder.execute("select from tasker_engine.tasks where task_id = $1 for update", task)
        await worker.claim()
    yield [grant for grant in worker.held.values() if grant.task_id == task]


async def _beginnings(engine: Engine, worker: Session) -> None:
    task = await engine.submit(name="one")
    for action in ("pause", "resume", "cancel"):
        await engine.act(action, task)
    async with _unnoticed(engine, worker, "one") as [grant]:
        await worker.retry(grant, retry_after_s=1000)
    async with _unnoticed(engine, worker, "one") as [grant]:
        await worker.fail(grant)
    async with _unnoticed(engine, worker, "two") as [grant, other]:
        await worker.fail(grant)
        await worker.succeed(other)
    await engine.act("complete", await engine.submit(name="one"), "a")


async def _runs(engine: Engine, worker: Session) -> None:
    task, [a] = await _take(engine, worker, "fork")
    await engine.act("pause", task)
    await engine.act("resume", task)
    [b] = (await worker.succeed(a, room=1)).grants
    await worker.release(b)
    await engine.act("pause", task)
    await worker.work_off()
    await engine.act("resume", task)
    await worker.work_off()
    task, [a] = await _take(engine, worker, "fork")
    await engine.act("cancel", task)
    await worker.succeed(a)
    task, [a] = await _take(engine, worker, "fork")
    await worker.succeed(a, room=0)
    await engine.act("cancel", task)
    await _lose(engine, worker)


async def _lose(engine: Engine, worker: Session) -> None:
    """A step of a worker that dies is ready again."""
    dying = await engine.session(["a"])
    task, _ = await _take(engine, dying, "one")
    await dying.end(is_loss=True)
    await worker.work_off()
    assert await engine.state(task) == "complete"


async def _waits(engine: Engine, worker: Session) -> None:
    for action in ("pause", "resolve", "complete", "cancel", "retry"):
        task, [a] = await _take(engine, worker, "one")
        await worker.retry(a, retry_after_s=50)
        await engine.act(action, task, None if action in ("pause", "cancel") else "a")
    await worker.work_off()
    engine.advance(50)
    await worker.work_off()


async def _failures(engine: Engine, worker: Session) -> None:
    for action in ("retry", "resolve", "complete", "cancel"):
        task, [a] = await _take(engine, worker, "one")
        await worker.fail(a)
        await engine.act(action, task, None if action == "cancel" else "a")
    await worker.work_off()
    for action in ("retry", "pause", "cancel"):
        task, [a, b] = await _take(engine, worker, "two")
        await worker.fail(a)
        await engine.act(action, task, "a" if action == "retry" else None)
        await worker.fail(b)
    await worker.work_off()
    task, [a, b] = await _take(engine, worker, "two")
    await worker.retry(b, retry_after_s=1000)
    await worker.fail(a)
    await engine.act("resolve", task, "a")
    task, grants = await _take(engine, worker, "two")
    await worker.fail(*grants)
    await engine.act("retry", task, "a")


async def _hands(engine: Engine, worker: Session) -> None:
    for action in ("resolve", "complete"):
        for step in ("a", "b"):
            await engine.act(action, await engine.submit(name="fork"), step)
        task, _ = await _take(engine, worker, "one")
        await engine.act(action, task, "a")
    await worker.work_off()


async def _unserved(engine: Engine, worker: Session) -> None:
    await engine.submit(name="unserved")
    await engine.connection.execute("set tasker.handler_missing_s = 10")
    for _ in range(12):
        engine.advance(1)
        await worker.beat()
        await engine.sweep_all()


async def _stale(engine: Engine, worker: Session) -> None:
    allowed = Lifecycle(max_waiting_for_retry_minutes=1, staleness_action="error")
    await engine.publish(replace(template("a", name="hasty"), lifecycle=allowed))
    _, grants = await _take(engine, worker, "hasty")
    await worker.retry(*grants, retry_after_s=3600)
    for _ in range(8):
        engine.advance(10)
        await worker.beat()
        await engine.sweep_all()
