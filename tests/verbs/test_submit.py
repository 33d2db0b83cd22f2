"""What submit makes, and what it refuses before it writes anything."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from support.engine import Engine

from tasker.model.errors import IdentityConflict, InvalidInput, PayloadTooLarge, TaskerError, TemplateNotFound
from tasker.store.verbs import Submit

TABLES = ("tasks", "steps", "inputs", "ready", "due", "transitions", "identities")


async def _nothing_was_written(engine: Engine) -> None:
    assert {table: await engine.count(table) for table in TABLES} == dict.fromkeys(TABLES, 0)


async def _submit(engine: Engine, ids: list[UUID], contexts: list[str], options: list[str | None] | None = None) -> Any:
    return await engine.verbs.submit(engine.connection, Submit("tests", "flow", None, ids, contexts, options))


async def test_a_batch_is_answered_in_order(engine: Engine) -> None:
    """One call makes many tasks; the answers are in the order of the contexts."""
    await engine.publish("a, b -> c")
    ids = [engine.clock.uuid7() for _ in range(50)][::-1]
    answers = await _submit(engine, ids, [json.dumps({"n": n}) for n in range(50)])
    assert [(answer.task_id, answer.is_duplicate) for answer in answers] == [(task, False) for task in ids]
    assert json.loads(
        await engine.value("select context::text from tasker_engine.inputs where task_id = $1", ids[7])
    ) == {"n": 7}
    assert await engine.counters(ids[0]) == (3, 2, 0, 0)
    assert await engine.states(ids[0]) == {"a": "enqueued", "b": "enqueued", "c": "pending"}


async def test_ids_are_made_where_none_are_given(engine: Engine) -> None:
    """A caller in bare SQL may leave the ids to the engine; they are of version 7 and carry its time."""
    await engine.publish("a")
    query = "select task_id from tasker_engine.submit('tests', 'flow', null, null, array['{}'::jsonb, '{}'], null, $1)"
    made = [row["task_id"] for row in await engine.rows(query, engine.clock.now)]
    assert [task.version for task in made] == [7, 7]
    for task in made:
        assert await engine.value("select tasker_engine.uuid7_at($1)", task) == engine.clock.now


async def test_what_is_known_about_a_task_is_kept(engine: Engine) -> None:
    """Initiator, source, reason, tags and correlation ids are stored as they were given."""
    await engine.publish("a")
    given: dict[str, Any] = {
        "initiator": "ada",
        "source_system": "shop",
        "reason": "an order",
        "tags": ["x", "y"],
        "correlation_id": str(uuid4()),
        "parent_correlation_id": str(uuid4()),
        "priority": 7,
    }
    task = await engine.submit(**given)
    [row] = await engine.rows("select * from tasker_engine.inputs where task_id = $1", task)
    assert {key: str(row[key]) if key.endswith("_id") else row[key] for key in given} == given
    assert (await engine.task(task))["class"] == 4


@pytest.mark.parametrize(
    ("hours", "version"), [(0, 4), (-25, 7), (25, 7)], ids=["not version 7", "too long ago", "too far ahead"]
)
async def test_an_id_must_be_new_and_of_version_7(engine: Engine, hours: int, version: int) -> None:
    """Ids carry a time, by which tables stay in order: others are refused by name."""
    await engine.publish("a")
    engine.advance(hours * 3600)
    wrong = engine.clock.uuid7() if version == 7 else uuid4()
    engine.advance(-hours * 3600)
    with pytest.raises(InvalidInput, match=str(wrong)):
        await _submit(engine, [engine.clock.uuid7(), wrong], ["{}", "{}"])
    await _nothing_was_written(engine)


@pytest.mark.parametrize("context", ["[]", '"x"', "1", "null"])
async def test_a_context_is_an_object(engine: Engine, context: str) -> None:
    """Anything but a JSON object is refused."""
    await engine.publish("a")
    with pytest.raises(InvalidInput, match="JSON object"):
        await _submit(engine, [engine.clock.uuid7()], [context])
    await _nothing_was_written(engine)


async def test_a_context_has_a_size_limit(engine: Engine) -> None:
    """A context above the limit is refused with its size and what to do; the limit is a setting of the database."""
    await engine.publish("a")
    with pytest.raises(PayloadTooLarge, match="1048576"):
        await engine.submit({"text": "x" * 1_048_576})
    await engine.connection.execute("set tasker.input_bytes_max = 100")
    with pytest.raises(PayloadTooLarge, match="submit a reference"):
        await engine.submit({"text": "x" * 100})
    await _nothing_was_written(engine)
    await engine.submit({"text": "x" * 50})


async def test_an_unknown_option_is_refused(engine: Engine) -> None:
    """A misspelt option is an error, not ignored."""
    await engine.publish("a")
    with pytest.raises(InvalidInput, match='"priorty"'):
        await engine.submit(priorty=1)
    await _nothing_was_written(engine)


async def test_there_must_be_an_id_for_each_context(engine: Engine) -> None:
    """Arrays of different lengths are refused."""
    await engine.publish("a")
    with pytest.raises(InvalidInput, match="as many"):
        await _submit(engine, [engine.clock.uuid7()], ["{}", "{}"])
    with pytest.raises(InvalidInput, match="as many"):
        await _submit(engine, [engine.clock.uuid7()], ["{}"], [None, None])
    await _nothing_was_written(engine)


@pytest.mark.parametrize("asked", [("tests", "flaw", None), ("test", "flow", None), ("tests", "flow", "9.9.9")])
async def test_an_unknown_template_is_named(engine: Engine, asked: tuple[str, str, str | None]) -> None:
    """What is not published is refused with its full name and what to do."""
    await engine.publish("a")
    with pytest.raises(TemplateNotFound, match=f"{asked[0]}/{asked[1]}@{asked[2] or 'latest'}"):
        await engine.verbs.submit(engine.connection, Submit(*asked, [engine.clock.uuid7()], ["{}"], None))
    await _nothing_was_written(engine)


async def test_the_first_steps_of_a_task_come_before_the_next_tasks(engine: Engine) -> None:
    """A batch is worked off task by task, however many first steps each has."""
    await engine.publish("a, b, c -> d", handler="work")
    tasks = await engine.submit_many(20)
    worker = await engine.session(slots=3)
    for task in tasks:
        grants = await worker.claim()
        assert {grant.task_id for grant in grants} == {task}
        await worker.fail(*grants)


async def test_the_newest_version_is_taken(engine: Engine) -> None:
    """Without a version the highest one counts, as versions are ordered and not as text."""
    for version in ("1.9.0", "1.10.0", "1.10.0-rc1", "1.2.0"):
        await engine.publish("a", version=version)
    task = await engine.submit()
    query = (
        "select version from tasker_engine.tasks join tasker_engine.templates using (template_id) where task_id = $1"
    )
    assert await engine.value(query, task) == "1.10.0"
    assert await engine.value(query, await engine.submit(version="1.2.0")) == "1.2.0"


async def test_a_running_task_keeps_its_definition(engine: Engine) -> None:
    """A new revision of a version changes nothing for tasks that began with the one before."""
    await engine.publish("a -> b")
    old = await engine.submit()
    await engine.publish("a -> b -> c", force=True)
    new = await engine.submit()
    worker = await engine.session()
    await worker.work_off()
    assert await engine.states(old) == {"a": "complete", "b": "complete"}
    assert await engine.states(new) == {"a": "complete", "b": "complete", "c": "complete"}


async def test_an_id_that_was_used_for_another_content_is_a_conflict(engine: Engine) -> None:
    """A repeat must be the same: another context or another template under the same id is refused, and named."""
    await engine.publish("a", name="other")
    await engine.publish("a")
    task = await engine.submit({"n": 1})
    assert await engine.submit({"n": 1}, ids=[task]) == task
    for different in ({"context": {"n": 2}}, {"context": {"n": 1}, "name": "other"}):
        with pytest.raises(IdentityConflict) as caught:
            await engine.submit(different["context"], ids=[task], name=different.get("name"))  # type: ignore[arg-type]
        assert caught.value.task_uuid == task
    assert await engine.count("tasks") == 1


async def test_a_batch_is_made_as_a_whole_or_not_at_all(engine: Engine) -> None:
    """One wrong task of a batch leaves nothing of the others."""
    await engine.publish("a")
    with pytest.raises(TaskerError):
        await _submit(engine, [engine.clock.uuid7() for _ in range(3)], ["{}", "{}", "[]"])
    await _nothing_was_written(engine)
