"""Sessions: they beat whatever handlers do, end once, and what comes after their end is refused and counted."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

from support.until import until
from worker_support import Sql, Start

from tasker import StepContext


def _here(tasker: Any) -> Any:
    return tasker._worker.counts


async def test_a_session_beats_while_a_handler_blocks_the_loop(start: Start, sql: Sql) -> None:
    """A handler that blocks the loop for longer than the lease loses nothing: the heartbeat has its own thread."""

    async def a() -> str:
        time.sleep(2.5)  # noqa: ASYNC251 - the mistake that this test is about
        return "done"

    tasker = await start("a", {"a": a}, lease_s=1.0)
    task = await tasker.submit("flow", namespace="tests")
    done = await tasker.wait(task.task_uuid, 60)
    assert (done.status, done.step("a").attempt) == ("complete", 1)
    assert len(await sql.sessions()) == 1


async def test_a_sweep_with_much_to_do_leaves_room_for_beats(start: Start, sql: Sql) -> None:
    """However much a sweep has to do, the session beats in between."""
    await sql.run("create table public.swept (at timestamptz)")
    await sql.run(
        """create or replace function tasker_engine.sweep(_now timestamptz default null)
           returns jsonb language plpgsql as $$
           begin
             insert into public.swept values (clock_timestamp());
             perform pg_sleep(0.02);
             return '{"is_leader": true, "more": true}';
           end $$"""
    )
    await start("a", {"a": _nothing})
    await until(lambda: sql.value("select count(*) > 40 from public.swept"), "it sweeps all the time")
    await sql.beats(3)


async def _nothing() -> None:
    return None


async def test_a_heartbeat_outlives_a_database_that_refuses_it(start: Start, sql: Sql) -> None:
    """A refusal, whatever it is, does not end the heartbeat."""
    await start("a", {"a": _nothing})
    whole = await sql.value("select pg_get_functiondef('tasker_engine.beat'::regproc)")
    await sql.run("drop function tasker_engine.beat")
    await asyncio.to_thread(threading.Event().wait, 0.5)
    await sql.run(whole)
    await sql.beats(2)


async def test_a_session_that_others_ended_is_followed_by_a_new_one(start: Start, sql: Sql) -> None:
    """When somebody ends its session the worker opens a new one and goes on; what ran is stopped, and runs again."""
    ran: list[int] = []

    async def a(context: StepContext) -> str:
        ran.append(context.attempt)
        if context.attempt == 1:
            await asyncio.sleep(60)
        return "done"

    tasker = await start("a", {"a": a})
    task = await tasker.submit("flow", namespace="tests")
    await until(lambda: ran == [1], "the step runs")
    [session] = await sql.sessions()
    await sql.value("select tasker_engine.end_session($1, 'the test ends it', true)", session["session_id"])
    done = await tasker.wait(task.task_uuid, 60)
    assert (done.status, done.step("a").attempt, done.step("a").tries) == ("complete", 2, 1)
    old, new = await sql.sessions()
    assert (old["end_reason"], new["ended_at"]) == ("the test ends it", None)


async def test_late_outcomes_of_an_ended_session_are_refused_and_counted(start: Start, sql: Sql) -> None:
    """Outcomes of steps that others have taken over meanwhile change nothing; the worker counts them, and says so."""
    running, opened = asyncio.Event(), asyncio.Event()

    async def a() -> str:
        running.set()
        await opened.wait()
        return "late"

    async def theirs() -> str:
        return "theirs"

    tasker = await start("a", {"a": a}, beat_s=30, lease_s=1000, concurrency=1)
    task = await tasker.submit("flow", namespace="tests")
    await running.wait()
    [session] = await sql.sessions()
    await sql.value("select tasker_engine.end_session($1, 'the test ends it', false)", session["session_id"])
    other = await start("a", {"a": theirs})
    assert (await other.wait(task.task_uuid, 60)).results == {"a": {"result": "theirs"}}
    opened.set()
    await until(lambda: _here(tasker)["stale"] == 1, "the late outcome was refused")
    await until(lambda: _is_followed(sql), "a new session was opened")
    assert (await tasker.get(task.task_uuid)).results == {"a": {"result": "theirs"}}


async def _is_followed(sql: Sql) -> bool:
    return len(await sql.sessions()) == 3


async def test_stale_outcomes_are_counted_in_the_session(start: Start, sql: Sql) -> None:
    """What came too late is counted in the table of sessions too, once, where operators see it."""
    tasker = await start("a", {"a": _nothing})
    await sql.beats(1)
    _here(tasker)["stale"] += 3
    await until(lambda: sql.value("select sum(stale_outcomes) = 3 from tasker_engine.sessions"), "they are counted")
    await sql.beats(2)
    assert await sql.value("select sum(stale_outcomes) from tasker_engine.sessions") == 3


async def test_a_step_that_another_attempt_still_runs_is_not_started_beside_it(start: Start, sql: Sql) -> None:
    """An async handler that cleans up after its session was lost is not joined by its own next attempt, and the slot
    that it had is free afterwards."""
    inside, overlaps, opened = list[int](), list[int](), asyncio.Event()

    async def a(context: StepContext) -> str:
        if inside:
            overlaps.append(context.attempt)
        inside.append(context.attempt)
        is_slow = context.get_input("is_slow") and context.attempt == 1
        try:
            if is_slow:
                await asyncio.sleep(60)
        finally:
            if is_slow:
                await opened.wait()
            inside.remove(context.attempt)
        return "done"

    tasker = await start("a", {"a": a}, concurrency=1)
    task = await tasker.submit("flow", namespace="tests", context={"is_slow": True})
    await until(lambda: inside == [1], "the step runs")
    [session] = await sql.sessions()
    await sql.value("select tasker_engine.end_session($1, 'the test ends it', false)", session["session_id"])
    await until(lambda: _is_followed_once(sql), "a new session was opened")
    await sql.beats(2)
    opened.set()
    assert (await tasker.wait(task.task_uuid, 60)).status == "complete"
    assert overlaps == []
    again = await tasker.submit("flow", namespace="tests")
    assert (await tasker.wait(again.task_uuid, 60)).status == "complete"
    assert tasker._worker._slots.free()[0] == 1  # type: ignore[union-attr]


async def _is_followed_once(sql: Sql) -> bool:
    return len(await sql.sessions()) == 2


async def test_sessions_of_dead_processes_of_this_host_end_at_once(start: Start, sql: Sql, database: str) -> None:
    """A worker that starts ends the sessions of processes of its host that are gone, whatever their lease."""
    from tasker.worker.host import host_name

    await sql.value(
        "select tasker_engine.open_session(gen_random_uuid(), 'dead', $1, $2, 1000)", host_name(), 2**22 + 17
    )
    await sql.value("select tasker_engine.open_session(gen_random_uuid(), 'far away', 'elsewhere', 5, 1000)")
    await start("a", {"a": _nothing})
    dead, far_away, _ = await sql.sessions()
    assert (dead["end_reason"], far_away["ended_at"]) == ("its process is gone", None)
    assert database


async def test_late_outcomes_are_counted_though_their_session_has_ended(start: Start, sql: Sql) -> None:
    """A beat of a session that has ended records nothing: what it said goes with the next session."""
    tasker = await start("a", {"a": _nothing}, poll_s=30, beat_s=0.5)
    await sql.beats(1)
    [first] = await sql.sessions()
    await sql.value("select tasker_engine.end_session($1, 'the test ends it', true)", first["session_id"])
    _here(tasker)["stale"] += 3

    async def is_followed() -> bool:
        return len(await sql.sessions()) == 2

    await until(is_followed, "a beat has found out, and there is a new session")

    async def are_counted() -> bool:
        return await sql.value("select sum(stale_outcomes) = 3 from tasker_engine.sessions")

    await until(are_counted, "three late outcomes are counted")
