"""What the reads say about a task's steps, against the same found by walking the graph."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from support.engine import Engine
from support.session import Session, lasting_fault, passing_fault, success

from tasker.model.states import TaskState
from tasker.model.task import Readiness, StepTiming
from tasker.store.reads import Reads

SATISFYING = ("complete", "resolved_manually")


def random_graph(chance: random.Random, steps: int) -> str:
    """A graph in the builder's words; steps may depend on any that are named before them."""
    parts = ["s0"]
    for number in range(1, steps):
        parents = chance.sample(range(number), min(number, chance.randint(0, 3)))
        parts.append(", ".join(f"s{p}" for p in parents) + f" -> s{number}" if parents else f"s{number}")
    return "; ".join(parts)


def walked(parents: Mapping[str, Sequence[str]], states: Mapping[str, str]) -> dict[str, tuple[int, bool]]:
    """For each step how many parents satisfy it, and whether it is there to be taken, by looking at every parent."""
    found: dict[str, tuple[int, bool]] = {}
    for name, above in parents.items():
        done = sum(states[parent] in SATISFYING for parent in above)
        found[name] = (done, states[name] == "enqueued" and done == len(above))
    return found


async def play(session: Session, chance: random.Random) -> None:
    """One turn with random outcomes."""
    for grant in await session.claim(chance.randint(1, 4), may_be_alone=True):
        outcome = chance.choices([success(1), passing_fault(0.0), lasting_fault()], [8, 1, 1])[0]
        await session.report((grant, outcome), room=0)


@pytest.mark.parametrize("seed", range(6))
async def test_readiness_agrees_with_a_walk(engine: Engine, reads: Reads, reader: Any, seed: int) -> None:
    """At every moment of a task, what counters say about each step is what a walk over its parents finds."""
    chance = random.Random(seed)
    made = await engine.publish(random_graph(chance, 14), backoff="none")
    parents = {step.name: step.dependencies for step in made.steps}
    task, session = await engine.submit(), await engine.session()
    for _ in range(12):
        said = await reads.readiness(reader, [task], now=engine.clock.now)
        states = await engine.states(task)
        right = walked(parents, states)
        assert {r.name: (r.completed_parents, r.dependencies_satisfied) for r in said} == {
            name: (done, done == len(parents[name])) for name, (done, _) in right.items()
        }
        assert {r.name for r in said if r.state == "enqueued" and r.ready_for_execution} == {
            name for name, (_, is_ready) in right.items() if is_ready
        }
        await check_context(reads, reader, task, said, states, engine.clock.now)
        await play(session, chance)
        engine.advance(1)


async def check_context(
    reads: Reads, reader: Any, task: UUID, said: Sequence[Readiness], states: Mapping[str, str], now: datetime
) -> None:
    """The figures of the task are those of its steps."""
    (context,) = await reads.execution_contexts(reader, [task], now=now)
    count = list(states.values()).count
    assert (context.pending, context.in_progress, context.failed, context.total) == (
        *(count(state) for state in ("pending", "in_progress", "error")),
        len(states),
    )
    assert context.completed == sum(count(state) for state in SATISFYING)
    assert context.ready == sum(each.ready_for_execution for each in said)


async def one(reads: Reads, reader: Any, task: UUID, name: str) -> Readiness:
    """The readiness of one step."""
    return next(each for each in await reads.readiness(reader, [task]) if each.name == name)


