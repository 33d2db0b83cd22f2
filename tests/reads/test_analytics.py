"""Figures over a time, held against the same worked out here; tasks as graphs at work."""

from __future__ import annotations

import random
import statistics
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from support.engine import Engine
from support.session import lasting_fault, passing_fault, success
from test_analysis import random_graph

from tasker.model.analytics import Scope
from tasker.model.errors import InvalidInput, TaskNotFound
from tasker.model.ids import uuid7
from tasker.store import analytics


def percentile(values: list[float], share: float) -> float:
    """Of sorted values, between the two next to the place."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    return ordered[low] + (ordered[min(low + 1, len(ordered) - 1)] - ordered[low]) * (place - low)


async def ran(engine: Engine, seconds: list[float], **options: Any) -> list[UUID]:
    """Tasks of one step each, which ran for so many seconds."""
    session = await engine.session(lease_s=1e6)
    tasks: list[UUID] = []
    for run_s in seconds:
        tasks.append(await engine.submit(**options))
        (grant,) = await session.claim()
        engine.advance(run_s)
        await session.report((grant, success()), run_s=run_s)
    return tasks


async def test_percentiles_are_those_of_all_executions(engine: Engine, reader: Any) -> None:
    """Averages and percentiles of steps and tasks are worked out of every execution in the time."""
    await engine.publish("a")
    chance = random.Random(3)
    seconds = [round(chance.uniform(0.5, 90), 3) for _ in range(23)]
    await ran(engine, seconds)
    now = engine.clock.now + timedelta(seconds=1)
    scope = Scope(since=now - timedelta(days=1), until=now)
    (found,) = await analytics.step_durations(reader, "step", scope)
    assert (found.namespace, found.name, found.version, found.step, found.handler) == (
        "tests", "flow", "1.0.0", "a", None,
    )  # fmt: skip
    assert (found.count, found.errors, found.error_rate) == (23, 0, 0)
    assert found.avg_s == pytest.approx(statistics.mean(seconds))
    assert found.total_s == pytest.approx(sum(seconds))
    assert (found.min_s, found.max_s) == (pytest.approx(min(seconds)), pytest.approx(max(seconds)))
    for share, value in ((0.5, found.p50_s), (0.9, found.p90_s), (0.95, found.p95_s), (0.99, found.p99_s)):
        assert value == pytest.approx(percentile(seconds, share))
    (whole,) = await analytics.task_durations(reader, "template", scope)
    assert whole.p95_s == pytest.approx(found.p95_s)
    said = await analytics.performance(reader, scope)
    assert said.step_s is not None
    assert (said.ended, said.steps, said.step_s.p90) == (23, 23, pytest.approx(found.p90_s))
    assert said.tasks_per_hour == pytest.approx(23 / 24)


async def test_only_what_ended_in_the_time_counts(engine: Engine, reader: Any) -> None:
    """A time includes its beginning and not its end; what is outside, or of another template, is not looked at."""
    await engine.publish("a", name="other", namespace="aside")
    await engine.publish("a")
    first, *_ = await ran(engine, [10, 20, 30], name="flow")
    began = (await engine.task(first))["finished_at"]
    await ran(engine, [40], name="other", namespace="aside")
    later = engine.clock.now + timedelta(seconds=1)
    assert (await analytics.performance(reader, Scope(since=began, until=later))).ended == 4
    assert (await analytics.performance(reader, Scope(since=began, until=engine.clock.now))).ended == 3
    assert (await analytics.performance(reader, Scope(since=began + timedelta(seconds=1), until=later))).ended == 3
    aside = Scope(since=began, until=later, namespaces=("aside",))
    assert [one.total_s for one in await analytics.step_durations(reader, "namespace", aside)] == [40]
    assert (await analytics.performance(reader, Scope(since=began, until=later, name="nothing"))).ended == 0


async def test_the_last_tasks_are_looked_at(engine: Engine, reader: Any) -> None:
    """Where more tasks ended than are looked at, the last ones count, and the answer says from when on it holds."""
    await engine.publish("a")
    tasks = await ran(engine, [10, 20, 30, 40])
    now = engine.clock.now + timedelta(seconds=1)
    said = await analytics.performance(reader, Scope(since=now - timedelta(hours=1), until=now, tasks_max=2))
    assert (said.ended, said.task_avg_s) == (2, 35)
    assert said.covered_from == (await engine.task(tasks[2]))["finished_at"]
    with pytest.raises(InvalidInput):
        await analytics.performance(reader, Scope(tasks_max=0))


async def test_failures_and_retries_are_told_apart(engine: Engine, reader: Any) -> None:
    """Steps that failed for good, tries that failed before, and tasks that were cancelled are each counted."""
    await engine.publish("a", backoff="none")
    session = await engine.session(lease_s=1e6)
    tasks = await engine.submit_many(4)
    for task, outcomes in zip(
        tasks[:3],
        ([success()], [passing_fault(), success()], [lasting_fault({"error_code": "NO", "message": "never"})]),
        strict=True,
    ):
        for outcome in outcomes:
            grant = next(g for g in (*session.held.values(), *await session.claim()) if g.task_id == task)
            engine.advance(1)
            await session.report((grant, outcome))
    await engine.act("cancel", tasks[3])
    open_task = await engine.submit()
    now = engine.clock.now + timedelta(seconds=1)
    scope = Scope(since=now - timedelta(hours=1), until=now)
    said = await analytics.performance(reader, scope, now=engine.clock.now)
    assert (said.ended, said.completed, said.failed, said.cancelled) == (4, 2, 1, 1)
    assert (said.completion_rate, said.error_rate, said.active, said.blocked) == (0.5, 0.25, 1, 0)
    assert (said.steps, said.step_errors, said.retries, said.health_score) == (3, 1, 1, 0.75)
    (error,) = await analytics.errors(reader, scope)
    assert (error.code, error.step, error.count, error.message) == ("NO", "a", 1, "never")
    assert error.task_uuid == tasks[2] != open_task


async def test_durations_are_grouped(engine: Engine, reader: Any) -> None:
    """Executions are grouped by namespace, template, step or handler, in the order asked for."""
    await engine.publish("a -> b", a={"handler": "work"}, b={"handler": "work"})
    await engine.publish("a", name="other", a={"handler": "work"})
    session = await engine.session(["work"], lease_s=1e6)
    await engine.submit(name="flow")
    await engine.submit(name="other")
    for run_s in (1, 5, 3):
        grants = list(session.held.values()) or await session.claim(1)
        engine.advance(run_s)
        await session.report((grants[0], success()), run_s=run_s, room=1)
    now = engine.clock.now + timedelta(seconds=1)
    scope = Scope(since=now - timedelta(hours=1), until=now)

    async def grouped(by: Any, **options: Any) -> list[tuple[Any, ...]]:
        found = await analytics.step_durations(reader, by, scope, **options)
        return [(one.name, one.step, one.handler, one.count) for one in found]

    assert await grouped("namespace") == [(None, None, None, 3)]
    assert await grouped("handler") == [(None, None, "work", 3)]
    assert sorted(await grouped("template"), key=str) == [("flow", None, None, 2), ("other", None, None, 1)]
    assert len(await grouped("step")) == 3
    assert (await grouped("template", order="count"))[0][0] == "flow"
    assert await grouped("template", executions_min=2) == [("flow", None, None, 2)]
    for wrong in ({"by": "colour"}, {"by": "step", "order": "luck"}):
        with pytest.raises(InvalidInput, match="choose"):
            await grouped(**wrong)


async def test_throughput_has_every_interval(engine: Engine, reader: Any) -> None:
    """Each interval tells what ended in it, the empty ones nothing; too many intervals are refused."""
    await engine.publish("a")
    began = engine.clock.now
    await ran(engine, [10, 100, 5])
    scope = Scope(since=began, until=began + timedelta(seconds=180))
    found = await analytics.throughput(reader, 60, scope)
    assert [(one.completed, one.steps, one.task_avg_s) for one in found] == [(1, 1, 10), (2, 2, 52.5), (0, 0, None)]
    assert [one.at for one in found] == [began + timedelta(seconds=s) for s in (0, 60, 120)]
    for interval in (0, 0.01):
        with pytest.raises(InvalidInput):
            await analytics.throughput(reader, interval, scope)


async def test_bottlenecks_recommend(engine: Engine, reader: Any) -> None:
    """What takes long and what fails often is named with what to do about it."""
    await engine.publish("a")
    await ran(engine, [50])
    session = await engine.session(lease_s=1e6)
    await engine.submit()
    await session.fail(*await session.claim())
    now = engine.clock.now + timedelta(seconds=1)
    scope = Scope(since=now - timedelta(hours=1), until=now)
    found = await analytics.bottlenecks(reader, scope, executions_min=1)
    assert [one.step for one in found.slow_steps] == ["a"]
    assert [one.count for one in found.slow_tasks] == [2]
    assert [one.code for one in found.errors] == ["handler_error"]
    assert "50% of 2 executions failed" in found.recommendations[0]
    assert "longer than" in found.recommendations[1]
    assert (await analytics.bottlenecks(reader, scope, executions_min=3)).slow_steps == ()


def below(children: dict[str, set[str]], is_open: set[str], start: str) -> set[str]:
    """Open steps below one, through open ones, by walking."""
    found: set[str] = set()
    front = {start}
    while front:
        front = {child for step in front for child in children[step] if child in is_open} - found
        found |= front
    return found


@pytest.mark.parametrize("seed", range(4))
async def test_what_lies_below_is_what_a_walk_finds(engine: Engine, reader: Any, seed: int) -> None:
    """Of each step the open steps below it are counted, and failures tell what they hold up."""
    chance = random.Random(seed)
    made = await engine.publish(random_graph(chance, 18), backoff="none")
    task, session = await engine.submit(), await engine.session()
    for _ in range(6):
        for grant in await session.claim(3):
            outcome = success() if chance.random() < 0.75 else lasting_fault()
            await session.report((grant, outcome), room=0)
        engine.advance(1)
    states = await engine.states(task)
    is_open = {name for name, state in states.items() if state not in ("complete", "resolved_manually")}
    children: dict[str, set[str]] = {step.name: set() for step in made.steps}
    for step in made.steps:
        for parent in step.dependencies:
            children[parent].add(step.name)
    found = await analytics.analyze_task(reader, task, now=engine.clock.now)
    for step in found.steps:
        assert set(step["children"]) == children[step["name"]]
        assert step["downstream"] == len(below(children, is_open, step["name"])), step["name"]
        assert step["state"] == states[step["name"]]
    chains = {chain["name"]: set(chain["holds_up"]) for chain in found.error_chains}
    assert chains == {name: below(children, is_open, name) for name in states if states[name] == "error"}
    assert sum(level["steps"] for level in found.levels) == 18
    assert sum(level["failed"] for level in found.levels) == len(chains)


async def test_the_rest_is_estimated_from_other_tasks(engine: Engine, reader: Any) -> None:
    """What a step took in other tasks of the template tells which way through the rest is the longest."""
    await engine.publish("a -> slow, quick -> end")
    session = await engine.session(lease_s=1e6)
    took = {"a": 2, "slow": 60, "quick": 5, "end": 3}
    number = {}
    for _ in range(2):
        task = await engine.submit()
        number = {name: await engine.number(task, name) for name in took}
        while grants := (list(session.held.values()) or await session.claim()):
            grant = min(grants, key=lambda one: one.number)
            name = next(name for name, value in number.items() if value == grant.number)
            engine.advance(took[name])
            await session.report((grant, success()), run_s=took[name])
    task = await engine.submit()
    found = await analytics.analyze_task(reader, task, now=engine.clock.now)
    assert found.remaining_path == ("a", "slow", "end")
    assert found.remaining_s == pytest.approx(65)
    assert found.critical_path == ()
    (grant,) = await session.claim()
    engine.advance(1)
    found = await analytics.analyze_task(reader, task, now=engine.clock.now)
    assert found.remaining_s == pytest.approx(64)
    assert found.critical_path == ("a",)
    await session.fail(grant)
    found = await analytics.analyze_task(reader, task, now=engine.clock.now)
    (worst,) = found.bottlenecks
    assert (worst["name"], worst["downstream"], worst["children"]) == ("a", 3, 2)
    assert (worst["impact"], worst["severity"]) == ((5 * 3 + 15 * 2) * 2 + 3, "high")
    assert "retry it" in worst["advice"]


async def test_an_analysis_takes_sets(engine: Engine, reader: Any) -> None:
    """Several tasks come in the order asked; a task that is done has nothing left; an unknown one is not found."""
    await engine.publish("a")
    done, *_ = await ran(engine, [2])
    open_task = await engine.submit()
    found = await analytics.analyze_tasks(reader, [open_task, uuid7(), done], now=engine.clock.now)
    assert [one.task_uuid for one in found] == [open_task, done]
    assert (found[1].remaining_path, found[1].remaining_s, found[1].bottlenecks) == ((), None, ())
    with pytest.raises(TaskNotFound):
        await analytics.analyze_task(reader, uuid7())
