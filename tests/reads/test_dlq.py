"""The dead letter queue: entries that the engine makes by itself, and what operators do with them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from support.batch_play import Run, parts
from support.engine import Engine
from support.templates import template

from tasker.model.dlq import DlqEntry, DlqReason, DlqStatus
from tasker.model.errors import ActionForbidden, InvalidInput, NotFound, TaskNotFound
from tasker.model.ids import uuid7
from tasker.model.template import BatchConfig, Lifecycle
from tasker.store import dlq

MINUTE = 60


async def entries(engine: Engine, **which: Any) -> list[DlqEntry]:
    """The entries there are, newest first."""
    return list((await dlq.list_entries(engine.connection.raw, now=engine.clock.now, **which)).entries)


async def swept(engine: Engine) -> list[DlqEntry]:
    """The entries after the sweep."""
    await engine.sweep_all()
    return await entries(engine)


async def exhausted(engine: Engine) -> UUID:
    """A task whose first step has used up its tries."""
    made = await engine.publish("a -> b; c", name="broken", max_attempts=1)
    task, session = await engine.submit({"order": 1}, name=made.name), await engine.session(["a", "c"], lease_s=1e6)
    grants = sorted(await session.claim(), key=lambda grant: grant.number)
    await session.retry(grants[0])
    return task


async def test_used_up_tries_make_an_entry(engine: Engine) -> None:
    """A step that failed for a passing reason on its last try makes an entry, with the task as it was then."""
    task = await exhausted(engine)
    (entry,) = await swept(engine)
    assert (entry.task_uuid, entry.reason, entry.status) == (task, "max_retries_exceeded", "pending")
    assert (entry.namespace, entry.name, entry.version) == ("tests", "broken", "1.0.0")
    assert (entry.original_state, entry.state) == ("blocked_by_failures", "blocked_by_failures")
    assert entry.snapshot["steps"][0]["name"] == "a"
    assert entry.snapshot["steps"][0]["error"]["message"] == "it broke"
    assert "context" not in entry.snapshot
    assert await engine.count("failures") == 0
    assert len(await swept(engine)) == 1


async def test_a_lasting_failure_makes_none(engine: Engine) -> None:
    """A step that failed because trying again cannot help is the business of whoever submitted the task."""
    await engine.publish("a")
    await engine.submit()
    session = await engine.session()
    await session.fail(*await session.claim())
    assert await swept(engine) == []
    assert await engine.count("failures") == 0


async def test_a_lost_worker_makes_an_entry(engine: Engine) -> None:
    """A step that ended because its worker died, or because no worker has its handler, makes an entry."""
    await engine.publish("a", max_attempts=1)
    await engine.publish("lonely", name="other")
    tasks = [await engine.submit(name="flow"), await engine.submit(name="other")]
    dying = await engine.session(["a"])
    await dying.claim()
    await dying.end(is_loss=True)
    await engine.session(["a"], lease_s=10_000)
    engine.advance(400)
    found = await swept(engine)
    found = await swept(engine) if len(found) < 2 else found
    assert {(entry.task_uuid, entry.reason) for entry in found} == {(task, "worker_unavailable") for task in tasks}


async def cyclic(engine: Engine) -> UUID:
    """A task whose steps b and c wait for each other: the file's checker would have refused it."""
    await engine.publish("a -> b -> c")
    await engine.connection.raw.execute(
        "update tasker_engine.template_steps set parents = '{1,3}', child_parents = '{1}' where name = 'b'; "
        "update tasker_engine.template_steps set child_parents = '{2}' where name = 'a'; "
        "update tasker_engine.template_steps set children = '{2}', child_channels = array[(select channel_id from "
        "tasker_engine.template_steps where name = 'b')], child_parents = '{2}' where name = 'c'"
    )
    return await engine.submit()


@pytest.mark.unchecked
async def test_a_cycle_makes_an_entry(engine: Engine) -> None:
    """A task in which nothing can move although nothing failed has steps that wait for each other."""
    task, session = await cyclic(engine), await engine.session()
    await session.succeed(*await session.claim())
    assert await engine.state(task) == "error"
    (entry,) = await swept(engine)
    assert (entry.task_uuid, entry.reason) == (task, "dependency_cycle_detected")
    assert [step["name"] for step in entry.snapshot["steps"]] == ["b", "c"]


