"""Sessions: they live as long as they beat, end once, and what they held goes on elsewhere."""

from __future__ import annotations

from uuid import uuid4

import pytest
from support.databases import Databases
from support.engine import Engine
from support.until import until

from tasker.model.errors import TaskerError
from tasker.store.migrate import migrate
from tasker.store.verbs import Verbs


async def _steady(engine: Engine) -> None:
    """Makes a sweep of the last moment, so that the next one does not find that sweeping itself was away."""
    await engine.sweep_all()


async def test_a_silent_session_is_ended(engine: Engine) -> None:
    """A session that does not beat within its lease is ended by the sweep, and its step runs again elsewhere."""
    await engine.publish("a")
    task = await engine.submit()
    worker, other = await engine.session(lease_s=15), await engine.session(lease_s=1000)
    [lost] = await worker.claim()
    await _steady(engine)
    engine.advance(7)
    await engine.sweep_all()
    engine.advance(7)
    await engine.sweep_all()
    assert await engine.state(task, "a") == "in_progress"
    engine.advance(1.5)
    await engine.sweep_all()
    assert await engine.state(task, "a") == "enqueued"
    [again] = await other.claim(may_be_alone=True)
    assert again.attempt == lost.attempt + 1
    await other.succeed(again)


async def test_a_session_that_beats_keeps_its_steps(engine: Engine) -> None:
    """However long a step runs, it stays with a session that beats."""
    await engine.publish("a")
    task = await engine.submit()
    worker = await engine.session(lease_s=10)
    await worker.claim()
    for _ in range(30):
        await engine.sweep_all()
        engine.advance(4)
        await worker.beat()
    assert await engine.state(task, "a") == "in_progress"


async def test_a_beat_never_goes_back(engine: Engine) -> None:
    """A beat that comes late, with an older time, does not shorten the lease."""
    worker = await engine.session()
    latest = engine.clock.now
    engine.advance(-10)
    await worker.beat()
    assert await engine.value("select beat_at from tasker_engine.sessions") == latest


async def test_a_beat_under_way_saves_its_session(engine: Engine) -> None:
    """A sweep that meets a session which is beating at that moment passes it over, and finds it alive the next time."""
    theirs = await engine.connect()
    worker = await engine.session(lease_s=10, connection=theirs)
    await _steady(engine)
    for _ in range(2):
        engine.advance(4)
        await engine.sweep_all()
    engine.advance(4)
    await engine.connection.execute("set lock_timeout = '100 ms'")
    async with theirs.transaction():
        await worker.beat()
        await engine.sweep_all()
    await engine.sweep_all()
    assert not (await worker.beat()).session_ended


async def test_a_session_ends_once_and_never_revives(engine: Engine) -> None:
    """An ended session beats, claims and re-grants in vain, and is told so; its first reason stands."""
    await engine.publish("a")
    await engine.submit()
    worker = await engine.session()
    await worker.end("first")
    await worker.end("second", is_loss=True)
    assert (await worker.beat()).session_ended
    assert (await worker.regrant()).session_ended
    reply = await worker.claim_reply()
    assert (reply.session_ended, reply.grants) == (True, [])
    row = (await engine.rows("select end_reason, is_loss, ended_at from tasker_engine.sessions"))[0]
    assert (row["end_reason"], row["is_loss"]) == ("first", False)
    assert row["ended_at"] is not None


async def test_opening_is_repeatable(engine: Engine) -> None:
    """A repeat of open_session after a lost reply answers the same session."""
    worker = await engine.session()
    again = await engine.verbs.open_session(engine.connection, worker.uuid, "worker", "host", 1, 15)
    assert again == worker.number
    assert await engine.count("sessions") == 1


async def test_a_lease_must_be_a_time(engine: Engine) -> None:
    """A session without a lease is refused."""
    with pytest.raises(Exception, match="lease_s"):
        await engine.session(lease_s=0)
    assert await engine.count("sessions") == 0


