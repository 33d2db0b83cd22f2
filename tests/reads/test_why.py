"""Why a task waits: each condition of each open step, as data and in words."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from support import breakers
from support.batch_play import start
from support.costs import cost_of
from support.engine import Engine

from tasker.model.errors import TaskNotFound
from tasker.model.ids import uuid7
from tasker.model.why import Condition
from tasker.store.why import explain_task, explain_tasks


async def ask(engine: Engine, task: UUID, step: str) -> dict[str, Condition]:
    """The conditions of a step, by kind."""
    found = await explain_task(engine.connection.raw, task, now=engine.clock.now)
    return {one.kind: one for each in found.steps if each.name == step for one in each.conditions}


async def only(engine: Engine, task: UUID, step: str) -> Condition:
    """The one condition of a step."""
    (condition,) = (await ask(engine, task, step)).values()
    return condition


async def test_a_step_names_its_parents_with_their_states(engine: Engine) -> None:
    """A step that waits for parents names those that do not satisfy it, with the state of each."""
    await engine.publish("a, b, c -> d")
    task, session = await engine.submit(), await engine.session()
    grants = sorted(await session.claim(2), key=lambda grant: grant.number)
    await session.succeed(grants[0], room=0)
    condition = await only(engine, task, "d")
    assert (condition.kind, condition.said) == ("parents", "waits for b (in_progress), c (enqueued)")
    assert condition.data == {
        "waiting": 2,
        "parents": [
            {"name": "b", "number": 2, "state": "in_progress"},
            {"name": "c", "number": 3, "state": "enqueued"},
        ],
    }


async def test_many_parents_are_counted(engine: Engine) -> None:
    """Of many parents five are named in words and fifty in data; the count is of all."""
    await engine.publish(", ".join(f"p{n}" for n in range(70)) + " -> z", handler="work")
    condition = await only(engine, await engine.submit(), "z")
    assert condition.said.endswith("p4 (enqueued) and 65 more")
    assert (condition.data["waiting"], len(condition.data["parents"])) == (70, 50)


async def test_a_running_step_names_its_worker(engine: Engine) -> None:
    """A step that was handed out says to whom and since when; when its start is known, that counts."""
    await engine.publish("a", timeout_seconds=600)
    task, session = await engine.submit(), await engine.session(name="mill", pid=9)
    (grant,) = await session.claim()
    engine.advance(2)
    granted = await only(engine, task, "a")
    assert granted.kind == "granted"
    assert granted.said == "was handed to mill (host, process 9) 2 s ago; that it started is not known yet"
    await session.beat(grant, ago_s=1)
    engine.advance(4)
    running = await only(engine, task, "a")
    assert (running.kind, running.said) == ("in_progress", "runs on mill (host, process 9) for 5 s")
    assert running.data["worker"]["session_uuid"] == str(session.uuid)
    assert (running.data["attempt"], running.data["for_s"], running.data["worker"]["silent_s"]) == (1, 5, 4)
    started = datetime.fromisoformat(running.data["since"])
    assert datetime.fromisoformat(running.data["timeout_at"]) == started + timedelta(seconds=600)


async def test_a_retry_says_when_and_why(engine: Engine) -> None:
    """A step that waits for its next try says when that is due, how many tries it has, and what its last error was."""
    await engine.publish("a", backoff_base_ms=60_000, max_backoff_ms=60_000)
    task, session = await engine.submit(), await engine.session()
    await session.retry(*await session.claim())
    engine.advance(15)
    condition = await only(engine, task, "a")
    assert condition.kind == "retry"
    assert "after try 1 of 3: handler_error: it broke, in 45 s" in condition.said
    assert (condition.data["in_s"], condition.data["tries"], condition.data["max_attempts"]) == (45, 1, 3)
    assert condition.data["error"]["message"] == "it broke"
    engine.advance(60)
    assert "which has come" in (await only(engine, task, "a")).said


async def test_a_step_that_was_handed_back_has_no_error(engine: Engine) -> None:
    """A step that its worker handed back for a while waits for a time, and for no error."""
    await engine.publish("a")
    task, session = await engine.submit(), await engine.session()
    await session.release(*await session.claim(), delay_s=30)
    condition = await only(engine, task, "a")
    assert (condition.kind, condition.data["error"]) == ("retry", None)
    assert condition.said.startswith("was handed back")


async def test_a_task_for_later_says_when(engine: Engine) -> None:
    """A task that is to start later says when, and so do its first steps."""
    await engine.publish("a -> b")
    task = await engine.submit(delay_s=3600)
    condition = await only(engine, task, "a")
    assert (condition.kind, condition.data["in_s"]) == ("start", 3600)
    assert (await explain_task(engine.connection.raw, task, now=engine.clock.now)).said.startswith("the task starts at")


async def test_a_pause_names_who_and_why(engine: Engine) -> None:
    """Each step that a pause holds back says who paused the task, since when and why; what runs is not held back."""
    await engine.publish("a, b -> c")
    task, session = await engine.submit(), await engine.session()
    await session.claim(1)
    await engine.act("pause", task, actor="grace", reason="stock-taking")
    for step in ("b", "c"):
        paused = (await ask(engine, task, step))["paused"]
        assert (paused.data["by"], paused.data["reason"]) == ("grace", "stock-taking")
        assert datetime.fromisoformat(paused.data["since"]) == engine.clock.now
        assert "paused by grace" in paused.said
    assert set(await ask(engine, task, "a")) == {"granted"}
    assert set(await ask(engine, task, "c")) == {"parents", "paused"}
    assert (await explain_task(engine.connection.raw, task)).is_paused


async def test_what_a_failed_step_blocks_names_it(engine: Engine) -> None:
    """Every step below one that failed for good names it, however far below; others do not."""
    await engine.publish("a -> b -> c -> d; e -> d; x")
    task, session = await engine.submit(), await engine.session(["a", "e", "x"])
    grants = {grant.number: grant for grant in await session.claim()}
    numbers = {name: await engine.number(task, name) for name in "ae"}
    for name in "ae":
        await session.fail(grants[numbers[name]], error={"error_code": "NO", "message": "never\nagain"})
    failed = await only(engine, task, "a")
    assert (failed.kind, failed.said) == ("failed", "failed for good on try 1 of 3: NO: never again")
    assert failed.data["error"]["error_code"] == "NO"
    assert (await ask(engine, task, "b"))["blocked"].data == {"failed": ["a"]}
    assert (await ask(engine, task, "c"))["blocked"].said == "is blocked by a, which failed for good"
    assert sorted((await ask(engine, task, "d"))["blocked"].data["failed"]) == ["a", "e"]
    assert "blocked" not in await ask(engine, task, "x")
    await engine.act("resolve", task, "b")
    assert (await ask(engine, task, "d"))["blocked"].data == {"failed": ["e"]}


async def test_a_step_without_a_worker_says_who_is_there(engine: Engine) -> None:
    """Where no living worker has the handler, the step says what the others have, and when it will be given up."""
    await engine.publish("a -> b", queue="fast")
    task = await engine.submit()
    alone = await only(engine, task, "a")
    assert alone.kind == "no_worker"
    assert alone.said == 'no living worker has the handler "a" in queue "fast"; no worker runs at all'
    assert (alone.data["workers"], alone.data["fails_at"]) == ([], None)
    engine.advance(10)
    await engine.session(["b"], name="mill")
    engine.advance(20)
    condition = await only(engine, task, "a")
    assert 'queue "fast"; in this namespace mill has b; it fails with handler_not_found in 5 min' in condition.said
    (worker,) = condition.data["workers"]
    assert (worker["name"], worker["handlers"], worker["queues"]) == ("mill", ["b"], ["fast"])
    assert datetime.fromisoformat(condition.data["fails_at"]) == engine.clock.now + timedelta(seconds=280)
    await engine.publish("other", name="aside", namespace="elsewhere")
    far = await engine.submit()
    assert 'have no handler of namespace "elsewhere"' in (await only(engine, far, "other")).said


async def test_a_version_that_workers_lack_is_named(engine: Engine) -> None:
    """Where workers have every handler of another version of the template, the step says which."""
    await engine.publish("a -> b", version="1.0.0")
    await engine.publish("a2 -> b", version="2.0.0")
    task = await engine.submit()
    await engine.session(["a", "b"])
    condition = await only(engine, task, "a2")
    assert (condition.data["version"], condition.data["served_versions"]) == ("2.0.0", ["1.0.0"])
    assert "workers have all that version 1.0.0 needs, not version 2.0.0" in condition.said


async def test_a_ready_step_has_a_place_in_line(engine: Engine) -> None:
    """A ready step tells its place in its lane, who serves it, and how quickly that lane moved lately."""
    await engine.publish("a")
    tasks = await engine.submit_many(30)
    session = await engine.session()
    await session.beat(is_idle=True)
    first = await only(engine, tasks[0], "a")
    assert (first.kind, first.data["place"], first.data["per_s"]) == ("queue", 1, 0)
    assert first.said == 'is number 1 in line for handler "a" in queue "tests" (workers that serve it: 1, idle: 1)'
    await session.claim(10)
    engine.advance(5)
    last = await only(engine, tasks[-1], "a")
    assert (last.data["place"], last.data["per_s"], last.data["expected_s"]) == (20, 2, 10)
    assert "lately 2.00 a second were taken" in last.said
    engine.advance(600)
    assert (await only(engine, tasks[-1], "a")).data["per_s"] == 0


async def test_only_the_first_of_a_long_line_are_counted(engine: Engine) -> None:
    """In a long line only the first steps are looked at, some of each of its lanes; others are behind them."""
    await engine.publish("a")
    await engine.submit_many(3000)
    last = await engine.submit()
    await engine.session()
    rows = await engine.rows(
        """select w.* from tasker_engine.tasks t, tasker_engine.why_in_line(t, clock_timestamp(), 1000) w
           where t.task_id = $1""",
        last,
    )
    assert [(row["kind"], "behind the first 333" in row["said"]) for row in rows] == [("queue", True)]


async def test_a_suspect_runs_alone(engine: Engine) -> None:
    """A step that lost its worker says that it will run with nothing beside it."""
    await engine.forgive(0)
    await engine.publish("a")
    task, dying = await engine.submit(), await engine.session()
    await dying.claim()
    await dying.end(is_loss=True)
    await engine.session()
    condition = await only(engine, task, "a")
    assert condition.data["is_alone"]
    assert "nothing beside it" in condition.said


@pytest.mark.unchecked
async def test_a_step_in_no_line_is_lost(engine: Engine) -> None:
    """A ready step that lies in no lane names the command that mends it."""
    await engine.publish("a")
    task = await engine.submit()
    await engine.session()
    await engine.connection.raw.execute("delete from tasker_engine.ready")
    condition = await only(engine, task, "a")
    assert condition.kind == "lost"
    assert "tasker db doctor --repair" in condition.said


async def test_tasks_that_ended_wait_for_nothing(engine: Engine) -> None:
    """A task that has ended says so and has no open steps; unknown tasks are left out, or are an error."""
    await engine.publish("a")
    done, open_ = await engine.submit(), await engine.submit()
    session = await engine.session()
    await session.succeed(*await session.claim(1), room=0)
    ended, other = await explain_tasks(engine.connection.raw, [done, uuid7(), open_], now=engine.clock.now)
    assert (ended.task_uuid, ended.steps) == (done, ())
    assert ended.said.startswith("the task is complete since")
    assert [step.name for step in other.steps] == ["a"]
    with pytest.raises(TaskNotFound):
        await explain_task(engine.connection.raw, uuid7())


@pytest.mark.unchecked
async def test_a_large_task_is_explained_from_its_own_rows(engine: Engine, reader: Any) -> None:
    """For a task of many steps, a bounded number of rows a step is read, whatever else lies in the tables."""
    await engine.publish("; ".join(f"r{n} -> m{n} -> e{n}" for n in range(100)), name="wide", handler="work")
    await engine.publish("x -> y", name="other", handler="work")
    await engine.submit_many(2000, name="other")
    task = await engine.submit(name="wide")
    session = await engine.session(["work"], slots=50)
    await session.fail(*await session.claim())
    async with cost_of(type(engine.connection)(reader, engine.clock)) as cost:
        found = await explain_task(reader, task, now=engine.clock.now)
    assert len(found.steps) == 300
    assert all(step.conditions for step in found.steps)
    assert cost.total() < 300 * 60 + 10_000, cost.most_common(8)


async def test_a_batch_tells_how_far_it_is(engine: Engine) -> None:
    """A batch waits for its members, those past its width for their turn, and what follows for the batch alone."""
    run = await start(engine, 3, parallelism=2)
    found = await explain_task(engine.connection.raw, run.task, now=engine.clock.now)
    kinds = {step.name: [one.kind for one in step.conditions] for step in found.steps}
    assert kinds == {
        "work": ["batch"],
        "gather": ["parents"],
        "work_001": ["queue"],
        "work_002": ["queue"],
        "work_003": ["batch"],
    }
    said = {step.name: step.conditions[0] for step in found.steps}
    assert said["work"].said == "waits for 3 of its 3 members"
    assert said["work_003"].said == "waits for its turn in a batch of 3, of which 2 run at a time"
    assert said["gather"].data["parents"] == [{"name": "work", "number": 2, "state": "pending"}]


async def test_a_step_behind_a_breaker_names_it(engine: Engine) -> None:
    """Its system is down: until when, and how the step failed itself; it stands in no line. Others are not meant."""
    await engine.publish("a, b", a={"system_dependency": "gateway"})
    task, session = await engine.submit(), await engine.session()
    grants = {grant.number: grant for grant in await session.claim()}
    await session.retry(grants[1], retry_after_s=0)
    await session.release(grants[2])
    await breakers.act(engine, "open", options={"for_s": 60})
    engine.advance(1)
    await engine.sweep_all()
    condition = await only(engine, task, "a")
    until = engine.clock.now + timedelta(seconds=59)
    assert condition.kind == "breaker"
    assert condition.said == f'breaker "gateway" is open until {until:%Y-%m-%d %H:%M:%SZ}'
    assert datetime.fromisoformat(condition.data["open_until"]) == until
    assert {key: condition.data[key] for key in ("breaker", "state", "error")} == {
        "breaker": "gateway",
        "state": "open",
        "error": "it broke",
    }
    assert (await only(engine, task, "b")).kind == "queue"