async def test_readiness_says_why(engine: Engine, reads: Reads, reader: Any) -> None:
    """Each step says in a sentence what it waits for."""
    await engine.publish("a, b -> c", backoff_base_ms=3600_000, max_backoff_ms=3600_000)
    task = await engine.submit()
    assert (await one(reads, reader, task, "a")).why == 'no living worker has the handler "a" in queue "tests"'
    session = await engine.session(name="mill", pid=9)
    assert (await one(reads, reader, task, "a")).why == "waits for a worker to have room"
    assert (await one(reads, reader, task, "c")).why == "waits for a, b"
    a, b = sorted(await session.claim(), key=lambda grant: grant.number)
    assert (await one(reads, reader, task, "a")).why == "runs on mill (host, process 9)"
    await session.retry(a)
    await session.succeed(b)
    until = engine.clock.now + timedelta(hours=1)
    waiting = await one(reads, reader, task, "a")
    assert waiting.why == f"waits until {until:%Y-%m-%d %H:%M:%S}Z"
    assert (waiting.next_retry_at, waiting.backoff_s, waiting.tries) == (until, 3600, 1)
    assert waiting.last_failure_at == waiting.last_attempted_at == engine.clock.now
    assert (waiting.ready_for_execution, waiting.retry_eligible) == (False, True)
    assert (await one(reads, reader, task, "b")).why is None
    await engine.act("pause", task)
    await engine.act("retry", task, "a")
    assert (await one(reads, reader, task, "a")).why == "the task is paused"


async def test_a_step_past_its_tries_may_not_run_again(engine: Engine, reads: Reads, reader: Any) -> None:
    """A step that has used up its tries is not eligible; an operator's reset makes it so again."""
    await engine.publish("a", max_attempts=1)
    task, session = await engine.submit(), await engine.session()
    await session.retry(*await session.claim())
    assert not (await one(reads, reader, task, "a")).retry_eligible
    await engine.act("retry", task, "a")
    assert (await one(reads, reader, task, "a")).ready_for_execution


async def test_a_context_names_what_to_do(engine: Engine, reads: Reads, reader: Any) -> None:
    """The status, the advice and the health of a task follow it through its life."""
    await engine.publish("a, b -> c", backoff_base_ms=60_000, max_backoff_ms=60_000)
    task = await engine.submit()
    session = await engine.session()

    async def look() -> tuple[str, str | None, str, float]:
        (c,) = await reads.execution_contexts(reader, [task])
        return c.execution_status, c.recommended_action, c.health_status, c.completion_percentage

    assert await look() == ("has_ready_steps", "execute_ready_steps", "healthy", 0)
    a, b = sorted(await session.claim(), key=lambda grant: grant.number)
    assert await look() == ("processing", "wait_for_completion", "healthy", 0)
    await session.succeed(b, room=0)
    await session.retry(a, room=0)
    assert await look() == ("waiting_for_dependencies", "wait_for_dependencies", "recovering", 33.33)
    await engine.act("retry", task, "a")
    (a,) = await session.claim()
    await session.fail(a)
    assert await look() == ("blocked_by_failures", "handle_failures", "blocked", 33.33)
    await engine.act("resolve", task, "a")
    await session.work_off()
    assert await look() == ("all_complete", None, "healthy", 100)


async def test_levels_are_the_longest_ways(engine: Engine, reads: Reads, reader: Any) -> None:
    """A step's level is one more than its highest parent's, also where the file names children before parents."""
    for seed in range(8):
        chance = random.Random(seed)
        made = await engine.publish(random_graph(chance, 25), name=f"flow{seed}")
        task = await engine.submit(name=made.name)
        right: dict[str, int] = {}
        for step in made.steps * len(made.steps):
            right[step.name] = max((right.get(parent, 0) + 1 for parent in step.dependencies), default=0)
        assert (await reads.levels(reader, [task]))[task] == right
    made = await engine.publish("c; b -> c; a -> b", name="backwards")
    task = await engine.submit(name="backwards")
    assert (await reads.levels(reader, [task]))[task] == {"c": 2, "b": 1, "a": 0}


async def timing_of(reads: Reads, reader: Any, task: UUID) -> dict[str, StepTiming]:
    """The timings of a task's steps, by name."""
    (summary,) = await reads.summaries(reader, [task])
    return {timing.name: timing for timing in summary.timings}


