"""Locks are held in every pair of verbs: nobody waits but those that may, so that no cycle can close.

One connection runs a verb and keeps its transaction open; another runs a second verb, with hardly any patience. Each
call's transaction is rolled back, so that all pairs meet the same scene.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from support.breakers import DOWN, act
from support.engine import Engine
from support.session import Session, lasting_fault, passing_fault, success

from tasker.model.task import TaskFilter
from tasker.store import dlq, jobs, reruns
from tasker.store.breakers import Breakers
from tasker.store.replies import Grant
from tasker.store.verbs import Serving

PATIENCE = "60 ms"


@dataclass
class Scene:
    """A task `wide` in which both workers and a dead one hold steps, and work of every kind around it."""

    engine: Engine
    first: Session
    second: Session
    dead: Session
    wide: UUID
    failed: UUID
    paused: UUID
    submitted: UUID
    entry: UUID
    job: UUID
    held: dict[int, list[Grant]]
    guarded: set[UUID]

    def of(self, session: Session, connection: Any) -> Session:
        """The same session on another connection."""
        twin = Session(self.engine, connection, session.number, session.uuid, session.slots)
        twin.serving = session.serving
        twin.held = dict(session.held)
        return twin


async def _scene(engine: Engine) -> Scene:
    await engine.publish("r1, r2, r3, r4, r5 -> j", name="wide", max_attempts=5, timeout_seconds=2)
    await engine.publish("a -> b", name="small", max_attempts=5)
    await engine.publish("lonely", name="unserved")
    await engine.publish("g", name="guarded", system_dependency="gateway")
    served = ["r1", "r2", "r3", "r4", "r5", "j", "a", "b", "g"]
    first, second, dead = [await engine.session(served, lease_s=lease_s) for lease_s in (1000, 1000, 8)]
    failed, paused = await engine.submit(name="small"), await engine.submit(name="small")
    await engine.act("pause", paused)
    await first.fail(*await first.claim(1))
    wide = await engine.submit(name="wide")
    await engine.sweep_all()
    engine.advance(1)
    await engine.sweep_all()
    for session in (first, second, dead):
        await session.claim(1)
    await second.claim(1)
    await second.beat(*second.held.values())
    for session in (first, second, dead):
        await engine.submit_many(2, name="small")
        await session.claim(2)
    await engine.submit_many(3, name="unserved")
    await engine.submit_many(3, name="small", delay_s=8)
    await engine.forgive(0)
    suspects = await engine.session(served)
    await engine.submit_many(2, name="small")
    await suspects.claim(2)
    await suspects.end(is_loss=True)
    await engine.submit_many(4, name="small")
    await engine.connection.execute("set tasker.handler_missing_s = 5")
    for _ in range(2):
        engine.advance(3.5)
        await engine.sweep_all()
    engine.advance(1.5)
    guarded = await _probes(engine, first, second)
    held = {session.number: list(session.held.values()) for session in (first, second, dead)}
    submitted = await engine.submit(name="small", idempotency_key="known")
    entry = await dlq.add_entry(engine.connection, engine.clock.uuid7(), failed, actor="ada")
    every = TaskFilter(namespace="tests")
    job = await jobs.create_job(engine.connection, engine.clock.uuid7(), "cancel", every, actor="ada")
    return Scene(engine, first, second, dead, wide, failed, paused, submitted, entry, job, held, guarded)


async def _probes(engine: Engine, *sessions: Session) -> set[UUID]:
    """Each session runs a probe of a half-open breaker, and more wait; the tasks."""
    tasks = await engine.submit_many(6, name="guarded")
    await act(engine, "set", options={"probes": 100})
    await act(engine, "open", options={"for_s": 0.001})
    engine.advance(0.001)
    await engine.connection.raw.execute("select tasker_engine.sweep_breakers($1)", engine.clock.now)
    channel = await engine.value("select channel_id from tasker_engine.channels where handler = 'g'")
    for session in sessions:
        reply = await engine.verbs.claim(
            engine.connection, session.number, Serving([channel], [1]), [1], may_be_alone=False
        )
        assert len(session.take(reply).grants) == 1
    return set(tasks)


Verb = Callable[[Scene, Session, Any], Awaitable[object]]


async def _report(scene: Scene, session: Session, connection: Any, *, may_wait: bool = False) -> None:
    worker = scene.of(session, connection)
    kinds = [success(1), passing_fault(), lasting_fault(), success()]
    held = [grant for grant in scene.held[session.number] if grant.task_id not in scene.guarded]
    probes = [(grant, passing_fault(error=DOWN)) for grant in worker.held.values() if grant.task_id in scene.guarded]
    await worker.report(*zip(held, kinds, strict=False), *probes, may_wait=may_wait, finished_grants=[1, 2, 3])


async def _report_waiting(scene: Scene, session: Session, connection: Any) -> None:
    await _report(scene, session, connection, may_wait=True)


async def _claim(scene: Scene, session: Session, connection: Any) -> None:
    await scene.of(session, connection).claim(50)


async def _claim_alone(scene: Scene, session: Session, connection: Any) -> None:
    await scene.of(session, connection).claim(50, may_be_alone=True)


async def _regrant(scene: Scene, session: Session, connection: Any) -> None:
    worker = scene.of(session, connection)
    worker.held.clear()
    await worker.regrant()


async def _load(scene: Scene, session: Session, connection: Any) -> None:
    await scene.engine.verbs.load(connection, [scene.wide] * 2, [0, 1])


async def _beat(scene: Scene, session: Session, connection: Any) -> None:
    await scene.of(session, connection).beat(*scene.held[session.number])


async def _open_session(scene: Scene, session: Session, connection: Any) -> None:
    number = await scene.engine.verbs.open_session(connection, uuid4(), "worker", "host", 1, 15)
    await scene.engine.verbs.serve(connection, number, ["a", "r1"], None)


async def _end_session(scene: Scene, session: Session, connection: Any) -> None:
    await scene.engine.verbs.end_session(connection, scene.dead.number, "its process died", is_loss=True)


async def _sweep(scene: Scene, session: Session, connection: Any) -> None:
    await scene.engine.verbs.sweep(connection)


async def _submit(scene: Scene, session: Session, connection: Any) -> None:
    await scene.engine.submit(name="small", connection=connection)


async def _submit_keyed(scene: Scene, session: Session, connection: Any) -> None:
    await scene.engine.submit(name="small", connection=connection, idempotency_key=f"of {session.number}")


async def _submit_repeated(scene: Scene, session: Session, connection: Any) -> None:
    await scene.engine.submit(name="small", connection=connection, idempotency_key="known")


async def _submit_here(scene: Scene, session: Session, connection: Any) -> None:
    await scene.of(session, connection).submit_here(scene.engine.clock.uuid7(), name="small")


def _act(action: str, on: str, step: str | None = None) -> Verb:
    async def act(scene: Scene, session: Session, connection: Any) -> None:
        await scene.engine.act(action, getattr(scene, on), step, connection=connection)

    return act


async def _drive_job(scene: Scene, session: Session, connection: Any) -> None:
    await jobs.drive_job(connection, scene.job)


async def _rerun(scene: Scene, session: Session, connection: Any) -> None:
    await reruns.rerun(connection, scene.engine.clock.uuid7(), scene.wide, 1, actor="ada")


async def _requeue(scene: Scene, session: Session, connection: Any) -> None:
    await dlq.requeue_entry(connection, scene.entry, uuid4(), actor="ada")


async def _add_entry(scene: Scene, session: Session, connection: Any) -> None:
    await dlq.add_entry(connection, scene.engine.clock.uuid7(), scene.failed, actor="ada")


async def _update_entry(scene: Scene, session: Session, connection: Any) -> None:
    await dlq.update_entry(connection, scene.entry, actor="ada", notes="looked at")


def _act_on_breaker(action: Any) -> Verb:
    async def act(scene: Scene, session: Session, connection: Any) -> None:
        await Breakers().act(connection, uuid4(), action, "gateway", {}, actor="ada")

    return act


VERBS: dict[str, Verb] = {
    "submit": _submit,
    "submit with a key": _submit_keyed,
    "submit with a known key": _submit_repeated,
    "submit here": _submit_here,
    "report": _report,
    "report that may wait": _report_waiting,
    "claim": _claim,
    "claim alone": _claim_alone,
    "regrant": _regrant,
    "load": _load,
    "beat": _beat,
    "open session": _open_session,
    "end session": _end_session,
    "sweep": _sweep,
    "act: cancel": _act("cancel", "wide"),
    "act: pause": _act("pause", "wide"),
    "act: resume": _act("resume", "paused"),
    "act: resolve": _act("resolve", "wide", "r4"),
    "act: complete": _act("complete", "wide", "r1"),
    "act: retry": _act("retry", "failed", "a"),
    "drive job": _drive_job,
    "act: rerun": _rerun,
    "act: requeue": _requeue,
    "act: add an entry": _add_entry,
    "act: update an entry": _update_entry,
    "act: open a breaker": _act_on_breaker("open"),
    "act: reset a breaker": _act_on_breaker("reset"),
}
MAY_WAIT = {name for name in VERBS if name.startswith("act")} | {"report that may wait", "end session"}


async def _waits(scene: Scene, held: Verb, tried: Verb, ours: Any, theirs: Any, *, same_session: bool) -> bool:
    """Whether the second verb waits while the first one's transaction is open. Both are undone."""
    holding = ours.transaction()
    await holding.start()
    try:
        await held(scene, scene.first, ours)
        trying = theirs.transaction()
        await trying.start()
        try:
            await tried(scene, scene.first if same_session else scene.second, theirs)
        except asyncpg.LockNotAvailableError:
            return True
        finally:
            await trying.rollback()
    finally:
        await holding.rollback()
    return False


