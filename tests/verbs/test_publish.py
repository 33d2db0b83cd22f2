"""Publishing a template: once, immutable, and quick."""

from __future__ import annotations

import asyncio

import pytest
from support.engine import Engine
from support.templates import template

from tasker.model.errors import TemplateConflict
from tasker.templates.publishing import publish


async def test_publishing_twice_is_publishing_once(engine: Engine) -> None:
    """The same content under the same version changes nothing and answers the same id."""
    made = template("a -> b")
    first = await publish(engine.connection, engine.verbs, made)
    again = await publish(engine.connection, engine.verbs, made)
    assert (first.is_new, again.is_new, again.template_id) == (True, False, first.template_id)
    assert await engine.count("templates") == 1


async def test_other_content_under_the_same_version_is_refused(engine: Engine) -> None:
    """The error says what differs, and the published version stays."""
    await engine.publish("a -> b")
    with pytest.raises(TemplateConflict, match=r"tests/flow@1\.0\.0 .*timeout_seconds"):
        await engine.publish("a -> b", b={"timeout_seconds": 5})
    assert await engine.count("templates") == 1


async def test_by_force_it_becomes_a_new_revision(engine: Engine) -> None:
    """In development other content may replace a version; new tasks take it."""
    await engine.publish("a")
    await engine.publish("a -> b", force=True)
    task = await engine.submit()
    assert await engine.states(task) == {"a": "enqueued", "b": "pending"}
    assert await engine.value("select max(revision) from tasker_engine.templates") == 2


async def test_many_processes_may_publish_at_once(engine: Engine) -> None:
    """Ten processes that start together with the same templates publish each once, and none fails."""
    made = [template("a -> b; c", name=f"flow{n}", b={"queue": "slow"}) for n in range(4)]
    connections = [await engine.connect() for _ in range(10)]

    async def start(place: int) -> list[bool]:
        order = made[place % 4 :] + made[: place % 4]
        return [(await publish(connections[place], engine.verbs, one)).is_new for one in order]

    news = await asyncio.gather(*(start(place) for place in range(10)))
    assert sum(is_new for process in news for is_new in process) == 4
    assert await engine.count("templates") == 4
    assert await engine.count("channels") == 3


async def test_only_first_steps_have_lanes_for_new_tasks(engine: Engine) -> None:
    """A claim looks at no lane in which nothing can ever lie."""
    await engine.publish("a -> b")
    query = """select c.handler, l.kind from tasker_engine.lanes l join tasker_engine.channels c using (channel_id)
               group by 1, 2 having count(*) = 5 order by 1, 2"""
    found = [(row["handler"], row["kind"]) for row in await engine.rows(query)]
    assert found == [("a", 0), ("a", 1), ("a", 2), ("b", 1), ("b", 2)]


async def test_a_worker_learns_of_new_templates_by_announcing_again(engine: Engine) -> None:
    """What was published after a session began is served once it announces its handlers again."""
    await engine.publish("a", name="early")
    worker = await engine.session(["a", "later"])
    await engine.publish("later", name="late")
    await engine.submit(name="late")
    assert await worker.claim() == []
    await worker.serve(["a", "later"])
    assert len(await worker.claim()) == 1


async def test_ten_thousand_steps_can_be_published(engine: Engine) -> None:
    """On a worker's connection too, whose plans are pinned."""
    wide = "a -> " + ", ".join(f"c{n}" for n in range(10_000)) + " -> z"
    await engine.connection.execute("set statement_timeout = '20s'")
    await engine.publish(wide, handler="work")
    task = await engine.submit()
    assert (await engine.counters(task))[0] == 10_002