async def test_a_task_that_stands_still_makes_an_entry(engine: Engine) -> None:
    """A task in which nothing moved for too long makes an entry, once; a checkpoint is a move, and so is any step's."""
    await engine.publish("a, b")
    task, session = await engine.submit(), await engine.session(lease_s=1e6)
    grants = await session.claim()
    await engine.sweep_all()
    engine.advance(29 * MINUTE)
    assert await swept(engine) == []
    saved = (grants[0].task_id, grants[0].number, grants[0].attempt, '{"cursor": 1}')
    await engine.verbs.checkpoint(engine.connection, session.number, [saved])
    engine.advance(29 * MINUTE)
    assert await swept(engine) == []
    engine.advance(2 * MINUTE)
    (entry,) = await swept(engine)
    assert (entry.task_uuid, entry.reason, entry.original_state) == (task, "staleness_timeout", "steps_in_process")
    assert entry.metadata["threshold_s"] == 30 * MINUTE
    assert len(await swept(engine)) == 1
    await dlq.update_entry(engine.connection, entry.entry_uuid, actor="ada", status=DlqStatus.CANCELLED)
    engine.advance(10 * MINUTE)
    assert len(await swept(engine)) == 1
    engine.advance(25 * MINUTE)
    assert len(await swept(engine)) == 2
    assert await engine.state(task) == "steps_in_process"


async def test_what_may_take_long_is_not_stale(engine: Engine) -> None:
    """A running step has its timeout at least, a task for later begins to wait then, a paused one waits."""
    await engine.publish("a", timeout_seconds=7200)
    await engine.publish("b", name="other")
    await engine.submit(name="flow")
    paused = await engine.submit(name="other")
    await engine.submit(name="other", delay_s=20 * 3600)
    session = await engine.session(lease_s=1e6)
    await session.claim(1)
    await engine.act("pause", paused)
    await engine.sweep_all()
    engine.advance(100 * MINUTE)
    assert await swept(engine) == []


async def test_a_task_without_workers_makes_an_entry(engine: Engine) -> None:
    """A task that waited for its first step for too long makes an entry that says that workers are missing."""
    await engine.publish("a")
    await engine.submit()
    await engine.sweep_all()
    engine.advance(61 * MINUTE)
    (entry,) = await swept(engine)
    assert (entry.reason, entry.original_state) == ("worker_unavailable", "pending")


LIFECYCLES = {
    "retry": (Lifecycle(max_waiting_for_retry_minutes=2), "waiting_for_retry"),
    "process": (Lifecycle(max_steps_in_process_minutes=2), "steps_in_process"),
    "start": (Lifecycle(max_waiting_for_dependencies_minutes=2), "pending"),
    "duration": (Lifecycle(max_duration_minutes=2), "steps_in_process"),
}


async def stand(engine: Engine, lifecycle: Lifecycle, state: str) -> UUID:
    """A task that stands still in a state for three minutes."""
    made = template("a -> b; c", backoff_base_ms=3600_000, max_backoff_ms=3600_000)
    await engine.publish(replace(made, lifecycle=lifecycle))
    task, session = await engine.submit(), await engine.session(lease_s=1e6)
    if state != "pending":
        grants = await session.claim()
        if state == "waiting_for_retry":
            await session.retry(*grants)
    await engine.sweep_all()
    assert await engine.state(task) == state
    engine.advance(3 * MINUTE)
    return task


@pytest.mark.parametrize("name", LIFECYCLES)
async def test_a_template_says_how_long(engine: Engine, name: str) -> None:
    """Each time of a template's lifecycle is what counts for its tasks."""
    lifecycle, state = LIFECYCLES[name]
    task = await stand(engine, lifecycle, state)
    (entry,) = await swept(engine)
    assert (entry.task_uuid, entry.metadata["threshold_s"], entry.original_state) == (task, 120, state)


@pytest.mark.parametrize("state", ["pending", "waiting_for_retry", "steps_in_process"])
async def test_a_template_may_end_stale_tasks(engine: Engine, state: str) -> None:
    """With the action `error` every step that could still move ends in error, and the task; an operator may retry."""
    one = 2
    action = Lifecycle(
        max_waiting_for_retry_minutes=one,
        max_steps_in_process_minutes=one,
        max_waiting_for_dependencies_minutes=one,
        staleness_action="error",
    )
    task = await stand(engine, action, state)
    (entry,) = await swept(engine)
    assert await engine.state(task) == "error"
    assert await engine.counters(task) == (3, 0, 0, 2)
    assert (await engine.step(task, "a"))["error"]["error_type"] == "staleness_timeout"
    await dlq.requeue_entry(engine.connection, entry.entry_uuid, uuid4(), actor="ada")
    await (await engine.session()).work_off()
    assert await engine.state(task) == "complete"


