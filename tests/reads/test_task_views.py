"""A task with its steps, in one round trip."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.engine import Engine

from tasker.model.errors import SchemaOutdated, TaskNotFound
from tasker.model.ids import uuid7
from tasker.model.states import StepState, TaskState
from tasker.store import reads as reads_module
from tasker.store.connection import connect
from tasker.store.reads import Reads

pytestmark = pytest.mark.own_database


async def test_a_complete_task_has_its_results(engine: Engine, reads: Reads, reader: Any) -> None:
    """A view of a complete task holds its context, each step's result by name, and when it began and ended."""
    await engine.publish("a -> b")
    task = await engine.submit({"order": 7}, priority=1, initiator="shop", tags=["x", "y"], reason="sold")
    session = await engine.session()
    engine.advance(2)
    await session.work_off({"n": [1, None, "é"]})
    view = await reads.task_view(reader, task)
    assert (view.task_uuid, view.status, view.context) == (task, TaskState.COMPLETE, {"order": 7})
    assert view.results == {"a": {"n": [1, None, "é"]}, "b": {"n": [1, None, "é"]}}
    assert view.errors == {}
    assert (view.task.priority, view.task.initiator, view.task.tags, view.task.reason) == (
        1,
        "shop",
        ("x", "y"),
        "sold",
    )
    assert view.finished_at == view.task.started_at == view.created_at + timedelta(seconds=2)
    assert (view.task.name, view.task.namespace, view.task.version) == ("flow", "tests", "1.0.0")


async def test_a_null_result_is_a_result(engine: Engine, reads: Reads, reader: Any) -> None:
    """A step that returned nothing is among the results, with None."""
    await engine.publish("a")
    task = await engine.submit()
    await (await engine.session()).work_off(None)
    assert (await reads.task_view(reader, task)).results == {"a": None}


async def test_a_failed_step_has_its_error(engine: Engine, reads: Reads, reader: Any) -> None:
    """Errors hold the records of steps that failed for good; what depends on them says what it waits for."""
    await engine.publish("a, b -> c")
    task = await engine.submit()
    session = await engine.session()
    a, b = sorted(await session.claim(), key=lambda grant: grant.number)
    await session.fail(a, error={"error_code": "NO", "message": "never", "retryable": False})
    await session.succeed(b, result=1)
    view = await reads.task_view(reader, task)
    assert view.status is TaskState.ERROR
    assert view.errors == {"a": {"error_code": "NO", "message": "never", "retryable": False}}
    assert view.results == {"b": 1}
    assert view.step("c").waiting_for == ("a",)
    assert view.step("c").dependencies == ("a", "b")
    assert (view.task.open_steps, view.task.live_steps, view.task.failed_steps) == (2, 0, 1)


async def test_a_running_step_names_its_holder(engine: Engine, reads: Reads, reader: Any) -> None:
    """A step in progress names its worker and has no end; one that waits for its retry says until when."""
    await engine.publish("a", backoff_base_ms=4000)
    task = await engine.submit()
    session = await engine.session(name="mill", pid=77)
    (grant,) = await session.claim()
    running = (await reads.task_view(reader, task)).step("a")
    assert running.holder is not None
    assert (running.holder.name, running.holder.pid, running.holder.session_uuid) == ("mill", 77, session.uuid)
    assert (running.state, running.attempt, running.finished_at) == (StepState.IN_PROGRESS, 1, None)
    await session.retry(grant)
    waiting = (await reads.task_view(reader, task)).step("a")
    assert (waiting.state, waiting.tries, waiting.holder) == (StepState.WAITING_FOR_RETRY, 1, None)
    assert waiting.next_retry_at == engine.clock.now + timedelta(seconds=4)
    assert waiting.error is not None


async def test_a_task_for_later_says_when(engine: Engine, reads: Reads, reader: Any) -> None:
    """A task that is to start later says when, and so do its first steps."""
    await engine.publish("a -> b")
    task = await engine.submit(delay_s=90)
    view = await reads.task_view(reader, task)
    assert view.task.start_at == view.step("a").next_retry_at == engine.clock.now + timedelta(seconds=90)
    assert view.step("b").next_retry_at is None
    assert view.task.started_at is None