async def test_a_database_that_was_away_is_no_dead_worker(engine: Engine) -> None:
    """When nobody has swept for half a lease, the sweep first gives every session a fresh lease and takes nothing."""
    await engine.publish("a")
    task = await engine.submit()
    worker = await engine.session(lease_s=10)
    [grant] = await worker.claim()
    await _steady(engine)
    engine.advance(3600)
    assert (await engine.sweep()).get("fresh_leases")
    await engine.sweep_all()
    assert await engine.state(task, "a") == "in_progress"
    await worker.succeed(grant)
    assert (await engine.step(task, "a"))["losses"] == 0
    assert await engine.state(task) == "complete"


async def test_a_server_that_started_since_gives_fresh_leases(engine: Engine) -> None:
    """After a restart of the server the first sweep takes nothing, however recent the one before was."""
    await engine.publish("a")
    task = await engine.submit()
    worker = await engine.session(lease_s=10)
    await worker.claim()
    await _steady(engine)
    engine.advance(11)
    before_start = "update tasker_engine.sweeps set swept_at = pg_postmaster_start_time() - interval '1 ms'"
    await engine.connection.execute(before_start)
    assert (await engine.sweep()).get("fresh_leases")
    assert await engine.state(task, "a") == "in_progress"


async def test_a_fresh_lease_is_given_once(engine: Engine) -> None:
    """After a fresh lease a session that stays silent is ended like any other."""
    await engine.publish("a")
    task = await engine.submit()
    worker = await engine.session(lease_s=10)
    await worker.claim()
    await _steady(engine)
    engine.advance(3600)
    await engine.sweep_all()
    for _ in range(3):
        engine.advance(4)
        await engine.sweep_all()
    assert await engine.state(task, "a") == "enqueued"


async def test_a_session_that_says_goodbye_leaves_no_suspects(engine: Engine) -> None:
    """What an orderly end leaves is simply ready again: no suspicion, no loss."""
    await engine.publish("a")
    task = await engine.submit()
    worker, other = await engine.session(), await engine.session()
    await worker.claim()
    assert await worker.end() == 1
    step = await engine.step(task, "a")
    assert (step["state"], step["is_suspect"], step["losses"], step["tries"]) == ("enqueued", False, 0, 0)
    assert len(await other.claim()) == 1


async def test_a_large_session_is_released_in_parts(engine: Engine) -> None:
    """Ending a session takes at most a hundred steps at once; the sweep takes the others and says if more are left."""
    await engine.publish("a")
    await engine.submit_many(250)
    worker = await engine.session()
    assert len(await worker.claim()) == 250
    assert await worker.end(is_loss=True) == 100
    await engine.sweep()
    swept = await engine.sweep()
    assert (swept["released"], swept["more"]) == (100, True)
    await engine.sweep_all()
    states = await engine.rows("select state::text, count(*) from tasker_engine.steps group by 1")
    assert [tuple(row.values()) for row in states] == [("enqueued", 250)]


async def test_a_busy_task_does_not_keep_the_others(engine: Engine) -> None:
    """While somebody holds the row of one task, the steps of all other tasks of a dead session are released."""
    await engine.publish("; ".join(f"s{n}" for n in range(150)), name="wide")
    wide = await engine.submit()
    await engine.publish("a", name="small")
    small = await engine.submit()
    worker, operator = await engine.session(), await engine.connect()
    assert len(await worker.claim()) == 151
    async with operator.transaction():
        await operator.execute("select from tasker_engine.tasks where task_id = $1 for update", wide)
        await worker.end()
        await engine.sweep_all()
        await engine.sweep_all()
        assert await engine.state(small, "a") == "enqueued"
    await engine.sweep_all()
    assert set((await engine.states(wide)).values()) == {"enqueued"}


