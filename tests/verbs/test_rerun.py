"""Running a task again from a step, as a fork: what is copied, what runs, and what decisions mean for it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from support.batch_play import Run, fails, parts
from support.engine import Engine
from support.session import success
from support.templates import template

from tasker.model.errors import (
    ActionForbidden,
    IdentityConflict,
    InvalidInput,
    StepNotFound,
    TaskNotFound,
)
from tasker.model.ids import uuid7
from tasker.model.outcome import decided, expanded
from tasker.model.template import BatchConfig
from tasker.store.asking import ask
from tasker.store.reruns import lineage, plan_rerun, rerun


async def fork(engine: Engine, task: UUID, step: str, **options: Any) -> UUID:
    """A rerun from a step."""
    number = await engine.number(task, step)
    return await rerun(engine.connection, engine.clock.uuid7(), task, number, actor="ada", **options)


async def planned(engine: Engine, task: UUID, step: str) -> dict[str, str]:
    """What a rerun would do with each step."""
    number = await engine.number(task, step)
    return {each.name: each.what for each in await plan_rerun(engine.connection.raw, task, number)}


async def worked_off(engine: Engine, result: Any, **options: Any) -> UUID:
    """A task all of whose steps are complete, with this result."""
    task = await engine.submit(**options)
    await (await engine.session()).work_off(result)
    return task


async def test_what_lies_above_is_copied_and_the_rest_runs_again(engine: Engine) -> None:
    """A fork has the results of what is not below the step; the step and all below it run again; the origin stays."""
    await engine.publish("a -> b -> c; a -> d -> e")
    task = await worked_off(engine, {"n": 1}, context={"order": 7})
    before = await engine.rows("select * from tasker_engine.steps where task_id = $1 order by number", task)
    assert await planned(engine, task, "b") == {"a": "copied", "b": "again", "c": "again", "d": "copied", "e": "copied"}
    new = await fork(engine, task, "b", reason="the price was wrong")
    assert await engine.states(new) == {
        "a": "complete",
        "b": "enqueued",
        "c": "pending",
        "d": "complete",
        "e": "complete",
    }
    assert (await engine.step(new, "a"))["result"] == {"n": 1}
    assert await engine.counters(new) == (2, 1, 0, 0)
    assert await engine.history(new, "a") == [("pending", "complete")]
    session = await engine.session()
    reply = await session.claim_reply()
    assert [grant.number for grant in reply.grants] == [await engine.number(new, "b")]
    assert json.loads(reply.inputs[new]) == {"order": 7}
    assert json.loads(reply.results[new][1]) == {"n": 1}
    await session.work_off({"n": 2})
    assert await engine.state(new) == "complete"
    assert [(await engine.step(new, name))["result"]["n"] for name in "abc"] == [1, 2, 2]
    assert await engine.rows("select * from tasker_engine.steps where task_id = $1 order by number", task) == before


async def test_what_was_not_done_runs_as_it_would_have(engine: Engine) -> None:
    """Of a task that failed, steps that are not below the one that is rerun and were not done run as well."""
    await engine.publish("a -> b; x -> y")
    task, session = await engine.submit(), await engine.session(["a", "x"])
    grants = sorted(await session.claim(), key=lambda grant: grant.number)
    await session.succeed(grants[0])
    await session.fail(grants[1])
    assert await planned(engine, task, "b") == {"a": "copied", "b": "again", "x": "run", "y": "run"}
    new = await fork(engine, task, "b")
    assert await engine.states(new) == {"a": "complete", "b": "enqueued", "x": "enqueued", "y": "pending"}
    await session.end()
    await (await engine.session()).work_off()
    assert await engine.state(new) == "complete"
    assert await engine.state(task, "x") == "error"


async def test_the_input_may_be_edited(engine: Engine) -> None:
    """A fork has the origin's input, a new one, or single keys put over it; fields that tasks are found by follow."""
    await engine.publish(replace(template("a -> b"), search_fields=("order",)))
    task = await worked_off(engine, 1, context={"order": 7, "note": "x"}, priority=1, tags=["t"], initiator="shop")

    async def row(new: UUID) -> dict[str, Any]:
        query = (
            "select context, priority, tags, initiator, idempotency_key from tasker_engine.inputs where task_id = $1"
        )
        (found,) = await engine.rows(query, new)
        return {**found, "context": json.loads(found["context"])}

    same = await row(await fork(engine, task, "a"))
    assert same == {**(await row(task)), "idempotency_key": None}
    assert (await row(await fork(engine, task, "a", patch={"order": 8})))["context"] == {"order": 8, "note": "x"}
    assert (await row(await fork(engine, task, "a", context={"order": 9})))["context"] == {"order": 9}
    values = await engine.rows("select value from tasker_engine.task_fields order by value")
    assert [one["value"] for one in values] == ["7", "7", "8", "9"]
    with pytest.raises(InvalidInput, match="JSON object"):
        await ask(engine.connection, "rerun($1, $2, 1, 'ada', null, '[]'::jsonb)", engine.clock.uuid7(), task)


