"""The doctor finds and mends what does not agree, and finds nothing where all is well."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from support.engine import Engine
from support.session import Session, lasting_fault, passing_fault, success

from tasker.model.fleet import Finding
from tasker.store.connection import connect
from tasker.store.reads_doctor import examine

pytestmark = pytest.mark.unchecked

TABLES = (
    "parents that steps wait for",
    "steps that wait for nobody are ready",
    "ready steps lie in a lane",
    "postponed steps have a time",
    "running steps belong to a session",
    "counters and states of tasks",
    "ended sessions hold no steps",
)


async def tables(reader: Any, *, repair: bool = False) -> dict[str, Finding]:
    """What the doctor says of the tables."""
    return {finding.name: finding for finding in await examine(reader, repair=repair) if finding.name in TABLES}


async def broken(reader: Any) -> set[str]:
    """The checks of the tables that fail."""
    found = await tables(reader)
    assert len(found) == len(TABLES)
    return {name for name, finding in found.items() if not finding.is_ok}


async def repair(reader: Any, name: str) -> None:
    """Repairs, and sees that this was all there was to mend."""
    found = await tables(reader, repair=True)
    assert found[name].repaired > 0
    assert all(finding.is_ok for finding in found.values()), found
    assert await broken(reader) == set()


@pytest.mark.parametrize("seed", range(3))
async def test_a_sound_engine_has_no_faults(engine: Engine, reader: Any, seed: int) -> None:
    """Whatever happens to tasks, the doctor finds nothing wrong, at any moment."""
    chance = random.Random(seed)
    await engine.publish("a -> b, c -> d; a -> e", backoff_base_ms=1000)
    session = await engine.session()
    tasks = await engine.submit_many(6) + await engine.submit_many(2, delay_s=4)
    for _ in range(10):
        for grant in await session.claim(chance.randint(0, 4), may_be_alone=True):
            outcome = chance.choices([success(1), passing_fault(), lasting_fault()], [6, 2, 1])[0]
            await session.report((grant, outcome), room=chance.randint(0, 2))
        action = chance.choice(["pause", "resume", "cancel", "pause"])
        await suppressed(engine, action, chance.choice(tasks))
        assert await broken(reader) == set()
        engine.advance(chance.random() * 3)


async def suppressed(engine: Engine, action: str, task: Any) -> None:
    """An action; one that the state forbids does nothing."""
    if await engine.state(task) in ("pending", "steps_in_process", "waiting_for_retry", "blocked_by_failures"):
        await engine.act(action, task)


async def held(engine: Engine) -> tuple[Any, Session]:
    """A task with one step running, and one that waits for it."""
    await engine.publish("a -> b")
    task, session = await engine.submit(), await engine.session()
    await session.claim()
    return task, session


async def finish(engine: Engine, task: Any, session: Session) -> None:
    """Works everything off; the task is complete."""
    await session.work_off()
    assert await engine.state(task) == "complete"


@pytest.mark.parametrize("column", ["open", "live", "due", "failed"])
async def test_wrong_counters_are_mended(engine: Engine, reader: Any, column: str) -> None:
    """A counter that is not what the steps say is found and put right, and the task ends as it should."""
    task, session = await held(engine)
    await engine.value(f"update tasker_engine.tasks set {column} = {column} + 1 returning 1")
    assert await broken(reader) == {"counters and states of tasks"}
    await repair(reader, "counters and states of tasks")
    await finish(engine, task, session)


async def test_a_wrong_state_is_mended_and_recorded(engine: Engine, reader: Any) -> None:
    """A task whose state is not what its counters say moves to the right one, and its history says by whom."""
    task, session = await held(engine)
    await engine.value("update tasker_engine.tasks set state = 'error', finished_at = now() returning 1")
    await repair(reader, "counters and states of tasks")
    assert await engine.history(task) == [
        (None, "pending"), ("pending", "steps_in_process"), ("error", "steps_in_process"),
    ]  # fmt: skip
    assert (await engine.task(task))["finished_at"] is None
    await finish(engine, task, session)


async def test_wrong_waiting_is_mended(engine: Engine, reader: Any) -> None:
    """A step that waits for too few or too many parents waits for the right number again."""
    task, session = await held(engine)
    await engine.value("update tasker_engine.steps set waiting = 7 where number = 2 returning 1")
    assert await broken(reader) == {"parents that steps wait for"}
    await repair(reader, "parents that steps wait for")
    await finish(engine, task, session)


async def test_a_lost_wake_of_a_child_is_mended(engine: Engine, reader: Any) -> None:
    """A child that waits for nobody and is nowhere is made ready, with the right history."""
    task, session = await held(engine)
    await session.succeed(*session.held.values(), room=0)
    await engine.value("delete from tasker_engine.ready returning 1")
    await engine.value("update tasker_engine.steps set state = 'pending', moves = 0 where number = 2 returning 1")
    await engine.value("delete from tasker_engine.transitions where number = 2 returning 1")
    assert await broken(reader) == {"steps that wait for nobody are ready"}
    await repair(reader, "steps that wait for nobody are ready")
    await finish(engine, task, session)
    assert await engine.history(task, "b") == [
        ("pending", "enqueued"), ("enqueued", "in_progress"), ("in_progress", "complete"),
    ]  # fmt: skip


async def test_a_lost_ready_row_is_mended(engine: Engine, reader: Any) -> None:
    """A ready step that lies in no lane is put back in line."""
    await engine.publish("a -> b")
    task, session = await engine.submit(), await engine.session()
    await engine.value("delete from tasker_engine.ready returning 1")
    assert await session.claim() == []
    assert await broken(reader) == {"ready steps lie in a lane"}
    await repair(reader, "ready steps lie in a lane")
    await finish(engine, task, session)


async def test_a_lost_due_row_is_mended(engine: Engine, reader: Any) -> None:
    """A step that waits for its next try but for no time is due at once."""
    task, session = await held(engine)
    await session.retry(*session.held.values(), retry_after_s=30)
    await engine.value("delete from tasker_engine.due returning 1")
    assert await broken(reader) == {"postponed steps have a time"}
    await repair(reader, "postponed steps have a time")
    engine.advance(5)
    await finish(engine, task, session)


async def test_a_lost_grant_is_mended(engine: Engine, reader: Any) -> None:
    """A running step that its session's grants do not name is named again, and so released when the session ends."""
    task, session = await held(engine)
    await engine.value("delete from tasker_engine.grants returning 1")
    assert await session.end() == 0
    assert "running steps belong to a session" in await broken(reader)
    await repair(reader, "running steps belong to a session")
    await engine.sweep()  # the first one of all only gives fresh leases
    await engine.sweep_all()
    await finish(engine, task, await engine.session())