async def test_views_come_in_the_order_asked(engine: Engine, reads: Reads, reader: Any) -> None:
    """Many tasks come in one answer, in the order asked, without those that do not exist."""
    await engine.publish("a -> b")
    one, other = await engine.submit(), await engine.submit()
    views = await reads.task_views(reader, [other, uuid7(), one])
    assert [view.task_uuid for view in views] == [other, one]
    assert [len(view.steps) for view in views] == [2, 2]
    assert [task.task_uuid for task in await reads.tasks(reader, [other, one])] == [other, one]


async def test_steps_are_the_same_alone_and_in_a_view(engine: Engine, reads: Reads, reader: Any) -> None:
    """The steps read by themselves are those of the view."""
    await engine.publish("a -> b, c -> d")
    task = await engine.submit()
    session = await engine.session(slots=1)
    await session.succeed(*await session.claim(), result={"x": 1})
    view = await reads.task_view(reader, task)
    assert tuple(await reads.steps(reader, [task])) == view.steps
    assert await reads.tasks(reader, [task]) == [view.task]


async def test_an_unknown_task_is_not_found(reads: Reads, reader: Any) -> None:
    """A task that does not exist is an error that names it and says where to look."""
    task = uuid7()
    with pytest.raises(TaskNotFound, match=rf"{task}.*tasker task list"):
        await reads.task_view(reader, task)
    with pytest.raises(TaskNotFound):
        await reads_module.task_view(reader, task)


async def test_a_database_without_the_schema_says_what_to_do(empty_database: str, reads: Reads) -> None:
    """Without the schema, the error says to migrate."""
    connection = await connect(empty_database)
    try:
        with pytest.raises(SchemaOutdated, match="tasker db migrate"):
            await reads.task_view(connection, uuid7())
    finally:
        await connection.close()


async def test_history_names_every_move(engine: Engine, reads: Reads, reader: Any) -> None:
    """History tells the moves of task and steps in order, with the worker, the error, and the operator."""
    await engine.publish("a")
    task = await engine.submit()
    session = await engine.session(name="mill", pid=5)
    engine.advance(1)
    (grant,) = await session.claim()
    engine.advance(1)
    await session.fail(grant, error={"message": "no"})
    engine.advance(1)
    await engine.act("retry", task, "a", actor="ada", reason="again")
    moves = await reads.history(reader, [task])
    assert [(m.name, m.from_state, m.to_state) for m in moves] == [
        (None, None, "pending"),
        ("a", "pending", "enqueued"),
        ("a", "enqueued", "in_progress"),
        (None, "pending", "steps_in_process"),
        ("a", "in_progress", "error"),
        (None, "steps_in_process", "error"),
        ("a", "error", "enqueued"),
        (None, "error", "steps_in_process"),
    ]
    assert moves[2].worker == "mill@host:5"
    assert moves[4].detail == {"message": "no"}
    assert moves[6].detail is not None
    assert (moves[6].detail["actor"], moves[6].detail["reason"]) == ("ada", "again")
    assert [m.seq for m in await reads.history(reader, [task], 1)] == [1, 2, 3, 4]


COST = """
select coalesce(sum(seq_tup_read), 0)::int, coalesce(sum(idx_tup_fetch), 0)::int
from pg_stat_xact_user_tables where schemaname = 'tasker_engine'
"""


@pytest.mark.parametrize("is_analyzed", [True, False])
async def test_a_view_keeps_its_plan(engine: Engine, reads: Reads, reader: Any, is_analyzed: bool) -> None:
    """A plan made while the tables held one task serves as well when they hold thousands."""
    await engine.publish("a -> b, c -> d")
    session = await engine.session()
    first = await engine.submit()
    if is_analyzed:
        await engine.connection.raw.execute("analyze")
    connections = (reader, (await engine.connect()).raw)
    for connection in connections:
        await reads.task_view(connection, first)
        await reads.readiness(connection, [first])
        await reads.summaries(connection, [first])
    for number in range(20):
        await engine.publish("a -> b", name=f"other{number}")
    tasks = await engine.submit_many(3_000, name="flow")
    await session.work_off()
    for connection in connections:
        for read in (reads.task_views, reads.readiness, reads.execution_contexts, reads.summaries, reads.levels):
            await connection.execute("select pg_stat_force_next_flush()")  # what was counted before is no part of it
            async with connection.transaction():
                await read(connection, [tasks[1500]])
                read_through, fetched = await connection.fetchrow(COST)
            assert read_through <= 100, f"{read.__name__} reads {read_through} rows in sequence"
            assert fetched <= 400, f"{read.__name__} fetches {fetched} rows for a task of four steps"
