"""Checkpoints: how far a long step has come is kept under the fence of its attempt."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from support.engine import Engine
from support.session import Session

from tasker.store.replies import Grant


async def _save(worker: Session, grant: Grant, cursor: Any, **rest: Any) -> str:
    """The verdict on a checkpoint."""
    state = json.dumps({"cursor": cursor, **rest})
    saves = [(grant.task_id, grant.number, grant.attempt, state)]
    [verdict] = await worker.engine.verbs.checkpoint(worker.connection, worker.number, saves)
    return verdict.verdict


async def _read(engine: Engine, task: UUID, number: int = 1) -> dict[str, Any] | None:
    found = await engine.verbs.read_checkpoints(engine.connection, [task], [number])
    return json.loads(found[task, number]) if found else None


async def _running(engine: Engine, **options: Any) -> tuple[Session, Grant]:
    await engine.publish("a", **options)
    await engine.submit()
    worker = await engine.session()
    [grant] = await worker.claim()
    return worker, grant


async def test_the_last_checkpoint_is_kept_with_those_before(engine: Engine) -> None:
    """Cursors of any kind, counts and what was accumulated; the earlier ones are its history."""
    worker, grant = await _running(engine)
    assert await _read(engine, grant.task_id) is None
    assert await _save(worker, grant, 100, items_processed=100) == "recorded"
    assert await _save(worker, grant, "row-200", items_processed=200, accumulated={"total": 7}) == "recorded"
    state = await _read(engine, grant.task_id)
    assert state is not None
    assert (state["cursor"], state["items_processed"], state["accumulated"]) == ("row-200", 200, {"total": 7})
    assert [entry["cursor"] for entry in state["history"]] == [100]


async def test_a_repeat_changes_nothing(engine: Engine) -> None:
    """After a lost reply the same checkpoint is sent again."""
    worker, grant = await _running(engine)
    for _ in range(3):
        assert await _save(worker, grant, 5) == "recorded"
    state = await _read(engine, grant.task_id)
    assert state is not None
    assert (state["saves"], state["history"]) == (1, [])


async def test_the_history_is_bounded(engine: Engine) -> None:
    """`tasker.checkpoint_history` says by how much."""
    worker, grant = await _running(engine)
    await worker.connection.execute("set tasker.checkpoint_history = 3")
    for cursor in range(10):
        await _save(worker, grant, cursor)
    state = await _read(engine, grant.task_id)
    assert state is not None
    assert [entry["cursor"] for entry in state["history"]] == [6, 7, 8]


async def test_who_lost_the_step_cannot_save(engine: Engine) -> None:
    """An attempt that was taken away, another session, and a step that has ended are stale."""
    worker, grant = await _running(engine, backoff="none")
    stranger = await engine.session()
    assert await _save(stranger, grant, 1) == "stale"
    await worker.retry(grant)
    assert await _save(worker, grant, 1) == "stale"
    [again] = await worker.claim()
    assert await _save(worker, grant, 1) == "stale"
    assert await _save(worker, again, 2) == "recorded"
    await worker.succeed(again)
    assert await _save(worker, again, 3) == "stale"
    state = await _read(engine, grant.task_id)
    assert state is not None
    assert state["cursor"] == 2


async def test_a_checkpoint_outlives_the_attempt(engine: Engine) -> None:
    """A retry, and a worker that is lost, find it."""
    worker, grant = await _running(engine, backoff="none")
    await _save(worker, grant, 50)
    await worker.end(is_loss=True)
    other = await engine.session()
    [again] = await other.claim(may_be_alone=True)
    assert again.attempt == 2
    state = await _read(engine, again.task_id)
    assert state is not None
    assert state["cursor"] == 50


async def test_a_busy_step_is_deferred(engine: Engine) -> None:
    """A checkpoint never waits for a lock."""
    worker, grant = await _running(engine)
    other = await engine.connect()
    async with other.raw.transaction():
        await other.raw.execute("select from tasker_engine.steps where task_id = $1 for update", grant.task_id)
        assert await _save(worker, grant, 1) == "deferred"
    assert await _save(worker, grant, 1) == "recorded"
