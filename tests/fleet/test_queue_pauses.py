"""Queues that an operator has paused: what runs goes on, nothing further is handed out, and everybody can see why."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from fleet_support import FLEET, on_queue
from support.breakers import go_down, half_open, publish
from support.engine import Engine
from support.session import Session

from tasker.model.errors import ActionForbidden, InvalidInput, NotFound
from tasker.store.why import explain_task


async def said(engine: Engine, task: UUID) -> list[tuple[str, str]]:
    """Why a task's steps wait: kinds and sentences."""
    found = await explain_task(engine.connection.raw, task, now=engine.clock.now)
    return [(one.kind, one.said) for step in found.steps for one in step.conditions]


async def test_a_paused_queue_hands_out_nothing_and_loses_nothing(engine: Engine) -> None:
    """With many tasks in flight: what runs is recorded, what it frees waits, and after the resume all completes."""
    await engine.publish("a -> b")
    worker, idle = await engine.session(slots=20), await engine.session()
    running = [await engine.submit() for _ in range(30)]
    grants = await worker.claim()
    assert len(grants) == 20
    await on_queue(engine, "pause")
    assert await idle.claim(may_be_alone=True) == []
    reply = await worker.succeed(*grants)
    assert (reply.grants, reply.verdicts) == ([], [])
    here = await idle.submit_here(engine.clock.uuid7())
    assert (len(here.submitted), here.grants) == (1, [])
    newcomer = await engine.session()
    assert await newcomer.claim() == []
    acted = await on_queue(engine, "resume")
    assert not acted.is_paused
    assert await newcomer.work_off() == 30 + 30 - 20 + 2
    assert {await engine.state(task) for task in running} == {"complete"}


async def test_other_queues_and_handlers_go_on(engine: Engine) -> None:
    """A pause of one queue, or of one handler, is of nothing else."""
    await engine.publish("a, b")
    await engine.publish("c", name="other", queue="slow")
    worker = await engine.session()
    for name in ("flow", "other"):
        await engine.submit(name=name)
    await on_queue(engine, "pause", queue="slow")
    await on_queue(engine, "pause", handler="a")
    assert {grant.number for grant in await worker.claim()} == {2}
    await on_queue(engine, "resume", handler="a")
    assert [grant.number for grant in await worker.claim()] == [1]
    assert (await on_queue(engine, "resume", queue="slow")).is_paused is False
    assert len(await worker.claim()) == 1


async def test_a_pause_ends_by_itself(engine: Engine) -> None:
    """With an end it is over then, and the record says so."""
    await engine.publish("a")
    worker = await engine.session()
    await engine.submit()
    await on_queue(engine, "pause", for_s=60)
    await engine.sweep_all()
    engine.advance(5)
    await worker.beat()
    await engine.sweep_all()
    assert await worker.claim() == []
    for _ in range(12):
        engine.advance(5)
        await worker.beat()
        await engine.sweep_all()
    assert len(await worker.claim()) == 1
    (record,) = await FLEET.pauses(engine.connection)
    assert (record.ended_by, record.end_reason) == ("tasker", "its time was over")


async def test_who_paused_and_why_is_told(engine: Engine) -> None:
    """The step, the list of queues and the record say who, since when and why; the figures count it."""
    await engine.publish("a")
    worker = await engine.session()
    task = await engine.submit()
    await on_queue(engine, "pause", for_s=3600)
    (condition,) = await said(engine, task)
    at = f"{engine.clock.now:%Y-%m-%d %H:%M:%S}"
    assert condition[0] == "queue_paused"
    assert condition[1].startswith(f'every queue of the namespace "tests" is paused by ada since {at}Z until ')
    assert condition[1].endswith(": stock-taking")
    (queue,) = await FLEET.queues(engine.connection, now=engine.clock.now)
    assert (queue.queue, queue.ready, queue.workers, queue.paused) == ("tests", 1, 1, condition[1])
    figures = await FLEET.figures(engine.connection)
    assert (figures.pauses, figures.paused_steps, figures.unserved_steps) == (1, 1, 0)
    await on_queue(engine, "resume", reason="counted")
    (record,) = await FLEET.pauses(engine.connection)
    assert (record.actor, record.reason, record.ended_by, record.end_reason) == (
        "ada",
        "stock-taking",
        "ada",
        "counted",
    )
    assert [kind for kind, _ in await said(engine, task)] == ["queue"]
    assert len(await worker.claim()) == 1