async def test_a_repeat_makes_one_fork(engine: Engine) -> None:
    """The same id again answers the same task; another task's id is a conflict."""
    await engine.publish("a -> b")
    task = await worked_off(engine, 1)
    new = engine.clock.uuid7()
    for _ in range(2):
        assert await rerun(engine.connection, new, task, 1, actor="ada") == new
    assert await engine.count("tasks") == 2
    with pytest.raises(IdentityConflict):
        await rerun(engine.connection, new, task, 2, actor="ada")
    assert await engine.rows("select actor, action from tasker_engine.acts") == [{"actor": "ada", "action": "rerun"}]


async def test_lineage_has_the_whole_family(engine: Engine) -> None:
    """Each of a family of forks tells where all of them come from, and why."""
    await engine.publish("a -> b")
    task = await worked_off(engine, 1)
    child = await fork(engine, task, "b", reason="once more")
    engine.advance(1)
    other = await fork(engine, task, "a", patch={"x": 1})
    engine.advance(1)
    grandchild = await fork(engine, child, "b")
    for one in (task, child, other, grandchild):
        found = await lineage(engine.connection.raw, one)
        assert [(f.task_uuid, f.origin_uuid, f.from_step, f.is_edited, f.copied) for f in found] == [
            (child, task, "b", False, 1),
            (other, task, "a", True, 0),
            (grandchild, child, "b", False, 1),
        ]
    assert found[0].reason == "once more"
    assert await lineage(engine.connection.raw, await engine.submit()) == []


def choice(*names: str) -> Any:
    """What a decision says."""
    return decided(json.dumps({"decision_point_outcome": {"type": "create_steps", "step_names": list(names)}}))


async def decision(engine: Engine) -> UUID:
    """A task whose decision chose `left`, all of which is done."""
    await engine.publish(
        "a -> pick -> left, right; left -> left2; left2, right -> join",
        pick={"type": "decision"},
        join={"type": "deferred_convergence"},
    )
    task, session = await engine.submit(), await engine.session()
    await decide(engine, session, task, "left")
    return task


async def decide(engine: Engine, session: Any, task: UUID, *names: str) -> None:
    """Works a task off, whose decision chooses these."""
    pick = await engine.number(task, "pick")
    while grants := (list(session.held.values()) or await session.claim()):
        await session.report(*((g, choice(*names) if g.number == pick else success(g.number)) for g in grants))


async def test_a_copied_decision_still_excludes_what_it_did(engine: Engine) -> None:
    """Below a decision that is copied only what it chose can run again; what it did not choose cannot be rerun."""
    task = await decision(engine)
    assert await planned(engine, task, "left2") == {
        "a": "copied", "pick": "copied", "left": "copied", "right": "not_taken", "left2": "again", "join": "again",
    }  # fmt: skip
    new = await fork(engine, task, "left2")
    assert await engine.states(new) == {
        "a": "complete", "pick": "complete", "left": "complete", "left2": "enqueued", "join": "pending",
    }  # fmt: skip
    await (await engine.session()).work_off()
    assert await engine.state(new) == "complete"
    with pytest.raises(ActionForbidden, match="not taken"):
        await fork(engine, task, "right")


