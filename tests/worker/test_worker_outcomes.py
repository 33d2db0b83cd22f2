"""Outcomes on their way: what the database refuses, what is busy, and that one bad outcome stops no other."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from support.until import until
from worker_support import Sql, Start

from tasker import StepContext
from tasker.model.errors import WaitTimeout
from tasker.worker.outbox import LATE_PAUSE_MAX_S


async def _nothing() -> None:
    return None


REFUSING = """
create function tasker_engine.refuse() returns trigger language plpgsql as $$
begin
  if new.result ->> 'result' = 'bad' then
    raise exception 'not today' using errcode = '{sqlstate}';
  end if;
  return new;
end $$;
create trigger refuse before update on tasker_engine.steps for each row execute function tasker_engine.refuse();
"""


async def _hundred(start: Start, bad: int) -> tuple[Any, list[UUID]]:
    """A hundred steps that end at the same moment, one of them with a result that the database may refuse."""
    inside, opened = [0], asyncio.Event()

    async def a(context: StepContext) -> str:
        inside[0] += 1
        await opened.wait()
        return "bad" if context.get_input("n") == bad else "good"

    tasker = await start("a", {"a": a}, concurrency=100)
    tasks = await tasker.submit_many("flow", [{"n": n} for n in range(100)], namespace="tests")
    await until(lambda: inside[0] == 100, "all hundred run")
    opened.set()
    return tasker, [task.task_uuid for task in tasks]


@pytest.mark.parametrize("sqlstate", ["22P05", "23514", "54000"])
async def test_one_outcome_that_is_refused_for_its_data_stops_no_other(start: Start, sql: Sql, sqlstate: str) -> None:
    """Of a hundred outcomes in one batch ninety-nine are recorded, and the bad one fails its step, with the reason."""
    await sql.run(REFUSING.format(sqlstate=sqlstate))
    tasker, tasks = await _hundred(start, bad=37)
    for number, task in enumerate(tasks):
        done = await tasker.wait(task, 60)
        assert done.status == ("error" if number == 37 else "complete")
    step = await sql.step(tasks[37])
    assert (step["state"], step["error"]["error_code"]) == ("error", "invalid_result")
    assert "not today" in step["error"]["message"]


@pytest.mark.parametrize("sqlstate", ["XX000", "P0001"])
async def test_an_outcome_that_cannot_be_recorded_now_is_kept(start: Start, sql: Sql, sqlstate: str) -> None:
    """A refusal that says nothing about the data loses no result: it is sent again until it is recorded, and the other
    outcomes are not held up."""
    await sql.run(REFUSING.format(sqlstate=sqlstate))
    tasker, tasks = await _hundred(start, bad=62)
    for number, task in enumerate(tasks):
        if number != 62:
            assert (await tasker.wait(task, 60)).status == "complete"
    assert await sql.state(tasks[62]) == "in_progress"
    await sql.run("drop trigger refuse on tasker_engine.steps")
    done = await tasker.wait(tasks[62], 60)
    assert done.results == {"a": {"result": "bad"}}


@pytest.mark.parametrize("sqlstate", ["40P01", "40001", "53100", "25006", "57014"])
async def test_a_database_that_can_do_nothing_loses_nothing(start: Start, sql: Sql, sqlstate: str) -> None:
    """A full disk, a standby, a deadlock: the worker goes on trying, and every result is recorded in the end."""
    await sql.run(REFUSING.format(sqlstate=sqlstate))
    tasker, tasks = await _hundred(start, bad=5)
    with pytest.raises(WaitTimeout):
        await tasker.wait(tasks[5], 0.4)
    await sql.run("drop trigger refuse on tasker_engine.steps")
    for task in tasks:
        assert (await tasker.wait(task, 60)).status == "complete"
    assert (await sql.step(tasks[5]))["tries"] == 1


async def test_a_busy_task_holds_up_no_other(start: Start, sql: Sql) -> None:
    """While somebody's transaction holds a task for seconds, its outcome waits, and all others are recorded."""
    waiting, opened = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        waiting.set()
        await opened.wait()
        return "slow"

    async def quick() -> str:
        return "quick"

    tasker = await start("slow", {"slow": slow, "quick": quick})
    other = await start("quick", steps={"name": "quick"}, worker=False)
    busy = await tasker.submit("flow", namespace="tests")
    await waiting.wait()
    async with sql.connection.transaction():
        await sql.run("select from tasker_engine.tasks where task_id = $1 for update", busy.task_uuid)
        opened.set()
        await until(lambda: tasker._worker.counts["deferred"] > 3, "the outcome was deferred")  # type: ignore[union-attr]
        for _ in range(5):
            task = await other.submit("quick", namespace="tests")
            assert (await tasker.wait(task.task_uuid, 5)).status == "complete"
        assert await sql.state(busy.task_uuid) == "in_progress"
    assert (await tasker.wait(busy.task_uuid, 5)).results == {"slow": {"result": "slow"}}


async def test_outcomes_of_a_task_that_was_busy_go_together_once_it_is_free(start: Start, sql: Sql) -> None:
    """However many outcomes became late while somebody held their task, they do not trickle in afterwards."""
    children, go = 320, asyncio.Event()
    names = [f"c{number}" for number in range(children)]

    async def wait_for_it() -> None:
        await go.wait()

    handlers = {"root": _nothing, **dict.fromkeys(names, wait_for_it)}
    tasker = await start(f"root -> {', '.join(names)}", handlers, concurrency=400)
    task = await tasker.submit("flow", namespace="tests")
    assert tasker._worker is not None
    turns = tasker._worker.turns
    await until(lambda: len(turns.running()) == children, "all run")
    async with sql.connection.transaction():
        await sql.run("select from tasker_engine.tasks where task_id = $1 for update", task.task_uuid)
        go.set()
        await until(lambda: turns._outbox._late_pause_s == LATE_PAUSE_MAX_S, "all are late, and their pauses long")
    assert (await tasker.wait(task.task_uuid, 5)).status == "complete"


async def test_a_claim_that_fails_is_tried_again(start: Start, sql: Sql) -> None:
    """An error in the claim, whatever it is, ends neither the worker nor the session: it looks again."""

    async def a() -> str:
        return "done"

    tasker = await start("a", {"a": a})
    body = await sql.value("select pg_get_functiondef('tasker_engine.claim'::regproc)")
    broken = """create or replace function tasker_engine.promote_due(_since timestamptz, _most int, _now timestamptz)
                returns int language plpgsql as $$ begin raise exception 'broken' using errcode = 'XX001'; end $$"""
    whole = await sql.value("select pg_get_functiondef('tasker_engine.promote_due'::regproc)")
    await sql.run(broken)
    task = await tasker.submit("flow", namespace="tests")
    with pytest.raises(WaitTimeout):
        await tasker.wait(task.task_uuid, 0.5)
    await sql.run(whole)
    assert (await tasker.wait(task.task_uuid, 60)).status == "complete"
    assert len(await sql.sessions()) == 1
    assert body


async def test_outcomes_are_reported_in_few_calls(start: Start) -> None:
    """What ends at the same moment is reported in one call, not in a call each."""
    tasker, tasks = await _hundred(start, bad=-1)
    for task in tasks:
        await tasker.wait(task, 60)
    assert tasker._worker.counts["outcomes"] == 100
    assert tasker._worker.counts["reports"] <= 10