async def test_ending_a_session_touches_no_other_database(engine: Engine, databases: Databases) -> None:
    """A session of the same number in another database of the server keeps its connection."""
    with databases.migrated() as dsn:
        neighbour = Engine(dsn)
        await neighbour.open()
        theirs, ours = await neighbour.session(), await engine.session()
        assert theirs.number == ours.number
        async with neighbour.connection.transaction():
            await theirs.claim()
            await ours.end()
            assert await neighbour.value("select 1") == 1
        await neighbour.close()


async def test_ending_a_session_cuts_the_connection_that_works_for_it(engine: Engine) -> None:
    """A server process that holds the locks of a dead session's turn is terminated, so that nobody waits for it."""
    await engine.publish("a -> b")
    task = await engine.submit()
    theirs = await engine.connect()
    worker = await engine.session(connection=theirs)
    [grant] = await worker.claim()
    pid = theirs.raw.get_server_pid()
    turn = theirs.transaction()
    await turn.start()
    await worker.succeed(grant)
    await engine.verbs.end_session(engine.connection, worker.number, "its process died", is_loss=True)

    async def is_gone() -> bool:
        return not await engine.value("select exists (select from pg_stat_activity where pid = $1)", pid)

    await until(is_gone, "the server process is terminated")
    await engine.sweep_all()
    await engine.sweep_all()
    assert await engine.states(task) == {"a": "enqueued", "b": "pending"}


async def test_a_session_serves_only_what_it_announced(engine: Engine) -> None:
    """Claims look at announced handlers and queues only; a later announcement adds to the earlier one."""
    await engine.publish("a; b; c", b={"queue": "slow"}, c={"queue": "slow"})
    await engine.submit()
    worker = await engine.session(["a", "b"], queues=["slow"])
    assert len(await worker.claim()) == 1
    await worker.serve(["a"])
    assert len(await worker.claim()) == 1
    assert await worker.claim() == []


async def test_unknown_handlers_are_no_error(engine: Engine) -> None:
    """A worker may have handlers that no template names yet."""
    worker = await engine.session(["nobody_uses_this"])
    assert worker.serving.channels == []
    assert await worker.claim() == []


async def test_two_schemas_of_one_database_keep_apart(engine: Engine) -> None:
    """Sessions of the same number in two schemas neither wait for each other nor end each other."""
    other = await engine.connect()
    await migrate(other, "second_engine")
    theirs = Verbs("second_engine")
    ours = await engine.session()
    number = await theirs.open_session(other, uuid4(), "worker", "host", 1, 15)
    assert number == ours.number
    await engine.connection.execute("set lock_timeout = '100 ms'")
    async with other.transaction():
        await theirs.claim(other, number, ours.serving, [1], may_be_alone=False)
        await ours.claim()
        await ours.end()
        assert await other.fetchval("select 1") == 1


async def test_a_beat_says_how_many_others_idle(engine: Engine) -> None:
    """A worker learns whether somebody is there to be woken."""
    worker, idle, busy, gone = [await engine.session() for _ in range(4)]
    await idle.beat(is_idle=True)
    await busy.beat(is_idle=False)
    await gone.beat(is_idle=True)
    await gone.end()
    assert (await worker.beat(is_idle=True)).idle_peers == 1


async def test_only_one_sweeps_at_a_time(engine: Engine) -> None:
    """While one process sweeps, another answers at once that it is not the leader."""
    other = await engine.connect()
    async with other.transaction():
        assert (await engine.verbs.sweep(other))["is_leader"]
        assert not (await engine.sweep())["is_leader"]
    assert (await engine.sweep())["is_leader"]


async def test_a_given_time_is_refused_outside_tests(engine: Engine) -> None:
    """Where the database is not set up for tests, no caller can move the clock and so take others' steps."""
    await engine.connection.execute("set tasker.test_clock = off")
    with pytest.raises(Exception, match="the time may be given only") as caught:
        await engine.sweep()
    assert isinstance(caught.value, TaskerError) or getattr(caught.value, "sqlstate", "") == "TK001"