async def test_an_act_is_done_once(engine: Engine) -> None:
    """The same act again answers the same; what cannot be paused or resumed is refused with what to do."""
    await engine.publish("a")
    act_id = uuid4()
    first = await on_queue(engine, "pause", act_id=act_id)
    await on_queue(engine, "resume")
    assert await on_queue(engine, "pause", act_id=act_id) == first
    assert (await FLEET.queues(engine.connection))[0].paused is None
    with pytest.raises(ActionForbidden, match="is not paused in these words"):
        await on_queue(engine, "resume")
    with pytest.raises(NotFound, match='no namespace "nowhere"'):
        await on_queue(engine, "pause", "nowhere")
    with pytest.raises(NotFound, match='the queue "slwo" of the namespace "tests"'):
        await on_queue(engine, "pause", queue="slwo")
    with pytest.raises(InvalidInput, match="cannot last"):
        await on_queue(engine, "pause", for_s=-1)
    await on_queue(engine, "pause")
    await on_queue(engine, "pause", queue="tests")
    assert (await on_queue(engine, "resume", queue="tests")).is_paused


async def test_what_was_cancelled_waits_for_nobody(engine: Engine) -> None:
    """A cancelled task's step is no longer counted among those that wait for a worker, or in a paused queue."""
    await engine.publish("a")
    tasks = [await engine.submit(), await engine.submit()]
    await on_queue(engine, "pause")
    figures = await FLEET.figures(engine.connection)
    assert (figures.unserved_steps, figures.paused_steps) == (2, 2)
    await engine.act("cancel", tasks[0])
    figures = await FLEET.figures(engine.connection)
    assert (figures.unserved_steps, figures.paused_steps) == (1, 1)
    (queue,) = await FLEET.queues(engine.connection)
    assert queue.ready == 1


async def test_time_in_a_paused_queue_counts_against_nobody(engine: Engine) -> None:
    """A step of a paused queue neither fails for want of a worker nor becomes stale, and after the resume it has all
    its time again."""
    await engine.publish("a")
    task = await engine.submit()
    other = await engine.session([], lease_s=2000)
    await on_queue(engine, "pause")
    await _pass(engine, other, 500, times=8)
    assert await engine.state(task, "a") == "enqueued"
    assert await engine.count("dlq") == 0
    health = "select health from tasker_engine.judge_staleness(array[$1::uuid], $2)"
    assert await engine.value(health, task, engine.clock.now) == "paused"
    assert [kind for kind, _ in await said(engine, task)] == ["queue_paused", "no_worker"]
    assert (await FLEET.figures(engine.connection)).unserved_steps == 1
    await on_queue(engine, "resume")
    await _pass(engine, other, 100, times=2)
    assert (await engine.state(task, "a"), await engine.count("dlq")) == ("enqueued", 0)
    await _pass(engine, other, 100, times=3)
    assert (await engine.step(task, "a"))["error"]["error_type"] == "handler_not_found"


async def _pass(engine: Engine, worker: Session, seconds: float, *, times: int) -> None:
    for _ in range(times):
        engine.advance(seconds)
        await worker.beat()
        await engine.sweep_all()


async def test_probes_of_a_paused_queue_wait(engine: Engine) -> None:
    """A half-open breaker lets no probe through where the queue is paused."""
    await publish(engine)
    worker = await engine.session()
    await go_down(engine, worker)
    await half_open(engine)
    await engine.submit()
    await on_queue(engine, "pause")
    assert await worker.claim() == []
    await on_queue(engine, "resume")
    assert len(await worker.claim()) == 1


async def test_who_was_never_paused_does_not_look(engine: Engine) -> None:
    """A session none of whose queues was ever paused is spared to ask about pauses."""
    await engine.publish("a")
    await engine.publish("b", name="other", namespace="elsewhere")
    near = await engine.session(["a"])
    await engine.session(["b"])
    await on_queue(engine, "pause")
    guarded = "select session_id from tasker_engine.sessions where is_guarded"
    assert [row["session_id"] for row in await engine.rows(guarded)] == [near.number]


async def test_a_session_that_begins_beside_a_pause_is_found(engine: Engine) -> None:
    """A session that announced itself while the pause was being written is kept back from the next sweep on."""
    await engine.publish("a")
    worker = await engine.session()
    await engine.submit()
    await on_queue(engine, "pause")
    await engine.connection.raw.execute("update tasker_engine.sessions set is_guarded = false")
    await engine.sweep_all()
    engine.advance(1)
    await engine.sweep_all()
    assert await worker.claim() == []
