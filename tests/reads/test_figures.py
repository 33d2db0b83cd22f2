"""Figures of what ended, which the sweep gathers: held against the reads that look at each task."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from support.engine import Engine
from support.session import lasting_fault, success

from tasker.model.analytics import Scope
from tasker.store import analytics
from tasker.store.confined import Confinement

FEW = 3
"""Tasks up to which each is looked at, in place of 10,000."""


async def gather(engine: Engine) -> int:
    """Sweeps until the figures know all that has ended by now; how many tasks were new to them. (They wait for open
    transactions, which other tests on this server have, and for no more than a minute of the engine's clock.)"""
    now, gathered = engine.clock.now, 0
    for _ in range(200):
        engine.advance(1)
        gathered += (await engine.sweep()).get("gathered", 0)
        (reach,) = await engine.rows("select figures_until > $1 as is_past from tasker_engine.sweeps", now)
        if reach["is_past"]:
            return gathered
    raise AssertionError(f"the figures do not reach to {now}")


async def work_off(engine: Engine, count: int, *, fails: float = 0.0, seed: int = 1) -> None:
    """So many tasks of flow and of aside/other, one after the other, whose steps run for 1 to 100 s."""
    chance, session = random.Random(seed), await engine.session(lease_s=1e9)
    for n in range(count):
        await (engine.submit(name="other", namespace="aside") if n % 3 == 0 else engine.submit(name="flow"))
        await session.claim()
        while session.held:
            grant = next(iter(session.held.values()))
            run_s = round(chance.lognormvariate(2, 1), 3)
            engine.advance(run_s)
            outcome = lasting_fault() if chance.random() < fails else success()
            await session.report((grant, outcome), run_s=run_s)


async def asked(reader: Any, scope: Scope) -> dict[str, Any]:
    """All figures of a time."""
    return {
        "performance": await analytics.performance(reader, scope),
        "steps": await analytics.step_durations(reader, "step", scope, order="count"),
        "handlers": await analytics.step_durations(reader, "handler", scope, order="count"),
        "tasks": await analytics.task_durations(reader, "template", scope, order="count"),
        "spaces": await analytics.task_durations(reader, "namespace", scope, order="count"),
        "throughput": await analytics.throughput(reader, 3600, scope),
    }


def compare(gathered: Any, looked_at: Any, place: str = "") -> int:
    """Counts and sums are the same, percentiles as near as is promised; how many percentiles that were."""
    seen, error = 0, gathered.percentile_error
    assert (error, looked_at.percentile_error) == (0.05, 0)
    for name in gathered.__dataclass_fields__:
        one, other = getattr(gathered, name), getattr(looked_at, name)
        if name in ("p50_s", "p90_s", "p95_s", "p99_s", "task_p95_s"):
            assert one == pytest.approx(other, rel=0.35 if "9" in name else 0.2), (place, name)
            seen += 1
        elif isinstance(one, float) and name != "percentile_error":
            assert one == pytest.approx(other), (place, name)
        elif name in (
            "namespace",
            "name",
            "version",
            "step",
            "handler",
            "count",
            "errors",
            "retries",
            "ended",
            "steps",
        ):
            assert one == other, (place, name)
    return seen


@pytest_asyncio.fixture(loop_scope="session")
async def busy(engine: Engine) -> Engine:
    """Two templates of two namespaces, of which 90 tasks have ended, some in error, all of them gathered."""
    await engine.publish("a", name="other", namespace="aside")
    await engine.publish("a -> b")
    await work_off(engine, 90, fails=0.1)
    assert await gather(engine) == 90
    return engine


async def test_figures_are_those_of_every_task(busy: Engine, reader: Any) -> None:
    """Told from the figures, counts, sums, averages and extremes are what they are when each task is looked at, for
    every grouping."""
    now = busy.clock.now
    hour = now.replace(minute=0, second=0, microsecond=0)
    since, until = hour - timedelta(hours=5), hour + timedelta(hours=1)
    many, few = [await asked(reader, Scope(since=since, until=until, tasks_max=most)) for most in (FEW, 100_000)]
    one, other = many.pop("performance"), few.pop("performance")
    assert (one.ended, one.completed, one.failed, one.steps, one.step_errors) == (
        other.ended, other.completed, other.failed, other.steps, other.step_errors,
    )  # fmt: skip
    assert other.ended == 90
    assert one.failed > 0
    assert one.step_avg_s == pytest.approx(other.step_avg_s)
    assert (one.percentile_error, other.percentile_error) == (0.05, 0)
    for name in many:
        assert len(many[name]) == len(few[name]) > 0
        for here, there in zip(many[name], few[name], strict=True):
            if getattr(here, "count", 1) > 20:
                compare(here, there, name)
    assert [one.total_s for one in many["spaces"]] == pytest.approx([one.total_s for one in few["spaces"]])


async def test_a_percentile_is_within_what_is_said(engine: Engine) -> None:
    """Of any durations, each percentile is within 5 % of the execution that has so many of the others below it."""
    chance = random.Random(7)
    for size in (1, 10, 1000):
        values = sorted(chance.lognormvariate(0, 3) for _ in range(size))
        (row,) = await engine.rows(
            """with b as (select tasker_engine.duration_bucket(v) as bucket, count(*) as count
                          from unnest($1::float8[]) v group by 1)
               select tasker_engine.bucket_percentiles(array_agg(bucket), array_agg(count), $2::float8, $3::float8) as p
               from b""",
            values, values[0], values[-1],
        )  # fmt: skip
        for share, found in zip((0.5, 0.9, 0.95, 0.99), row["p"], strict=True):
            place = min(size, -int(-share * size // 1)) - 1
            assert found == pytest.approx(values[place], rel=0.05), (size, share)


async def test_nothing_is_counted_twice(busy: Engine) -> None:
    """Sweeping again adds nothing. A task that is revived counts again when it ends again, and of its steps those alone
    that ended since."""
    assert await gather(busy) == 0
    before = await totals(busy)
    (failed,) = await busy.rows(
        "select task_id from tasker_engine.tasks where state = 'error' and template_id = 2 order by task_id limit 1"
    )
    task: UUID = failed["task_id"]
    (step,) = await busy.rows("select number from tasker_engine.steps where task_id = $1 and state = 'error'", task)
    session = await busy.session(lease_s=1e9)
    await busy.verbs.act(busy.connection, uuid4(), "retry", task, number=step["number"], actor="ada", reason="again")
    await session.claim()
    while session.held:
        await session.succeed(*session.held.values())
    assert await gather(busy) == 1
    after = await totals(busy)
    assert after["tasks"] == before["tasks"] + 1
    assert after["steps"] == before["steps"] + 3 - step["number"]


async def totals(engine: Engine) -> Any:
    """How many tasks and executions the figures know."""
    (row,) = await engine.rows(
        """select sum(count) filter (where number = 0)::int as tasks, sum(count) filter (where number > 0)::int as steps
           from tasker_engine.figures"""
    )
    return row


async def test_what_is_not_gathered_yet_is_looked_at(busy: Engine, reader: Any) -> None:
    """While the figures do not reach to the end of a time, the last tasks are looked at, and the answer says so."""
    busy.advance(600)
    await work_off(busy, 6, seed=5)
    until = busy.clock.now + timedelta(seconds=1)
    scope = Scope(since=until - timedelta(days=1), until=until, tasks_max=FEW)
    said = await analytics.performance(reader, scope, now=until)
    assert (said.ended, said.percentile_error) == (FEW, 0)
    assert said.covered_from > said.since


async def test_a_confined_caller_sees_figures_of_its_own(busy: Engine) -> None:
    """Figures are confined as tasks are: of another namespace there are none."""
    reader = (await busy.connect(pinned=False)).raw
    until = busy.clock.now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    scope = Scope(since=until - timedelta(hours=6), until=until, tasks_max=FEW)
    async with Confinement("tasker_engine").transaction(reader, ["aside"]):
        found = await analytics.task_durations(reader, "namespace", scope)
        whole = await analytics.performance(reader, scope)
    assert [(one.namespace, one.count) for one in found] == [("aside", 30)]
    assert whole.ended == 30


async def test_a_transaction_that_is_open_holds_figures_up(engine: Engine) -> None:
    """What ended while a writer's transaction was open is gathered when that is over: it may hold an earlier end."""
    await engine.publish("a", name="other", namespace="aside")
    await engine.publish("a -> b")
    writer = (await engine.connect()).raw
    async with writer.transaction():
        await writer.execute("select pg_current_xact_id()")
        await work_off(engine, 3)
        for _ in range(3):
            assert (await engine.sweep()).get("gathered", 0) == 0
    assert await gather(engine) == 3


async def test_figures_are_gathered_in_few_large_calls(engine: Engine) -> None:
    """Each call replaces rows that stay as dead ones while some snapshot is open: the next comes ten seconds later, at
    once where there is more and somebody idles, and for a fiftieth of the time where nobody does."""
    await engine.publish("a", name="other", namespace="aside")
    await engine.publish("a -> b")
    await gather(engine)
    await work_off(engine, 9)

    async def keep() -> int:
        (found,) = await engine.rows("select tasker_engine.keep_figures(2, $1) as count", engine.clock.now)
        return int(found["count"])

    async def idle(is_idle: bool) -> None:
        await engine.rows("update tasker_engine.sessions set is_idle = $1 where ended_at is null", is_idle)

    await idle(True)
    while not await keep():
        engine.advance(11)
    assert await keep() == 2, "there is more, and somebody idles"
    await idle(False)
    await engine.rows("update tasker_engine.sweeps set figures_s = 0.5")
    engine.advance(24)
    assert await keep() == 0, "25 s is a fiftieth for half a second"
    engine.advance(2)
    assert await keep() == 2
    await idle(True)
    assert await keep() == 2
    await gather(engine)
    await work_off(engine, 1)
    await engine.rows("update tasker_engine.sweeps set figures_at = $1", engine.clock.now)
    assert await keep() == 0, "that was all, so the next call is ten seconds away"
    assert await gather(engine) == 1
