"""No turn reads many more rows than it hands over, however much lies in the tables, and whenever its plan was made.

A worker's connection keeps the plan that it made first, which may have been over empty tables. What a plan costs is
counted in rows and index entries read (`support.costs`), never in time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from support.costs import Cost, cost_of
from support.engine import Engine
from support.session import Session, passing_fault, success

pytestmark = pytest.mark.unchecked

SLOTS = 20
CHILDREN = 10_000
BACKLOG = 25_000
ROWS_A_STEP = 60
ROWS_A_CALL = 500


class Driver:
    """Turns of one worker on one connection, each with what it cost."""

    def __init__(self, engine: Engine, worker: Session) -> None:
        self.engine = engine
        self.worker = worker
        self.costs: dict[str, tuple[Cost, int]] = {}

    async def _measure(self, name: str, call: Callable[[], Awaitable[Any]], steps: int) -> Any:
        async with cost_of(self.worker.connection) as cost:
            answer = await call()
        self.costs[name] = (cost, max(steps, len(self.worker.held)))
        return answer

    async def turns(self) -> None:
        """Claim, report, beat, fail, lose a reply, hand back, sweep, and act."""
        worker = self.worker
        await self._measure("claim", worker.claim, SLOTS)
        held = list(worker.held.values())
        await self._measure("beat", lambda: worker.beat(*held), SLOTS)
        mixed = [(grant, success(1) if place % 4 else passing_fault(0.5)) for place, grant in enumerate(held)]
        await self._measure("report", lambda: worker.report(*mixed), SLOTS)
        worker.held.clear()
        await self._measure("regrant", worker.regrant, SLOTS)
        self.engine.advance(1)
        await self._measure("claim of due steps", worker.claim, SLOTS)
        self.engine.advance(1)
        await self._measure("sweep", lambda: self.engine.verbs.sweep(worker.connection), SLOTS)
        await self._measure("release", lambda: worker.release(*worker.held.values()), SLOTS)
        await self._measure("claim alone", lambda: worker.claim(may_be_alone=True), SLOTS)

    async def lose(self, *, slots: int = SLOTS) -> None:
        """A worker dies; the end of its session, and a claim of what it held."""
        await self.worker.connection.execute("set tasker.losses_forgiven = 0")
        dying = await self.engine.session(slots=slots, connection=self.worker.connection)
        await dying.claim()
        await self._measure("end session", lambda: dying.end(is_loss=True), SLOTS)
        await self._measure("claim a suspect", lambda: self.worker.claim(may_be_alone=True), SLOTS)

    async def act(self, task: UUID, steps: dict[str, str]) -> None:
        """An operator acts on single steps."""
        connection = self.worker.connection
        for action, step in steps.items():
            act = self.engine.act(action, task, await self.engine.number(task, step), connection=connection)
            await self._measure(f"act: {action}", lambda act=act: act, 1)

    def check(self, *, except_for: str | None = None) -> None:
        """Each call read a bounded number of rows for each step that it was about."""
        for name, (cost, steps) in self.costs.items():
            if name == except_for:
                continue
            most = ROWS_A_CALL + ROWS_A_STEP * steps
            assert cost.total() <= most, f"{name} read {cost.total()} rows of {most}: {dict(cost.most_common(5))}"


async def _warmed(engine: Engine) -> Driver:
    """A worker that has turned on empty tables, many times, so that all its plans are made."""
    connection = await engine.connect()
    driver = Driver(engine, await engine.session(slots=SLOTS, connection=connection, lease_s=10_000))
    for _ in range(3):
        await driver.turns()
        await driver.lose()
    task = await engine.submit(name="chain")
    await driver.act(task, {"resolve": "a", "complete": "b"})
    await driver.turns()
    return driver


async def _publish(engine: Engine) -> None:
    await engine.publish("r -> " + ", ".join(f"c{n}" for n in range(CHILDREN)) + " -> z", name="wide", handler="work")
    await engine.publish("a -> b -> c -> d", name="chain")


async def _backlog(engine: Engine, count: int) -> None:
    for _ in range(count // 5000):
        await engine.submit_many(5000, name="chain")


async def test_a_backlog_of_a_hundred_thousand_steps_costs_a_turn_nothing(engine: Engine) -> None:
    """Plans made over empty tables hold when a hundred thousand steps come, and so do those of a new worker."""
    await _publish(engine)
    warmed = await _warmed(engine)
    await _backlog(engine, BACKLOG)
    fresh = Driver(engine, await engine.session(slots=SLOTS, connection=await engine.connect(), lease_s=10_000))
    for driver in (warmed, fresh):
        await driver.turns()
        driver.check()
        await driver.lose()
        driver.check()
        await driver.worker.end()


async def test_a_task_of_ten_thousand_children_costs_its_neighbours_nothing(engine: Engine) -> None:
    """Plans made over empty tables hold for a task whose template has ten thousand steps."""
    await _publish(engine)
    warmed = await _warmed(engine)
    task = await engine.submit(name="wide")
    while await engine.state(task, "r") != "complete":
        await warmed.worker.succeed(*(list(warmed.worker.held.values()) or await warmed.worker.claim()))
    for _ in range(3):
        await warmed.turns()
        warmed.check()
    await warmed.act(task, {"resolve": "c9000", "complete": "c9001"})
    await warmed.lose()
    warmed.check()


async def test_what_is_due_tomorrow_costs_nothing_today(engine: Engine) -> None:
    """Claims and sweeps read only what has come due."""
    await _publish(engine)
    warmed = await _warmed(engine)
    for _ in range(4):
        await engine.submit_many(5000, name="chain", delay_s=86_400)
    await warmed.turns()
    warmed.check()


async def test_what_was_cancelled_is_read_once(engine: Engine) -> None:
    """The rows that a cancelled task leaves in line are passed once, and then gone."""
    await _publish(engine)
    warmed = await _warmed(engine)
    for task in await engine.submit_many(300, name="chain"):
        await engine.act("cancel", task)
    for _ in range(300 // SLOTS + 1):
        assert await warmed.worker.claim() == []
    assert await engine.count("ready") == 0


async def test_dead_rows_under_an_open_snapshot_are_passed_by_the_bound(engine: Engine) -> None:
    """While a snapshot is open, what was taken from a lane cannot be removed; claims begin behind it all the same."""
    await _publish(engine)
    warmed = await _warmed(engine)
    reader = await engine.connect()
    async with reader.transaction(isolation="repeatable_read"):
        await reader.fetchval("select count(*) from tasker_engine.ready")
        bulk = await engine.session(["a"], slots=5000, lease_s=10_000)
        for _ in range(4):
            await engine.submit_many(5000, name="chain")
            grants = await bulk.claim()
            await bulk.fail(*grants)
            engine.advance(11)
            await engine.sweep_all()
        await engine.submit_many(100, name="chain")
        engine.advance(11)
        await engine.sweep_all()
        room = warmed.worker.room
        async with cost_of(warmed.worker.connection) as cost:
            grants = await warmed.worker.claim()
        assert len(grants) == room > 0
        # What one sweep has not yet passed is at most what went by since the sweep before.
        assert cost["ready_pkey"] <= 6_500
        await warmed.worker.succeed(*grants)
        engine.advance(11)
        await engine.sweep_all()
        await warmed.turns()
        # The sweep looks below the bound from time to time, and spends at most a fiftieth of its time on that.
        warmed.check(except_for="sweep")


async def test_rises_of_a_bound_leave_nothing_that_claims_pass(engine: Engine) -> None:
    """However often a bound rose while a snapshot was open, the greatest is the first that a claim finds."""
    await _publish(engine)
    warmed = await _warmed(engine)
    reader = await engine.connect()
    async with reader.transaction(isolation="repeatable_read"):
        await reader.fetchval("select count(*) from tasker_engine.ready")
        bulk = await engine.session(["a"], slots=300, lease_s=10_000)
        for _ in range(30):
            await engine.submit_many(300, name="chain")
            await bulk.fail(*await bulk.claim())
            engine.advance(11)
            await engine.sweep_all()
        (rises,) = await engine.rows("select count(*) as gone from tasker_engine.bounds")
        assert rises["gone"] <= 2, "each rise takes the place of the one before"
        assert await engine.value("select max(bound) from tasker_engine.bounds") > 20 * 300
        await engine.submit_many(10, name="chain")
        async with cost_of(warmed.worker.connection) as cost:
            assert len(await warmed.worker.claim()) == 10
        assert cost["bounds_pkey"] <= 10, "a probe or two for each lane"


async def test_an_unserved_backlog_costs_a_claim_nothing(engine: Engine) -> None:
    """A hundred thousand steps that this worker has no handler for are not looked at."""
    await _publish(engine)
    await engine.publish("x", name="elsewhere", namespace="elsewhere")
    warmed = await _warmed(engine)
    for _ in range(4):
        await engine.submit_many(5000, name="elsewhere")
    await warmed.turns()
    warmed.check()
