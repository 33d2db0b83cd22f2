"""A database as users have it: no verb may name the time there, not even one verb to another."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from support.engine import Engine
from support.until import until

from tasker.store.connection import connect
from tasker.store.migrate import migrate
from tasker.store.verbs import Verbs


async def test_a_silent_session_is_ended_where_no_time_can_be_given(empty_database: str) -> None:
    """Outside of tests, too, the sweep ends a session that was silent for longer than its lease, as lost."""
    connection, verbs = await connect(empty_database), Verbs()
    try:
        await migrate(connection, "tasker_engine")
        await connection.execute("set tasker.test_clock = off")
        session = await verbs.open_session(connection, uuid4(), "w", "h", 1, 60)
        assert (await verbs.sweep(connection))["fresh_leases"]
        await connection.execute("update tasker_engine.sessions set beat_at = now() - interval '1 hour'")
        await verbs.sweep(connection)
        query = "select is_loss from tasker_engine.sessions where session_id = $1 and ended_at is not null"
        assert await connection.fetchval(query, session) is True
    finally:
        await connection.close()


HELD_UP = """create or replace function tasker_engine.promote_due(_since timestamptz, _most int, _now timestamptz)
             returns int language plpgsql as 'begin perform pg_advisory_xact_lock(4711); return 0; end'"""
WAITS = "select count(*) from pg_locks where locktype = 'advisory' and objid = 4711 and not granted"
HISTORY = "select to_state::text, at from tasker_engine.transitions where task_id = $1 and number = 1 order by seq"


async def _let_go_while_a_claim_is_held_up(engine: Engine, let_go: str) -> list[str]:
    """A claim begins; the holder of the step lets go of it; then the claim takes it. What the step did, by time."""
    await engine.publish("a", max_attempts=9)
    task = await engine.submit()
    raw: list[Any] = [(await engine.connect()).raw for _ in range(3)]
    first, second = [await engine.session(connection=connection) for connection in raw[:2]]
    [grant] = await first.claim()
    await engine.connection.raw.execute(HELD_UP)
    await raw[2].execute("select pg_advisory_lock(4711)")
    claiming = asyncio.create_task(second.claim(may_be_alone=True))
    await until(lambda: engine.value(WAITS), "the claim is held up")
    await (first.release(grant) if let_go == "release" else first.end(is_loss=True))
    await raw[2].execute("select pg_advisory_unlock(4711)")
    assert len(await claiming) == 1
    moves = await engine.rows(HISTORY, task)
    return [move["to_state"] for move in sorted(moves[1:], key=lambda move: move["at"])]


async def test_a_claim_that_is_held_up_grants_at_the_time_when_it_takes(engine: Engine) -> None:
    """What became free while a claim was under way is granted after it became free, by its history's times too."""
    assert await _let_go_while_a_claim_is_held_up(engine, "release") == ["in_progress", "enqueued", "in_progress"]


async def test_a_step_of_a_lost_session_is_granted_after_it_is_lost(engine: Engine) -> None:
    """The same where the holder's session has ended."""
    assert await _let_go_while_a_claim_is_held_up(engine, "loss") == ["in_progress", "enqueued", "in_progress"]


async def test_what_a_session_was_granted_while_it_ended_is_lost_after_that(engine: Engine) -> None:
    """A step that was granted while the end of its session stood in line is released after it was granted, by its
    history's times too."""
    await engine.publish("a", max_attempts=9)
    task = await engine.submit()
    raw: list[Any] = [(await engine.connect()).raw for _ in range(3)]
    await raw[2].execute("set tasker.test_clock = off")
    worker = await engine.session(connection=raw[0])
    async with raw[1].transaction():
        await raw[1].execute("select from tasker_engine.sessions for update")
        ending = asyncio.create_task(engine.verbs.end_session(raw[2], worker.number, "it is lost", is_loss=True))
        waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%end_session%'"
        await until(lambda: engine.value(waits), "the end of the session stands in line")
        assert len(await worker.claim()) == 1
    await ending
    moves = await engine.rows(HISTORY, task)
    assert [move["to_state"] for move in moves[1:]] == ["in_progress", "enqueued"]
    assert moves[1]["at"] <= moves[2]["at"]