@pytest.mark.parametrize(
    ("lifecycle", "is_entered", "state"),
    [
        (Lifecycle(max_duration_minutes=2, staleness_action="none"), False, "steps_in_process"),
        (Lifecycle(max_duration_minutes=2, auto_dlq_on_timeout=False), False, "steps_in_process"),
        (Lifecycle(max_duration_minutes=2, auto_fail_on_timeout=True), True, "error"),
        (Lifecycle(max_duration_minutes=2, auto_fail_on_timeout=True, auto_dlq_on_timeout=False), False, "error"),
    ],
)
async def test_actions_on_stale_tasks(engine: Engine, lifecycle: Lifecycle, is_entered: bool, state: str) -> None:
    """A template may want no entry, an end in error, both, or nothing."""
    task = await stand(engine, lifecycle, "steps_in_process")
    assert (len(await swept(engine)), await engine.state(task)) == (int(is_entered), state)


async def test_a_stale_batch_ends_with_its_members(engine: Engine) -> None:
    """With the action `error` the members that wait for their turn end as well as those that run."""
    made = template(
        "cut -> work -> gather",
        cut={"type": "batchable"},
        work={"type": "batch_worker", "batch_config": BatchConfig(parallelism=2)},
        gather={"type": "deferred_convergence"},
    )
    await engine.publish(replace(made, lifecycle=Lifecycle(max_duration_minutes=2, staleness_action="error")))
    run = Run(engine, await engine.session(lease_s=1e6), await engine.submit())
    await run.cut(parts(5))
    await run.worker.claim()
    await engine.sweep_all()
    engine.advance(3 * MINUTE)
    await engine.sweep_all()
    members = await engine.members(run.task, "work")
    assert set(members.values()) == {"error"}
    assert len(members) == 5


async def test_every_open_task_is_looked_at_in_turn(engine: Engine) -> None:
    """However many tasks are open, sweep after sweep looks at the next of them, and begins again."""
    await engine.publish(replace(template("a"), lifecycle=Lifecycle(max_waiting_for_dependencies_minutes=1)))
    await engine.submit_many(120)
    await engine.sweep_all()
    engine.advance(2 * MINUTE)
    await engine.sweep_all()
    for _ in range(3):
        await engine.sweep()
    assert len(await entries(engine, limit=500)) == 120


async def test_an_entry_by_hand(engine: Engine) -> None:
    """An operator may put any task into the queue; of a task one entry is pending at a time."""
    await engine.publish("a")
    task, connection = await engine.submit(), engine.connection
    first = await dlq.add_entry(connection, uuid7(), task, actor="ada", notes="look", metadata={"ticket": 7})
    assert await dlq.add_entry(connection, first, task, actor="ada") == first
    assert await dlq.add_entry(connection, uuid7(), task, actor="bob") == first
    entry, events = await dlq.read_entry(engine.connection.raw, first)
    assert (entry.reason, entry.notes, entry.metadata) == (DlqReason.MANUAL_DLQ, "look", {"ticket": 7})
    assert [(event.actor, event.action) for event in events] == [("ada", "created")]
    await dlq.update_entry(connection, first, actor="ada", status=DlqStatus.PERMANENTLY_FAILED)
    assert await dlq.add_entry(connection, uuid7(), task, actor="bob") != first
    with pytest.raises(TaskNotFound):
        await dlq.add_entry(connection, uuid7(), uuid7(), actor="ada")


async def test_an_investigation_is_recorded(engine: Engine) -> None:
    """Assigning, noting, resolving and opening again are kept, each with its actor."""
    task, connection = await exhausted(engine), engine.connection
    (entry,) = await swept(engine)
    one = entry.entry_uuid
    await dlq.update_entry(connection, one, actor="ada", assigned_to="bob")
    await dlq.update_entry(connection, one, actor="bob", notes="the gateway was down", metadata={"ticket": 3})
    engine.advance(60)
    await dlq.update_entry(connection, one, actor="bob", status=DlqStatus.MANUALLY_RESOLVED)
    known, events = await dlq.read_entry(connection.raw, one)
    assert (known.status, known.assigned_to, known.resolved_by) == ("manually_resolved", "bob", "bob")
    assert (known.notes, known.metadata["ticket"], known.resolved_at) == ("the gateway was down", 3, engine.clock.now)
    assert [(event.seq, event.actor, event.action) for event in events] == [
        (1, "tasker", "created"),
        (2, "ada", "assigned"),
        (3, "bob", "noted"),
        (4, "bob", "resolved"),
    ]
    await dlq.update_entry(connection, one, actor="ada", status=DlqStatus.PENDING, assigned_to="")
    known, _ = await dlq.read_entry(connection.raw, one)
    assert (known.status, known.assigned_to, known.resolved_at, known.resolved_by) == ("pending", None, None, None)
    await dlq.update_entry(connection, one, actor="ada", status=DlqStatus.CANCELLED)
    await dlq.add_entry(connection, uuid7(), task, actor="ada")
    with pytest.raises(ActionForbidden, match="another entry"):
        await dlq.update_entry(connection, one, actor="ada", status=DlqStatus.PENDING)
    with pytest.raises(NotFound, match="tasker dlq list"):
        await dlq.update_entry(connection, uuid7(), actor="ada", notes="x")