async def test_timings_add_up(engine: Engine, reads: Reads, reader: Any) -> None:
    """A step's seconds are told apart: waiting for a worker, running (all tries), waiting for the next try."""
    await engine.publish("a", backoff_base_ms=10_000, max_backoff_ms=10_000, backoff="linear")
    task, session = await engine.submit(), await engine.session()
    engine.advance(3)  # in the queue
    (grant,) = await session.claim()
    engine.advance(5)
    await session.report((grant, passing_fault()), run_s=5)
    engine.advance(12)  # 10 for the next try, 2 until somebody looks
    (grant,) = await session.claim()
    engine.advance(7)
    await session.report((grant, success()), run_s=6)  # a second passed before the handler ran
    a = (await timing_of(reads, reader, task))["a"]
    assert (a.queue_s, a.run_s, a.retry_s, a.tries) == (pytest.approx(4), pytest.approx(11), pytest.approx(12), 2)
    (summary,) = await reads.summaries(reader, [task])
    assert (summary.wait_s, summary.elapsed_s, summary.run_s) == (3, 24, pytest.approx(11))
    assert summary.task.status is TaskState.COMPLETE
    assert summary.context.completion_percentage == 100


async def test_the_critical_path_is_what_took_long(engine: Engine, reads: Reads, reader: Any) -> None:
    """The critical path leads from the step that ended last back by the parents that ended last."""
    await engine.publish("a -> slow, quick -> join; other")
    task, session = await engine.submit(), await engine.session()
    grants = {grant.number: grant for grant in await session.claim()}
    names = {name: await engine.number(task, name) for name in ("a", "slow", "quick", "join", "other")}
    engine.advance(1)
    reply = await session.succeed(grants[names["a"]], grants[names["other"]])
    grants = {grant.number: grant for grant in reply.grants}
    engine.advance(1)
    await session.succeed(grants[names["quick"]])
    engine.advance(10)
    reply = await session.succeed(grants[names["slow"]])
    engine.advance(2)
    (summary,) = await reads.summaries(reader, [task], now=engine.clock.now)
    assert [timing.name for timing in summary.critical_path] == ["a", "slow", "join"]
    assert summary.critical_path[-1].run_s == 2
    await session.succeed(*reply.grants)
    (summary,) = await reads.summaries(reader, [task])
    assert [timing.name for timing in summary.critical_path] == ["a", "slow", "join"]
    assert summary.elapsed_s == 14


async def test_a_step_that_never_began_has_no_times(engine: Engine, reads: Reads, reader: Any) -> None:
    """A step that was cancelled before it was ready, or waits for others, has no times and is on no path."""
    await engine.publish("a -> b")
    task = await engine.submit()
    assert (await timing_of(reads, reader, task))["b"].ready_at is None
    engine.advance(4)
    await engine.act("cancel", task)
    b = (await timing_of(reads, reader, task))["b"]
    assert (b.ready_at, b.queue_s, b.run_s, b.critical_place) == (None, 0, 0, None)
    (summary,) = await reads.summaries(reader, [task])
    assert (summary.wait_s, summary.elapsed_s) == (4, None)


async def test_all_reads_take_sets(engine: Engine, reads: Reads, reader: Any) -> None:
    """Every read answers for many tasks of several templates as for each of them."""
    await engine.publish("a -> b", name="one")
    await engine.publish("x, y -> z", name="other")
    tasks = [await engine.submit(name="one"), await engine.submit(name="other"), await engine.submit(name="one")]
    session = await engine.session()
    await session.succeed(*await session.claim(), room=0)
    for read in (reads.steps, reads.readiness, reads.execution_contexts, reads.history):
        together = await read(reader, tasks)
        apart = [row for task in sorted(tasks) for row in await read(reader, [task])]
        assert together == apart
    assert await reads.levels(reader, tasks) == {t: (await reads.levels(reader, [t]))[t] for t in tasks}
    assert [s.task.task_uuid for s in await reads.summaries(reader, tasks)] == tasks
