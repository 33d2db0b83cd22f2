"""What operators may do to a step and to a task, from every state."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest
from support.engine import Engine
from support.session import Session

from tasker.model.errors import ActionForbidden, StepNotFound, TaskerError, TaskNotFound

Scene = Callable[[Engine, Session], Awaitable[UUID]]


async def _pending(engine: Engine, worker: Session) -> UUID:
    return await engine.submit(name="after")


async def _scheduled(engine: Engine, worker: Session) -> UUID:
    return await engine.submit(name="one", delay_s=100)


async def _enqueued(engine: Engine, worker: Session) -> UUID:
    return await engine.submit(name="one")


async def _in_progress(engine: Engine, worker: Session) -> UUID:
    task = await engine.submit(name="one")
    await worker.claim()
    return task


async def _waiting_for_retry(engine: Engine, worker: Session) -> UUID:
    task = await engine.submit(name="one")
    await worker.retry(*await worker.claim(), retry_after_s=100)
    return task


async def _error(engine: Engine, worker: Session) -> UUID:
    task = await engine.submit(name="one")
    await worker.fail(*await worker.claim())
    return task


async def _complete(engine: Engine, worker: Session) -> UUID:
    task = await engine.submit(name="one")
    await worker.succeed(*await worker.claim())
    return task


async def _resolved(engine: Engine, worker: Session) -> UUID:
    task = await engine.submit(name="one")
    await engine.act("resolve", task, "x")
    return task


async def _cancelled(engine: Engine, worker: Session) -> UUID:
    task = await engine.submit(name="one")
    await engine.act("cancel", task)
    return task


SCENES: dict[str, Scene] = {
    "pending": _pending,
    "scheduled": _scheduled,
    "enqueued": _enqueued,
    "in_progress": _in_progress,
    "waiting_for_retry": _waiting_for_retry,
    "error": _error,
    "complete": _complete,
    "resolved_manually": _resolved,
    "cancelled": _cancelled,
}
"""A step `x`, which has a child `y`, in each of its states."""

ALLOWED = {
    "retry": {"error", "waiting_for_retry"},
    "resolve": {"pending", "scheduled", "enqueued", "in_progress", "waiting_for_retry", "error"},
    "complete": {"pending", "scheduled", "enqueued", "in_progress", "waiting_for_retry", "error"},
}
LEADS_TO = {"retry": "enqueued", "resolve": "resolved_manually", "complete": "complete"}


async def _scene(engine: Engine, scene: str) -> tuple[Session, UUID]:
    await engine.publish("w -> x -> y", name="after")
    await engine.publish("x -> y; z", name="one")
    worker = await engine.session(["x"])
    return worker, await SCENES[scene](engine, worker)


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("action", LEADS_TO)
async def test_an_action_on_a_step(engine: Engine, action: str, scene: str) -> None:
    """From each state a step may be retried, resolved or completed as documented; else nothing changes."""
    worker, task = await _scene(engine, scene)
    before = await engine.rows("select * from tasker_engine.steps where task_id = $1 order by number", task)
    if scene not in ALLOWED[action]:
        with pytest.raises(ActionForbidden, match=r"step \"x\" is|task .* is"):
            await engine.act(action, task, "x")
        assert await engine.rows("select * from tasker_engine.steps where task_id = $1 order by number", task) == before
        assert not await engine.value("select count(*) from tasker_engine.acts where action = $1", "retry")
        return
    answer = await engine.act(action, task, "x", result={"by": "hand"} if action == "complete" else None)
    step = await engine.step(task, "x")
    assert (step["state"], answer["step_state"]) == (LEADS_TO[action], LEADS_TO[action])
    assert answer["task_state"] == await engine.state(task)
    assert (await engine.state(task, "y")) == ("pending" if action == "retry" else "enqueued")
    if action == "retry":
        assert (step["tries"], step["losses"], step["attempt"]) == (0, 0, 1)
        assert len(await worker.claim()) == 1
    elif action == "complete":
        assert step["result"] == {"by": "hand"}
    await _work_off_everything(engine, task)


async def _work_off_everything(engine: Engine, task: UUID) -> None:
    """Whatever was done, the task comes to its end."""
    engine.advance(100)
    await engine.sweep_all()
    await engine.sweep_all()
    worker = await engine.session()
    await worker.work_off()
    if await engine.state(task, "x") == "in_progress":
        await engine.act("complete", task, "x")
        await worker.work_off()
    assert await engine.state(task) == "complete"


async def test_the_outcome_of_a_step_that_was_ended_by_hand_is_stale(engine: Engine) -> None:
    """What a worker still reports of it changes nothing."""
    await engine.publish("x -> y")
    task = await engine.submit()
    worker = await engine.session()
    [grant] = await worker.claim()
    await engine.act("complete", task, "x", result="by hand")
    assert (await worker.beat()).gone == [(task, 1, grant.attempt)]
    assert [verdict.verdict for verdict in (await worker.succeed(grant, result="late")).verdicts] == ["stale"]
    assert (await engine.step(task, "x"))["result"] == "by hand"


async def test_completing_by_hand_what_then_would_be_resolved_frees_children_once(engine: Engine) -> None:
    """A parent releases its children when it comes to satisfy them, never a second time."""
    await engine.publish("x, z -> y")
    task = await engine.submit()
    await engine.act("complete", task, "x")
    with pytest.raises(ActionForbidden, match="already"):
        await engine.act("resolve", task, "x")
    assert (await engine.step(task, "y"))["waiting"] == 1
    await engine.act("resolve", task, "z")
    assert await engine.state(task, "y") == "enqueued"


async def test_a_step_resolved_before_its_parents_is_not_revived_by_them(engine: Engine) -> None:
    """A child that an operator ended early stays ended when its parents are done."""
    await engine.publish("a -> b -> c")
    task = await engine.submit()
    await engine.act("resolve", task, "b")
    assert await engine.states(task) == {"a": "enqueued", "b": "resolved_manually", "c": "enqueued"}
    worker = await engine.session()
    await worker.work_off()
    assert await engine.states(task) == {"a": "complete", "b": "resolved_manually", "c": "complete"}
    assert await engine.state(task) == "complete"


async def test_an_action_revives_a_task_in_error(engine: Engine) -> None:
    """Retrying the failed step makes its task go on to the end."""
    await engine.publish("a -> b", max_attempts=1)
    task = await engine.submit()
    worker = await engine.session()
    await worker.fail(*await worker.claim())
    assert (await engine.task(task))["finished_at"] is not None
    await engine.act("retry", task, "a")
    assert (await engine.state(task), (await engine.task(task))["finished_at"]) == ("steps_in_process", None)
    await worker.work_off()
    assert await engine.state(task) == "complete"


async def test_a_retry_starts_the_tries_over_and_the_attempts_go_on(engine: Engine) -> None:
    """After a retry by hand the step has all its executions again, and older attempts stay fenced off."""
    await engine.publish("a", max_attempts=2, backoff="none")
    task = await engine.submit()
    worker = await engine.session()
    for _ in range(2):
        for _ in range(2):
            [grant] = await worker.claim()
            await worker.retry(grant)
        assert await engine.state(task) == "error"
        await engine.act("retry", task, "a")
    [grant] = await worker.claim()
    assert (grant.attempt, grant.tries) == (5, 0)


@pytest.mark.parametrize("seen", [{"seen_state": "pending"}, {"seen_attempt": 7}])
async def test_an_action_on_what_has_changed_is_refused(engine: Engine, seen: dict[str, object]) -> None:
    """An operator who saw another state or attempt does nothing, and is told what it is now."""
    await engine.publish("a")
    task = await engine.submit()
    worker = await engine.session()
    await worker.fail(*await worker.claim())
    with pytest.raises(ActionForbidden, match=r"is error on attempt 1, not as you saw it"):
        await engine.act("retry", task, "a", **seen)  # type: ignore[arg-type]
    with pytest.raises(ActionForbidden, match=r"is error, not steps_in_process as you saw it"):
        await engine.act("cancel", task, seen_state="steps_in_process")
    await engine.act("retry", task, "a", seen_state="error", seen_attempt=1)
    assert await engine.count("acts") == 1


async def test_an_action_that_is_repeated_is_done_once(engine: Engine) -> None:
    """After a lost reply the same act_id answers what the first one did, also when the step has failed anew."""
    await engine.publish("a")
    task = await engine.submit()
    worker = await engine.session()
    await worker.fail(*await worker.claim())
    act_id = uuid4()
    first = await engine.act("retry", task, "a", act_id=act_id)
    await worker.fail(*await worker.claim())
    assert await engine.act("retry", task, "a", act_id=act_id) == first
    assert await engine.state(task) == "error"


async def test_an_action_sent_twice_at_once_is_done_once(engine: Engine) -> None:
    """A repeat that overtakes the reply waits for the first one, and answers the same."""
    await engine.publish("a")
    task = await engine.submit()
    worker = await engine.session()
    await worker.fail(*await worker.claim())
    act_id = uuid4()
    connections = [await engine.connect() for _ in range(6)]
    answers = await asyncio.gather(
        *(engine.act("retry", task, 1, act_id=act_id, connection=connection) for connection in connections)
    )
    assert all(answer == answers[0] for answer in answers)
    assert await engine.history(task, "a") == [
        ("pending", "enqueued"),
        ("enqueued", "in_progress"),
        ("in_progress", "error"),
        ("error", "enqueued"),
    ]


async def test_an_action_is_recorded_with_who_and_why(engine: Engine) -> None:
    """Actor, reason, action and time are in the list of acts and with the transition."""
    await engine.publish("a")
    task = await engine.submit()
    await engine.act("resolve", task, "a", actor="grace", reason="paid by cheque")
    [act] = await engine.rows("select actor, reason, action, at from tasker_engine.acts")
    assert act == {"actor": "grace", "reason": "paid by cheque", "action": "resolve", "at": engine.clock.now}
    query = (
        "select detail ->> 'actor' from tasker_engine.transitions where to_state = 'resolved_manually' and task_id = $1"
    )
    assert await engine.value(query, task) == "grace"


async def test_what_does_not_exist_is_named(engine: Engine) -> None:
    """Unknown tasks, steps and actions are errors of their own, and leave no trace."""
    await engine.publish("a")
    task, unknown = await engine.submit(), uuid4()
    with pytest.raises(TaskNotFound, match=str(unknown)):
        await engine.act("cancel", unknown)
    with pytest.raises(StepNotFound, match="no step 7"):
        await engine.act("retry", task, 7)
    with pytest.raises(ActionForbidden, match='no action "explode"'):
        await engine.act("explode", task)
    with pytest.raises(TaskerError):
        await engine.act("retry", task)
    assert await engine.count("acts") == 0


# Tasks ----------------------------------------------------------------------------------------------------------------


async def _paused(engine: Engine, worker: Session) -> UUID:
    task = await engine.submit(name="one")
    await engine.act("pause", task)
    return task


async def _blocked(engine: Engine, worker: Session) -> UUID:
    task = await _error(engine, worker)
    assert await engine.state(task) == "blocked_by_failures"
    return task


async def _failed(engine: Engine, worker: Session) -> UUID:
    task = await _error(engine, worker)
    await engine.act("resolve", task, "z")
    return task


async def _ended(engine: Engine, worker: Session) -> UUID:
    task = await engine.submit(name="one")
    for step in ("z", "x", "y"):
        await engine.act("complete", task, step)
    return task


async def _waiting(engine: Engine, worker: Session) -> UUID:
    task = await _waiting_for_retry(engine, worker)
    await engine.act("resolve", task, "z")
    return task


TASK_SCENES: dict[str, tuple[Scene, str]] = {
    "pending": (_enqueued, "pending"),
    "scheduled": (_scheduled, "pending"),
    "running": (_in_progress, "steps_in_process"),
    "waiting": (_waiting, "waiting_for_retry"),
    "blocked": (_blocked, "blocked_by_failures"),
    "paused": (_paused, "pending"),
    "error": (_failed, "error"),
    "complete": (_ended, "complete"),
    "cancelled": (_cancelled, "cancelled"),
}


@pytest.mark.parametrize("scene", TASK_SCENES)
@pytest.mark.parametrize("action", ["cancel", "pause", "resume"])
async def test_an_action_on_a_task(engine: Engine, action: str, scene: str) -> None:
    """What has not ended may be cancelled, paused and resumed; a failed task may be cancelled; the rest is refused."""
    await engine.publish("x -> y; z", name="one")
    worker = await engine.session(["x"])
    make, state = TASK_SCENES[scene]
    task = await make(engine, worker)
    assert await engine.state(task) == state
    if scene in ("complete", "cancelled") or (scene == "error" and action != "cancel"):
        with pytest.raises(ActionForbidden, match=f"is {state}: it cannot be"):
            await engine.act(action, task)
        return
    answer = await engine.act(action, task, seen_state=state)
    assert answer["task_state"] == ("cancelled" if action == "cancel" else state)
    assert answer["is_paused"] == (action == "pause")
    if action == "cancel":
        assert set((await engine.states(task)).values()) <= {"cancelled", "complete", "resolved_manually"}
        assert await engine.counters(task) == (0, 0, 0, 0)
