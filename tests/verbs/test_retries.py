"""When a step that failed for a passing reason runs again."""

from __future__ import annotations

import math
from typing import Any

import pytest
from support.engine import Engine
from support.session import Session


async def _wait_s(engine: Engine, worker: Session, **options: Any) -> float:
    """Fails the one step that is ready, and says how long it waits."""
    [grant] = await worker.claim()
    await worker.retry(grant, **options)
    return await engine.due_in_s(grant.task_id, "a") or 0.0


@pytest.mark.parametrize(
    ("backoff", "waits"),
    [
        ("none", [0, 0, 0, 0, 0, 0]),
        ("linear", [2, 4, 6, 8, 10, 12]),
        ("exponential", [2, 4, 8, 16, 32, 50]),
        ("fibonacci", [2, 2, 4, 6, 10, 16]),
    ],
)
async def test_each_backoff_waits_as_its_name_says(engine: Engine, backoff: str, waits: list[float]) -> None:
    """The wait after the n-th execution follows the backoff, from the base, up to the cap."""
    await engine.publish("a", backoff=backoff, backoff_base_ms=2000, max_backoff_ms=50_000, max_attempts=9, jitter=0.1)
    await engine.submit()
    worker = await engine.session()
    for wait_s in waits:
        assert await _wait_s(engine, worker) == pytest.approx(wait_s)
        engine.advance(wait_s)


async def test_a_step_never_runs_before_its_time(engine: Engine) -> None:
    """A millisecond before the wait is over nobody gets the step; then somebody does."""
    await engine.publish("a", backoff_base_ms=1000)
    await engine.submit()
    worker = await engine.session()
    assert await _wait_s(engine, worker) == 1.0
    engine.advance(0.999)
    reply = await worker.claim_reply()
    assert reply.grants == []
    assert reply.next_due_s == pytest.approx(0.001)
    engine.advance(0.001)
    assert len(await worker.claim()) == 1


@pytest.mark.parametrize(("chance", "wait_s"), [(0.0, 10), (0.5, 11), (1.0, 12)])
async def test_jitter_only_lengthens_a_wait(engine: Engine, chance: float, wait_s: float) -> None:
    """Chance adds up to the share that `jitter` names and takes nothing away."""
    await engine.publish("a", backoff="linear", backoff_base_ms=10_000, jitter=0.2)
    await engine.submit()
    worker = await engine.session()
    engine.clock.chance = chance
    assert await _wait_s(engine, worker) == pytest.approx(wait_s)


async def test_the_jitter_of_steps_that_fail_together_differs(engine: Engine) -> None:
    """Steps that fail in one batch do not come back at the same moment."""
    await engine.publish("a", backoff="linear", backoff_base_ms=10_000, jitter=0.5)
    await engine.submit_many(20)
    worker = await engine.session()
    engine.clock.chance = None
    await worker.retry(*await worker.claim())
    waits = {row["due_at"] for row in await engine.rows("select due_at from tasker_engine.due")}
    assert len(waits) == 20
    assert all(10 <= (due_at - engine.clock.now).total_seconds() <= 15 for due_at in waits)


@pytest.mark.parametrize(
    ("asked_s", "wait_s"),
    [(3, 3), (500, 500), (0, 0), (-5, 0), (math.inf, 86_400), (1e9, 86_400), (math.nan, 8)],
)
async def test_a_servers_wish_comes_first(engine: Engine, asked_s: float, wait_s: float) -> None:
    """`retry_after` replaces the policy, shorter or longer; it has a bound, and what is no number is no wish."""
    await engine.publish("a", backoff_base_ms=8000, max_backoff_ms=20_000)
    await engine.submit()
    worker = await engine.session()
    assert await _wait_s(engine, worker, retry_after_s=asked_s) == pytest.approx(wait_s)


async def test_the_bound_of_a_servers_wish_is_a_setting(engine: Engine) -> None:
    """`tasker.retry_after_max_s` of the database bounds what a server may ask for."""
    await engine.publish("a")
    await engine.submit()
    worker = await engine.session()
    await engine.connection.execute("set tasker.retry_after_max_s = 60")
    assert await _wait_s(engine, worker, retry_after_s=3600) == 60


async def test_many_tries_do_not_overflow(engine: Engine) -> None:
    """The hundredth wait is the cap, for every backoff."""
    await engine.publish(
        "a; b", max_attempts=200, max_backoff_ms=60_000, a={"backoff": "exponential"}, b={"backoff": "fibonacci"}
    )
    task = await engine.submit()
    await engine.connection.execute("update tasker_engine.steps set tries = 150")
    worker = await engine.session()
    await worker.retry(*await worker.claim())
    assert await engine.due_in_s(task, "a") == 60
    assert await engine.due_in_s(task, "b") == 60
    await engine.connection.execute("update tasker_engine.steps set tries = 1")


async def test_any_claim_brings_what_is_due(engine: Engine) -> None:
    """A worker that claims gets a step as soon as its time has come, with no sweep in between."""
    await engine.publish("a")
    await engine.submit()
    worker, other = await engine.session(), await engine.session()
    await worker.retry(*await worker.claim(), retry_after_s=2)
    engine.advance(2)
    assert len(await other.claim()) == 1


async def test_the_sweep_brings_what_no_claim_looked_for(engine: Engine) -> None:
    """A step that came due long before the next claim, further back than claims look, is found by the sweep."""
    await engine.publish("a")
    await engine.submit()
    worker = await engine.session(lease_s=1000)
    await worker.retry(*await worker.claim(), retry_after_s=2)
    await engine.sweep_all()
    engine.advance(100)
    assert await worker.claim() == []
    assert (await engine.sweep())["promoted"] == 1
    assert len(await worker.claim()) == 1


async def test_two_attempts_may_be_due_at_the_same_moment(engine: Engine) -> None:
    """A step retried by hand that fails again, and is due when its attempt before was, waits as it should."""
    await engine.publish("a", max_attempts=5)
    task = await engine.submit()
    worker = await engine.session()
    await worker.retry(*await worker.claim(), retry_after_s=5)
    await engine.act("retry", task, "a")
    engine.advance(2)
    await worker.retry(*await worker.claim(), retry_after_s=3)
    assert await engine.due_in_s(task, "a") == 3
    engine.advance(3)
    assert len(await worker.claim()) == 1


async def test_a_retry_keeps_its_lane(engine: Engine) -> None:
    """A step that comes due again waits among the started work of its task's priority."""
    await engine.publish("a")
    task = await engine.submit(priority=2)
    worker = await engine.session()
    await worker.retry(*await worker.claim(), retry_after_s=1)
    engine.advance(1)
    await engine.sweep_all()
    await engine.sweep_all()
    lane = "select kind, class from tasker_engine.ready join tasker_engine.lanes using (lane) where task_id = $1"
    assert [tuple(row.values()) for row in await engine.rows(lane, task)] == [(1, 4)]