async def test_a_decision_that_runs_again_may_choose_otherwise(engine: Engine) -> None:
    """Rerun from a decision, everything below it is open again."""
    task = await decision(engine)
    assert (await planned(engine, task, "pick"))["right"] == "undecided"
    new = await fork(engine, task, "pick")
    await decide(engine, await engine.session(), new, "right")
    assert await engine.states(new) == {"a": "complete", "pick": "complete", "right": "complete", "join": "complete"}
    assert await engine.state(new) == "complete"


async def batch(engine: Engine) -> Run:
    """A task whose batch of three is cut."""
    made = template(
        "cut -> work -> gather",
        cut={"type": "batchable"},
        work={"type": "batch_worker", "batch_config": BatchConfig(parallelism=2), "max_attempts": 1},
        gather={"type": "deferred_convergence"},
    )
    await engine.publish(made)
    run = Run(engine, await engine.session(slots=1000), await engine.submit())
    await run.cut(parts(3))
    return run


async def test_batches_are_copied_or_run_again(engine: Engine) -> None:
    """A batch that is done is copied with its members; rerun, it works on the same parts; from above, on new ones."""
    run = await batch(engine)
    while await engine.state(run.task) != "complete":
        await run.all_at_once()
    after = Run(engine, run.worker, await fork(engine, run.task, "gather"))
    assert await engine.members(after.task, "work") == dict.fromkeys(("001", "002", "003"), "complete")
    await after.all_at_once()
    assert await engine.state(after.task) == "complete"
    again = Run(engine, run.worker, await fork(engine, run.task, "work"))
    assert (await engine.state(again.task, "cut"), await engine.state(again.task, "work")) == ("complete", "enqueued")
    [grant] = await run.worker.claim()
    await run.worker.report((grant, expanded()))
    while await engine.state(again.task) != "complete":
        await again.all_at_once()
    assert (await engine.step(again.task, "work"))["result"]["succeeded"] == 3
    anew = Run(engine, run.worker, await fork(engine, run.task, "cut"))
    await anew.cut(parts(2))
    while await engine.state(anew.task) != "complete":
        await anew.all_at_once()
    assert (await engine.step(anew.task, "work"))["result"]["total"] == 2


async def test_a_batch_with_failures_is_not_copied(engine: Engine) -> None:
    """What lies below a batch some of whose members failed is rerun from the batch, or from above."""
    run = await batch(engine)
    await run.all_at_once(fails(1))
    while await engine.state(run.task, "gather") != "complete":
        await run.all_at_once()
    with pytest.raises(ActionForbidden, match=r'batch "work".*from it, or from above'):
        await fork(engine, run.task, "gather")
    member = await engine.value("select number from tasker_engine.steps where number >= 65536 limit 1")
    with pytest.raises(ActionForbidden, match="member"):
        await rerun(engine.connection, engine.clock.uuid7(), run.task, member, actor="ada")
    await fork(engine, run.task, "work")


async def test_what_is_not_there_is_not_rerun(engine: Engine) -> None:
    """Unknown tasks and steps, and ids that no task may have, are refused, and nothing is written."""
    await engine.publish("a -> b")
    task = await worked_off(engine, 1)
    connection = engine.connection
    with pytest.raises(TaskNotFound):
        await rerun(connection, engine.clock.uuid7(), uuid7(), 1, actor="ada")
    with pytest.raises(TaskNotFound):
        await plan_rerun(connection.raw, uuid7(), 1)
    with pytest.raises(StepNotFound):
        await rerun(connection, engine.clock.uuid7(), task, 9, actor="ada")
    with pytest.raises(InvalidInput, match="version 7"):
        await rerun(connection, UUID(int=7), task, 1, actor="ada")
    assert await engine.count("tasks") == 1
