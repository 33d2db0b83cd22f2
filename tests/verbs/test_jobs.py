"""Actions on many tasks: what is meant, what becomes of each, and what survives."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from support.engine import Engine
from support.until import until

from tasker.model.errors import ActionForbidden, InvalidInput, NotFound
from tasker.model.ids import uuid7
from tasker.model.jobs import BulkAction, Job
from tasker.model.states import TaskState
from tasker.model.task import TaskFilter
from tasker.store import jobs

PENDING = TaskFilter(states=(TaskState.PENDING,))


async def create(engine: Engine, action: BulkAction, which: TaskFilter = PENDING, **options: Any) -> UUID:
    """A job."""
    return await jobs.create_job(engine.connection, engine.clock.uuid7(), action, which, actor="ada", **options)


async def driven(engine: Engine, job: UUID, *, rounds_max: int = 50) -> Job:
    """Drives a job to its end."""
    for _ in range(rounds_max):
        found, _ = await jobs.drive_job(engine.connection, job, tasks_max=7)
        if found.status != "running":
            return found
    raise AssertionError(f"the job runs after {rounds_max} rounds: {found}")


async def test_an_action_reaches_every_task_that_is_meant(engine: Engine) -> None:
    """All tasks that the filter lets through are acted on, later ones are not; each act has actor and reason."""
    await engine.publish("a")
    await engine.publish("b", name="other")
    tasks = await engine.submit_many(20, name="flow")
    await engine.submit_many(5, name="other")
    engine.advance(5)
    job = await create(engine, "cancel", TaskFilter(name="flow"), reason="sold out")
    engine.advance(5)
    late = await engine.submit(name="flow")
    found = await driven(engine, job)
    assert (found.status, found.matched, found.done, found.refused, found.busy) == ("done", 20, 20, 0, 0)
    assert {await engine.state(task) for task in tasks} == {"cancelled"}
    assert await engine.state(late) == "pending"
    said = await engine.rows("select distinct action, actor, reason from tasker_engine.acts")
    assert said == [{"action": "cancel", "actor": "ada", "reason": "sold out"}]
    items = await jobs.job_items(engine.connection.raw, job)
    assert [item.task_uuid for item in items] == tasks
    page = await jobs.job_items(engine.connection.raw, job, limit=5, cursor=tasks[9])
    assert [item.task_uuid for item in page] == tasks[10:15]


async def test_tasks_that_refuse_say_why(engine: Engine) -> None:
    """A task whose state forbids the action is refused with the reason; the others are done."""
    await engine.publish("a")
    tasks = await engine.submit_many(3)
    await engine.act("cancel", tasks[1])
    found = await driven(engine, await create(engine, "pause", TaskFilter(namespace="tests")))
    assert (found.done, found.refused) == (2, 1)
    (refused,) = await jobs.job_items(engine.connection.raw, found.job_uuid, statuses=["refused"])
    assert refused.task_uuid == tasks[1]
    assert refused.said is not None and "cannot be paused" in refused.said
    assert (await driven(engine, await create(engine, "resume", PENDING))).done == 2
    assert (await engine.task(tasks[0]))["paused_at"] is None


async def test_retry_retries_what_failed(engine: Engine) -> None:
    """Retry runs every failed step again; a task without one is refused."""
    await engine.publish("a; b -> c")
    tasks = await engine.submit_many(4)
    session = await engine.session(["a", "b"])
    await session.fail(*await session.claim())
    found = await driven(engine, await create(engine, "retry", TaskFilter(states=(TaskState.ERROR,))))
    assert (found.matched, found.done) == (4, 4)
    assert {tuple((await engine.states(task)).values()) for task in tasks} == {("enqueued", "enqueued", "pending")}
    again = await driven(engine, await create(engine, "retry", TaskFilter(name="flow")))
    assert (again.done, again.refused) == (0, 4)


@pytest.mark.parametrize("which", [TaskFilter(), TaskFilter(namespaces=("tests",)), TaskFilter(tags=(), states=())])
async def test_a_filter_that_says_nothing_is_refused(engine: Engine, which: TaskFilter) -> None:
    """No action is asked of all tasks, not even in a preview; the namespaces that a caller may reach are no filter."""
    with pytest.raises(InvalidInput, match="needs a filter"):
        await create(engine, "cancel", which)
    with pytest.raises(InvalidInput, match="needs a filter"):
        await jobs.preview_job(engine.connection.raw, which)
    assert await engine.count("jobs") == 0


async def test_a_preview_counts_and_shows(engine: Engine) -> None:
    """A preview tells how many tasks are meant and which are the newest; more than allowed are refused."""
    await engine.publish("a")
    tasks = await engine.submit_many(15)
    seen = await jobs.preview_job(engine.connection.raw, PENDING, size=3)
    assert (seen.count, seen.is_exact) == (15, True)
    assert [task.task_uuid for task in seen.newest] == tasks[:-4:-1]
    with pytest.raises(ActionForbidden, match="more than 14 tasks"):
        await create(engine, "cancel", tasks_max=14)
    with pytest.raises(InvalidInput, match="no action"):
        await create(engine, "explode")  # type: ignore[arg-type]


async def test_a_job_goes_on_after_a_crash(engine: Engine) -> None:
    """A driver that dies in the middle has done nothing of its last round; whoever comes next goes on, and no task is
    acted on twice. The sweep is enough."""
    await engine.publish("a")
    await engine.submit_many(50)
    job = await create(engine, "pause")
    await jobs.drive_job(engine.connection, job, tasks_max=10)
    dying = await engine.connect()
    transaction = dying.transaction()
    await transaction.start()  # type: ignore[attr-defined]
    await jobs.drive_job(dying, job, tasks_max=10)
    assert (await jobs.drive_job(engine.connection, job))[1] is None
    dying.terminate()

    async def is_over() -> bool:
        await engine.sweep()
        return (await jobs.read_job(engine.connection.raw, job)).status == "done"

    await until(is_over, "sweeps drive the job to its end")
    found = await jobs.read_job(engine.connection.raw, job)
    assert (found.done, found.refused) == (50, 0)
    assert await engine.count("acts") == 50
    moves = "select count(*) from tasker_engine.transitions where detail ->> 'action' = 'pause'"
    assert await engine.value(moves) == 50


async def test_a_task_that_is_busy_comes_again(engine: Engine) -> None:
    """A job waits for no task: one that another verb holds is seen to later."""
    await engine.publish("a")
    tasks = await engine.submit_many(3)
    job = await create(engine, "cancel")
    holder = await engine.connect()
    async with holder.transaction():
        await holder.raw.execute("select from tasker_engine.tasks where task_id = $1 for update", tasks[1])
        for _ in range(3):
            found, _ = await jobs.drive_job(engine.connection, job)
        assert (found.status, found.done, found.busy) == ("running", 2, 1)
    found = await driven(engine, job)
    assert (found.status, found.done, found.busy) == ("done", 3, 0)


async def test_a_job_may_be_stopped(engine: Engine) -> None:
    """A job that is stopped leaves the rest alone; repeats and unknown jobs are told."""
    await engine.publish("a")
    await engine.submit_many(20)
    made = engine.clock.uuid7()
    for _ in range(2):
        await jobs.create_job(engine.connection, made, "cancel", PENDING, actor="ada")
    await jobs.drive_job(engine.connection, made, tasks_max=5)
    assert await jobs.stop_job(engine.connection, made, actor="bob")
    assert not await jobs.stop_job(engine.connection, made, actor="bob")
    found, drove = await jobs.drive_job(engine.connection, made)
    assert (found.status, found.done, found.stopped_by, drove) == ("stopped", 5, "bob", 0)
    other = await create(engine, "cancel")
    assert [job.job_uuid for job in await jobs.list_jobs(engine.connection.raw)] == [other, made]
    assert [job.job_uuid for job in await jobs.list_jobs(engine.connection.raw, statuses=["stopped"])] == [made]
    assert [job.job_uuid for job in await jobs.list_jobs(engine.connection.raw, cursor=other)] == [made]
    for call in (jobs.read_job, jobs.drive_job):
        with pytest.raises(NotFound, match="tasker bulk list"):
            await call(engine.connection, uuid7())
    with pytest.raises(NotFound):
        await jobs.stop_job(engine.connection, uuid7(), actor="ada")