async def test_requeue_tries_again_once(engine: Engine) -> None:
    """Requeue retries every failed step, records who and why, and resolves the entry; a repeat does nothing again."""
    task, connection = await exhausted(engine), engine.connection
    (entry,) = await swept(engine)
    act = uuid4()
    for _ in range(2):
        done = await dlq.requeue_entry(connection, entry.entry_uuid, act, actor="ada", reason="it is back")
        assert done == 1
    assert await engine.state(task, "a") == "enqueued"
    known, events = await dlq.read_entry(connection.raw, entry.entry_uuid)
    assert (known.status, known.resolved_by, events[-1].action) == ("manually_resolved", "ada", "requeued")
    reasons = await engine.rows("select action, actor, reason from tasker_engine.acts where number is not null")
    assert reasons == [{"action": "retry", "actor": "ada", "reason": "it is back"}]
    with pytest.raises(ActionForbidden, match="nothing to requeue"):
        await dlq.requeue_entry(connection, entry.entry_uuid, uuid4(), actor="ada")
    with pytest.raises(NotFound):
        await dlq.requeue_entry(connection, uuid7(), uuid4(), actor="ada")


async def test_entries_are_listed_by_what_is_asked(engine: Engine) -> None:
    """Lists filter by status, reason, namespace, assignee and task; the queue has the most urgent first."""
    await engine.publish("x")
    await engine.publish("x", name="far", namespace="elsewhere")
    connection = engine.connection
    old = await dlq.add_entry(connection, engine.clock.uuid7(), await engine.submit(name="flow"), actor="ada")
    engine.advance(3600)
    broken = await exhausted(engine)
    await engine.sweep_all()
    (urgent,) = await entries(engine, task_uuids=[broken])
    far = await dlq.add_entry(connection, engine.clock.uuid7(), await engine.submit(name="far"), actor="ada")
    await dlq.update_entry(connection, old, actor="ada", assigned_to="bob")

    async def ids(**which: Any) -> list[UUID]:
        return [entry.entry_uuid for entry in await entries(engine, **which)]

    assert await ids(namespaces=["elsewhere"]) == [far]
    assert await ids(assigned_to="bob") == [old]
    assert await ids(reasons=[DlqReason.MAX_RETRIES_EXCEEDED]) == [urgent.entry_uuid]
    assert await ids(statuses=[DlqStatus.CANCELLED]) == []
    page = await dlq.list_entries(connection.raw, limit=2)
    rest = await dlq.list_entries(connection.raw, limit=2, cursor=page.next_cursor)
    assert {entry.entry_uuid for entry in page.entries + rest.entries} == {old, urgent.entry_uuid, far}
    assert rest.next_cursor is None
    queue = await dlq.investigation_queue(connection.raw, now=engine.clock.now)
    assert [entry.entry_uuid for entry in queue] == [urgent.entry_uuid, old, far]
    assert queue[1].minutes == pytest.approx(60)
    with pytest.raises(InvalidInput):
        await dlq.list_entries(connection.raw, limit=0)


async def test_statistics_tell_what_became_of_entries(engine: Engine) -> None:
    """Statistics have every reason, with how many entries stand where and how long it took to resolve them."""
    await exhausted(engine)
    (entry,) = await swept(engine)
    engine.advance(600)
    await dlq.update_entry(engine.connection, entry.entry_uuid, actor="ada", status=DlqStatus.PERMANENTLY_FAILED)
    stats = {one.reason.value: one for one in await dlq.dlq_stats(engine.connection.raw)}
    assert set(stats) == set(DlqReason)
    found = stats["max_retries_exceeded"]
    assert (found.total, found.pending, found.permanent_failures, found.avg_resolution_minutes) == (1, 0, 1, 10)
    assert stats["manual_dlq"].total == 0
    assert not any(one.total for one in await dlq.dlq_stats(engine.connection.raw, namespaces=["elsewhere"]))


async def test_the_monitor_tells_who_stands_still(engine: Engine) -> None:
    """Open tasks come with how long they have stood still and may; from four fifths on that is a warning."""
    await engine.publish("a")
    old = await engine.submit()
    engine.advance(40 * MINUTE)
    new = await engine.submit()
    engine.advance(10 * MINUTE)
    found = await dlq.list_stale(engine.connection.raw, now=engine.clock.now)
    assert [(one.task_uuid, one.still_minutes, one.health) for one in found] == [
        (old, 50, "warning"),
        (new, 10, "healthy"),
    ]
    assert found[0].threshold_minutes == 60
    assert found[0].since == engine.clock.now - timedelta(minutes=50)
    assert await dlq.list_stale(engine.connection.raw, namespaces=["elsewhere"]) == []
