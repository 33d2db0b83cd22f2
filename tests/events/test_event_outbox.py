"""The outbox: what an outcome tells is written with it, whoever decides the outcome, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from events_support import declared, outcomes, published
from support.costs import cost_of
from support.engine import Engine

from tasker.model.template import EventDeclaration

EACH = tuple(
    EventDeclaration(name=f"step.{condition}", condition=condition)
    for condition in ("success", "failure", "retryable_failure", "permanent_failure", "always")
)
BY_HAND = "resolved"
TOLD = {
    "success": ["step.success", "step.always"],
    "retryable_failure": ["step.failure", "step.retryable_failure", "step.always"],
    "permanent_failure": ["step.failure", "step.permanent_failure", "step.always"],
    BY_HAND: ["step.always"],
}


async def told(engine: Engine) -> list[tuple[str, int, list[str]]]:
    """Outcome, attempt and names of the events of each, in order."""
    found: list[tuple[str, int, list[str]]] = []
    for name, outcome, attempt in await outcomes(engine):
        if not found or found[-1][:2] != (outcome, attempt):
            found.append((outcome, attempt, []))
        found[-1][2].append(name)
    return found


def as_told(*wanted: tuple[str, int]) -> list[tuple[str, int, list[str]]]:
    return [(outcome, attempt, TOLD[outcome]) for outcome, attempt in wanted]


async def test_each_condition_tells_of_its_outcomes(engine: Engine) -> None:
    """Failures that are tried again are retryable, the one that ends the step is permanent, a success is a success."""
    await engine.publish("a", a={"publishes_events": EACH, "max_attempts": 2})
    tasks = await engine.submit_many(2)
    worker = await engine.session()
    first, second = sorted(await worker.claim(), key=lambda grant: tasks.index(grant.task_id))
    await worker.retry(first)
    await worker.succeed(second, result={"n": 1})
    engine.advance(5)
    await worker.retry(*await worker.claim())
    assert await told(engine) == as_told(("retryable_failure", 1), ("success", 1), ("permanent_failure", 2))
    events = await published(engine)
    assert [one.result for one in events if one.outcome == "success"] == [{"n": 1}, {"n": 1}]
    assert {one.error["message"] for one in events if one.error is not None} == {"it broke"}


async def test_what_was_handed_back_tells_nothing(engine: Engine) -> None:
    """At once or after a while: it was not an outcome."""
    await engine.publish("a", a={"publishes_events": EACH})
    await engine.submit_many(2)
    worker = await engine.session()
    first, second = await worker.claim()
    await worker.release(first)
    await worker.release(second, delay_s=5)
    assert await outcomes(engine) == []


async def test_a_stale_or_repeated_outcome_tells_nothing(engine: Engine) -> None:
    """Once is recorded, once is told."""
    await engine.publish("a", a={"publishes_events": EACH})
    await engine.submit()
    worker = await engine.session()
    (grant,) = await worker.claim()
    await worker.succeed(grant)
    await worker.succeed(grant)
    other = await engine.session()
    await other.fail(grant)
    assert await told(engine) == as_told(("success", 1))


async def test_an_overdue_attempt_is_told(engine: Engine) -> None:
    """Although the sweep found it, and no worker."""
    await engine.publish("a", a={"publishes_events": EACH, "timeout_seconds": 1, "max_attempts": 1})
    await engine.submit()
    worker = await engine.session(lease_s=1e6)
    await worker.beat(*await worker.claim())
    await engine.sweep_all()
    engine.advance(60)
    await engine.sweep_all()
    assert await told(engine) == as_told(("permanent_failure", 1))


async def test_a_step_that_lost_its_worker_for_good_is_told(engine: Engine) -> None:
    """One that runs again elsewhere is not: it has no outcome yet."""
    await engine.publish("a, b", a={"publishes_events": EACH, "max_attempts": 1}, b={"publishes_events": EACH})
    await engine.submit()
    worker = await engine.session()
    await worker.claim()
    await engine.verbs.end_session(engine.connection, worker.number, "killed", is_loss=True)
    assert await told(engine) == as_told(("permanent_failure", 1))
    assert [one.error["error_type"] for one in await published(engine) if one.error] == ["worker_lost"] * 3


async def test_a_step_that_nobody_can_run_is_told(engine: Engine) -> None:
    """When the sweep gives it up."""
    await engine.publish("a", a={"publishes_events": EACH})
    await engine.submit()
    await engine.session(["other"], lease_s=1e6)
    await engine.sweep_all()
    engine.advance(301)
    await engine.sweep_all()
    await engine.sweep_all()
    assert [outcome for outcome, _, _ in await told(engine)] == ["permanent_failure"]


async def test_operators_tell_what_they_decide(engine: Engine) -> None:
    """Completing by hand is a success with that result, resolving is told to `always` alone, a retry is no outcome."""
    await engine.publish("a, b", a={"publishes_events": EACH}, b={"publishes_events": EACH})
    task = await engine.submit()
    worker = await engine.session()
    await worker.fail(*await worker.claim())
    await engine.act("retry", task, "a")
    assert len(await told(engine)) == 1
    await engine.act("complete", task, "a", result={"by": "hand"})
    await engine.act("resolve", task, "b")
    assert [outcome for outcome, _, _ in await told(engine)] == ["permanent_failure", "success", "resolved"]
    assert [one.content for one in await published(engine)][-3:] == [{"by": "hand"}, {"by": "hand"}, None]


async def test_a_cancelled_task_tells_nothing(engine: Engine) -> None:
    """What ended without an outcome has nothing to tell."""
    await engine.publish("a", a={"publishes_events": EACH})
    task = await engine.submit()
    worker = await engine.session()
    grants = await worker.claim()
    await engine.act("cancel", task)
    await worker.succeed(*grants)
    assert await outcomes(engine) == []


def test_members_tell_and_their_batch_does_not(workflow: Any) -> None:
    """Each member of a batch is a step with an outcome; the batch itself only counts them."""
    flow = workflow(_mapped(), handlers={"cut": lambda context: {"ns": [1, 2, 3]}, "work": _work})
    done = flow.run()
    done.assert_events("part.done", "part.done", "part.done")
    assert [event.payload for event in done.events] == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert len({event.step_name for event in done.events}) == 3


def _work(context: Any) -> dict[str, Any]:
    return {"n": context.item}


def _mapped() -> str:
    return (
        "tasker: 1\nnamespace_name: n\nname: t\nversion: '1'\nsteps:\n- {name: cut, handler: cut}\n"
        "- {name: work, handler: work, dependencies: [cut], for_each: cut.ns, publishes_events: [part.done]}\n"
    )


async def test_the_event_is_written_with_its_outcome_or_not_at_all(engine: Engine) -> None:
    """A report that is undone has told nothing."""
    await engine.publish("a", a=declared("order.paid"))
    await engine.submit()
    connection = await engine.connect()
    worker = await engine.session(connection=connection)
    grants = await worker.claim()
    with pytest.raises(RuntimeError, match="undone"):
        async with connection.transaction(isolation="read_committed"):
            reply = await worker.succeed(*grants)
            assert [one.place for one in reply.told] == [0]
            raise RuntimeError("undone")
    assert await engine.count("events") == 0


async def test_the_answer_names_what_was_told(engine: Engine) -> None:
    """So that fast events go out at once; what goes through the outbox has the same id there."""
    events = [EventDeclaration(name=f"mode.{mode}", delivery_mode=mode) for mode in ("durable", "fast", "broadcast")]
    await engine.publish("a", a={"publishes_events": tuple(events)})
    await engine.submit()
    worker = await engine.session()
    told = (await worker.succeed(*await worker.claim())).told
    assert [(one.place, one.outcome) for one in told] == [(0, "success"), (1, "success"), (2, "success")]
    kept = await engine.rows("select name, event_id from tasker_engine.events order by seq")
    assert [tuple(row.values()) for row in kept] == [
        ("mode.durable", told[0].event_id),
        ("mode.broadcast", told[2].event_id),
    ]


async def test_a_template_without_events_pays_a_probe_of_an_empty_table(engine: Engine) -> None:
    """A report of steps that declare none writes none, and reads no row of what others declare."""
    await engine.publish("a", name="other", a=declared(*(f"order.x{n}" for n in range(50))))
    await engine.publish("a")
    await engine.submit_many(20)
    worker = await engine.session()
    grants = await worker.claim()
    async with cost_of(worker.connection) as cost:
        await worker.succeed(*grants)
    assert await engine.count("events") == 0
    assert not [name for name in cost if name.startswith(("template_events", "events"))], cost
