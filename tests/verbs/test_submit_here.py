"""A process that submits and has nothing to do starts its tasks in the same call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest
from support.engine import Engine

from tasker.model.errors import IdentityConflict, TemplateNotFound
from tasker.store.replies import Reply


def _ids(engine: Engine, count: int) -> list[UUID]:
    return [engine.clock.uuid7() for _ in range(count)]


def _granted(reply: Reply) -> Sequence[tuple[UUID, int, int]]:
    return [(grant.task_id, grant.number, grant.attempt) for grant in reply.grants]


async def test_the_first_steps_are_granted_at_once(engine: Engine) -> None:
    """They come with their inputs, never wait for a claim, and their history says what happened."""
    await engine.publish("a, b -> c")
    worker = await engine.session()
    ids = _ids(engine, 2)
    reply = await worker.submit_here(*ids, context='{"n": 7}')
    assert [(made.task_id, made.is_duplicate) for made in reply.submitted] == [(task, False) for task in ids]
    assert sorted(_granted(reply)) == sorted((task, number, 1) for task in ids for number in (1, 2))
    assert reply.inputs == dict.fromkeys(ids, '{"n": 7}')
    assert await engine.count("ready") == 0
    assert await engine.state(ids[0]) == "steps_in_process"
    assert await engine.history(ids[0], "a") == [("pending", "in_progress")]
    assert await worker.work_off() == 6
    assert {await engine.state(task) for task in ids} == {"complete"}


async def test_what_does_not_fit_waits_for_a_claim(engine: Engine) -> None:
    """Of more steps than there are slots the first are granted, and anybody may claim the others."""
    await engine.publish("a")
    worker, other = await engine.session(slots=3), await engine.session()
    ids = _ids(engine, 5)
    reply = await worker.submit_here(*ids)
    assert [task for task, _, _ in _granted(reply)] == ids[:3]
    assert [grant.task_id for grant in await other.claim()] == ids[3:]


async def test_what_the_session_does_not_serve_is_left_to_others(engine: Engine) -> None:
    """Steps of handlers that it lacks lie ready."""
    await engine.publish("a, b")
    worker = await engine.session(["a"])
    [task] = _ids(engine, 1)
    assert _granted(await worker.submit_here(task)) == [(task, 1, 1)]
    assert [grant.number for grant in await (await engine.session(["b"])).claim()] == [2]


async def test_what_others_have_made_ready_is_not_touched(engine: Engine) -> None:
    """Only the caller's own tasks are granted: claims, which are fair, do the rest."""
    await engine.publish("a")
    older = await engine.submit()
    worker = await engine.session()
    [task] = _ids(engine, 1)
    assert _granted(await worker.submit_here(task)) == [(task, 1, 1)]
    assert [grant.task_id for grant in await worker.claim()] == [older]


async def test_a_task_that_starts_later_waits_for_its_time(engine: Engine) -> None:
    """A delay holds here too, and a priority does not hinder."""
    await engine.publish("a")
    worker = await engine.session()
    late, urgent = _ids(engine, 2)
    assert _granted(await worker.submit_here(late, option='{"delay_s": 5}')) == []
    assert _granted(await worker.submit_here(urgent, option='{"priority": 2}')) == [(urgent, 1, 1)]
    engine.clock.advance(5)
    assert [grant.task_id for grant in await worker.claim()] == [late]


async def test_a_lost_reply_is_made_good(engine: Engine) -> None:
    """Who repeats it with the same ids makes no second task; what was granted comes back by regrant."""
    await engine.publish("a")
    worker = await engine.session()
    [task] = _ids(engine, 1)
    known = worker.remember()
    await worker.submit_here(task)
    worker.recall(known)
    again = await worker.submit_here(task)
    assert [(made.task_id, made.is_duplicate) for made in again.submitted] == [(task, True)]
    assert _granted(again) == []
    assert _granted(await worker.regrant()) == [(task, 1, 1)]
    await worker.work_off()
    assert await engine.state(task) == "complete"


async def test_an_ended_session_submits_and_is_granted_nothing(engine: Engine) -> None:
    """The tasks are there for others."""
    await engine.publish("a")
    worker = await engine.session()
    await worker.end()
    [task] = _ids(engine, 1)
    reply = await worker.submit_here(task)
    assert reply.session_ended
    assert [made.task_id for made in reply.submitted] == [task]
    assert _granted(reply) == []
    assert [grant.task_id for grant in await (await engine.session()).claim()] == [task]


async def test_a_key_that_is_taken_is_answered_as_ever(engine: Engine) -> None:
    """A repeat names the task that there is and starts nothing; other content is a conflict that leaves no trace."""
    await engine.publish("a")
    worker = await engine.session()
    first, second, third = _ids(engine, 3)
    await worker.submit_here(first, option='{"idempotency_key": "k"}')
    repeat = await worker.submit_here(second, option='{"idempotency_key": "k"}')
    assert [(made.task_id, made.is_duplicate) for made in repeat.submitted] == [(first, True)]
    assert _granted(repeat) == []
    with pytest.raises(IdentityConflict):
        await worker.submit_here(third, context='{"n": 1}', option='{"idempotency_key": "k"}')
    assert await engine.count("tasks") == 1


async def test_what_is_refused_leaves_the_session_as_it_was(engine: Engine) -> None:
    """A template that nobody knows is an error for the submitter alone."""
    await engine.publish("a")
    worker = await engine.session()
    engine.templates["flow"] = replace(engine.templates["flow"], name="flaw")
    with pytest.raises(TemplateNotFound):
        await worker.submit_here(*_ids(engine, 1))
    assert await engine.count("tasks") == 0
    assert await worker.claim() == []
