"""Templates, worker processes and queues as they are read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.engine import Engine
from support.templates import template

from tasker.model.errors import TemplateNotFound
from tasker.store.reads import Reads
from tasker.templates import from_definition


async def test_templates_come_with_their_newest_version_first(engine: Engine, reads: Reads, reader: Any) -> None:
    """Versions sort as versions do, not as text; a version counts once, at its newest revision."""
    for version in ("1.9.0", "1.10.0", "1.10.0-rc1", "1.2.0"):
        await engine.publish("a -> b", version=version)
    await engine.publish("a -> b -> c", version="1.9.0", force=True)
    await engine.publish("a", name="other", namespace="aside")
    listed = await reads.templates(reader)
    assert [(t.namespace, t.name, t.version, t.revision, t.step_count) for t in listed] == [
        ("aside", "other", "1.0.0", 1, 1),
        ("tests", "flow", "1.10.0", 1, 2),
        ("tests", "flow", "1.10.0-rc1", 1, 2),
        ("tests", "flow", "1.9.0", 2, 3),
        ("tests", "flow", "1.2.0", 1, 2),
    ]
    assert [t.version for t in await reads.templates(reader, name="flow", only_newest=True)] == ["1.10.0"]
    assert await reads.templates(reader, namespace="nowhere") == []


async def test_a_definition_is_the_template(engine: Engine, reads: Reads, reader: Any) -> None:
    """The definition that is read is the template that was published; without a version it is the newest."""
    await engine.publish("a -> b", version="1.0.0")
    newest = await engine.publish("a -> b -> c", version="2.0.0")
    assert from_definition((await reads.template(reader, "tests", "flow")).definition) == newest
    old = await reads.template(reader, "tests", "flow", "1.0.0")
    assert from_definition(old.definition) == template("a -> b", version="1.0.0")
    with pytest.raises(TemplateNotFound, match=r"tests/flow@3\.0\.0.*tasker template list"):
        await reads.template(reader, "tests", "flow", "3.0.0")


async def test_sessions_say_what_they_do(engine: Engine, reads: Reads, reader: Any) -> None:
    """A living session tells what it serves and holds; an ended one only shows when asked for."""
    await engine.publish("a, b -> c", queue="fast")
    await engine.submit_many(3)
    session = await engine.session(["a"], name="mill", pid=12)
    await session.claim(2)
    await session.beat(is_idle=True, stale=3)
    (living,) = await reads.sessions(reader)
    assert (living.session_uuid, living.name, living.host, living.pid) == (session.uuid, "mill", "host", 12)
    assert (living.handlers, living.queues, living.held) == (("a",), ("fast",), 2)
    assert (living.is_idle, living.stale_outcomes, living.ended_at) == (True, 3, None)
    await session.end("the test ends it", is_loss=True)
    engine.advance(1)
    assert await reads.sessions(reader, now=engine.clock.now) == []
    (ended,) = await reads.sessions(reader, ended_within_s=2, now=engine.clock.now)
    assert (ended.end_reason, ended.is_loss, ended.held) == ("the test ends it", True, 0)


async def test_stats_count_what_lies_where(engine: Engine, reads: Reads, reader: Any) -> None:
    """Stats count tasks by state, ready steps by channel, steps that wait for a time, and sessions; up to a limit."""
    await engine.publish("a -> b")
    await engine.submit_many(5)
    later = await engine.submit(delay_s=3600)
    session = await engine.session(["a"])
    await session.succeed(*await session.claim(2))
    await session.beat(is_idle=True)
    await engine.act("cancel", later)
    stats = await reads.stats(reader)
    assert stats.tasks == {"pending": 3, "steps_in_process": 2, "cancelled": 1}
    assert {c.handler: (c.ready, c.sessions) for c in stats.channels} == {"a": (3, 1), "b": (2, 0)}
    assert (stats.sessions, stats.idle_sessions) == (1, 1)
    bounded = await reads.stats(reader, count_max=2)
    assert bounded.tasks == {"pending": 2, "steps_in_process": 2, "cancelled": 1}
    assert {c.handler: c.ready for c in bounded.channels} == {"a": 2, "b": 2}


async def test_a_channel_tells_how_long_its_oldest_step_waits(engine: Engine, reads: Reads, reader: Any) -> None:
    """The age of a channel is that of the oldest task that waits in it."""
    await engine.publish("a")
    engine.clock.now -= timedelta(hours=1)
    await engine.submit()
    engine.clock.now += timedelta(hours=1)
    await engine.submit()
    (channel,) = (await reads.stats(reader)).channels
    assert channel.oldest_s == pytest.approx(3600, abs=60)
