"""Tasks with a start time or a delay."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.engine import Engine


@pytest.mark.parametrize("kind", ["start_at", "delay_s"])
async def test_a_scheduled_task_waits_for_its_time(engine: Engine, kind: str) -> None:
    """Before its time a task is pending and nobody gets its steps; at its time somebody does."""
    await engine.publish("a, b -> c")
    start_at = (engine.clock.now + timedelta(hours=1)).isoformat()
    task = await (engine.submit(start_at=start_at) if kind == "start_at" else engine.submit(delay_s=3600))
    worker = await engine.session()
    assert await engine.state(task) == "pending"
    assert await engine.counters(task) == (3, 2, 2, 0)
    engine.advance(3599)
    assert await worker.claim() == []
    engine.advance(1)
    assert len(await worker.claim()) == 2
    assert await engine.state(task) == "steps_in_process"
    await worker.work_off()
    assert await engine.state(task) == "complete"


async def test_a_time_that_has_passed_is_now(engine: Engine) -> None:
    """A start time in the past starts at once, and gains no place in line by it."""
    await engine.publish("a")
    first = await engine.submit()
    early = await engine.submit(start_at=(engine.clock.now - timedelta(days=1)).isoformat())
    worker = await engine.session(slots=1)
    assert [grant.task_id for grant in await worker.claim()] == [first]
    assert (await engine.task(early))["born_at"] == engine.clock.now


async def test_a_scheduled_task_is_as_old_as_its_start(engine: Engine) -> None:
    """It takes its place in line by the time it may begin, not by the time it was submitted."""
    await engine.publish("a")
    scheduled = await engine.submit(delay_s=100)
    engine.advance(50)
    waiting = await engine.submit()
    engine.advance(55)
    worker = await engine.session(slots=1)
    [first] = await worker.claim()
    await worker.succeed(first)
    [second] = await worker.claim()
    assert [first.task_id, second.task_id] == [waiting, scheduled]


async def test_a_scheduled_task_can_be_cancelled(engine: Engine) -> None:
    """A cancelled task does not begin when its time comes."""
    await engine.publish("a")
    task = await engine.submit(delay_s=10)
    await engine.act("cancel", task)
    engine.advance(10)
    worker = await engine.session()
    assert await worker.claim() == []
    assert await engine.count("due") == 0
    assert await engine.state(task) == "cancelled"


async def test_a_paused_scheduled_task_begins_when_it_is_resumed(engine: Engine) -> None:
    """A task whose time comes while it is paused begins with its resumption; one resumed early still waits."""
    await engine.publish("a")
    late, early = await engine.submit(delay_s=10), await engine.submit(delay_s=10)
    for task in (late, early):
        await engine.act("pause", task)
    await engine.act("resume", early)
    worker = await engine.session()
    assert await worker.claim() == []
    engine.advance(10)
    assert [grant.task_id for grant in await worker.claim()] == [early]
    await engine.act("resume", late)
    assert [grant.task_id for grant in await worker.claim()] == [late]


async def test_the_first_step_of_a_scheduled_task_can_be_done_by_hand(engine: Engine) -> None:
    """Completing it early frees what follows, and nothing runs twice when the time comes."""
    await engine.publish("a -> b")
    task = await engine.submit(delay_s=10)
    await engine.act("complete", task, "a", result={"by": "hand"})
    worker = await engine.session()
    [b] = await worker.claim()
    engine.advance(10)
    assert await worker.claim() == []
    await worker.succeed(b)
    assert await engine.states(task) == {"a": "complete", "b": "complete"}
    assert await engine.state(task) == "complete"