async def test_a_session_that_ended_long_ago_holds_nothing(engine: Engine, reader: Any) -> None:
    """What an ended session still holds after half a minute is freed."""
    task, _ = await held(engine)
    query = "update tasker_engine.sessions set ended_at = now() - interval '1 minute', is_loss = true returning 1"
    await engine.value(query)
    assert await broken(reader) == {"ended sessions hold no steps"}
    await repair(reader, "ended sessions hold no steps")
    await finish(engine, task, await engine.session())


async def test_paused_and_ended_tasks_are_left_alone(engine: Engine, reader: Any) -> None:
    """What a pause keeps out of line is no fault, nor what an ended task left behind."""
    await engine.publish("a, b -> c")
    paused, cancelled = await engine.submit_many(2)
    await engine.act("pause", paused)
    await engine.act("cancel", cancelled)
    await engine.value("delete from tasker_engine.ready returning 1")
    assert await broken(reader) == set()
    before = await engine.states(paused)
    await tables(reader, repair=True)
    assert await engine.states(paused) == before
    assert await engine.count("ready") == 0


async def test_many_faults_are_mended_in_rounds(engine: Engine, reader: Any) -> None:
    """More faults than one round takes are all mended, and every round says how far it is."""
    await engine.publish("a")
    await engine.submit_many(1500)
    await engine.connection.raw.execute("delete from tasker_engine.ready")
    heard: list[int] = []
    found = {f.name: f for f in await examine(reader, repair=True, on_round=heard.append)}
    assert found["ready steps lie in a lane"].repaired == 1500
    assert found["ready steps lie in a lane"].is_ok
    assert heard == [1000, 1500, 1500]


async def test_looking_changes_nothing(engine: Engine, reader: Any) -> None:
    """Without repair, the doctor writes nothing."""
    await held(engine)
    await engine.value("update tasker_engine.tasks set open = 9 returning 1")
    before = await engine.rows("select xmin::text, * from tasker_engine.tasks")
    await tables(reader)
    assert await engine.rows("select xmin::text, * from tasker_engine.tasks") == before


async def test_work_going_on_is_no_fault(engine: Engine, reader: Any) -> None:
    """While workers run, the doctor finds nothing, and its repairs change nothing."""
    await engine.publish("a -> b, c -> d")
    sessions = [await engine.session(connection=await engine.connect()) for _ in range(3)]
    tasks = await engine.submit_many(300)

    async def work(session: Session) -> None:
        while grants := await session.claim(5):
            await session.succeed(*grants, room=0)

    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(work(session)) for session in sessions]
        looks = 0
        while not all(worker.done() for worker in workers):
            found = await tables(reader, repair=True)
            assert all(finding.is_ok and not finding.repaired for finding in found.values()), found
            looks += 1
    assert looks > 1
    assert {await engine.state(task) for task in tasks} == {"complete"}


async def test_work_that_no_worker_has_a_handler_for_is_told(engine: Engine, reader: Any) -> None:
    """Ready steps that no living worker serves are named, with their handler and queue; without workers they wait."""
    await engine.publish("a")
    await engine.submit()
    name = "ready steps have a worker"
    found = {finding.name: finding for finding in await examine(reader)}
    assert (found[name].is_ok, found[name].detail) == (True, "1 ready, and no worker runs")
    await engine.session(["other"])
    found = {finding.name: finding for finding in await examine(reader)}
    assert (found[name].is_ok, found[name].detail) == (
        False,
        '1 ready for handler "a" in queue "tests", which no worker has',
    )
    await engine.session()
    found = {finding.name: finding for finding in await examine(reader)}
    assert (found[name].is_ok, found[name].detail) == (True, "every channel with work is served")


async def test_the_server_is_examined(empty_database: str) -> None:
    """The doctor says what is wrong with the server and the schema, also where there is no schema yet."""
    connection = await connect(empty_database)
    try:
        found = {finding.name: finding for finding in await examine(connection)}
    finally:
        await connection.close()
    assert not found["schema tasker_engine"].is_ok
    assert "tasker db migrate" in found["schema tasker_engine"].detail
    assert found["PostgreSQL 15 or later"].is_ok
    assert found["LISTEN and NOTIFY"].is_ok
    assert found["clocks agree"].is_ok
    assert found["fsync"].is_ok
    assert found["synchronous_commit"].is_ok == (found["synchronous_commit"].detail == "it is on")