async def test_nobody_waits_but_those_that_may(engine: Engine) -> None:
    """Only an action, a report that was told so, and who ends a session that is being ended wait; nothing deadlocks."""
    scene = await _scene(engine)
    ours, theirs = await engine.connect(), await engine.connect()
    for connection in (ours, theirs):
        await connection.execute("set tasker.handler_missing_s = 5")
    await theirs.execute(f"set lock_timeout = '{PATIENCE}'")
    waiting: set[tuple[str, str]] = set()
    for first, held in VERBS.items():
        for second, tried in VERBS.items():
            if await _waits(scene, held, tried, ours, theirs, same_session=False):
                waiting.add((first, second))
    assert {pair for pair in waiting if pair[1] not in MAY_WAIT} == set()
    assert ("act: cancel", "report that may wait") in waiting
    assert ("report", "act: cancel") in waiting


@pytest.mark.parametrize("held", ["report", "claim", "regrant", "sweep", "end session", "act: cancel"])
async def test_a_heartbeat_waits_for_nobody(engine: Engine, held: str) -> None:
    """Whatever a session's own turn or anybody else holds, the session can say that it lives."""
    scene = await _scene(engine)
    ours, theirs = await engine.connect(), await engine.connect()
    await theirs.execute(f"set lock_timeout = '{PATIENCE}'")
    assert not await _waits(scene, VERBS[held], _beat, ours, theirs, same_session=True)


@pytest.mark.parametrize("tried", ["claim", "regrant", "sweep", "end session"])
async def test_nobody_waits_for_a_heartbeat(engine: Engine, tried: str) -> None:
    """A heartbeat that is under way keeps neither its session's claims nor the sweep.

    A report of the same session may wait for it, as for a part of itself: a heartbeat's answer is short, so that its
    locks end with its work.
    """
    scene = await _scene(engine)
    ours, theirs = await engine.connect(), await engine.connect()
    await theirs.execute(f"set lock_timeout = '{PATIENCE}'")
    assert not await _waits(scene, _beat, VERBS[tried], ours, theirs, same_session=True)


async def test_one_turn_of_a_session_at_a_time(engine: Engine) -> None:
    """A session's turns are serialised: the next one waits for the one whose reply was lost."""
    scene = await _scene(engine)
    ours, theirs = await engine.connect(), await engine.connect()
    await theirs.execute(f"set lock_timeout = '{PATIENCE}'")
    for held in (_report, _claim, _regrant):
        for tried in (_report, _claim, _regrant):
            assert await _waits(scene, held, tried, ours, theirs, same_session=True)
