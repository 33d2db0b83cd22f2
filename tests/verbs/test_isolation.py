"""Verbs lock in one statement and read in the next, which is right under READ COMMITTED only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from support.engine import Engine
from support.session import Session

from tasker.model.errors import WrongIsolation
from tasker.store.verbs import Report

Call = Callable[[Engine, Session, UUID, Any], Awaitable[object]]

CALLS: dict[str, Call] = {
    "report": lambda e, s, _, c: e.verbs.report(c, s.number, Report(), [], s.serving, [1]),
    "claim": lambda e, s, _, c: e.verbs.claim(c, s.number, s.serving, [1], may_be_alone=False),
    "regrant": lambda e, s, _, c: e.verbs.regrant(c, s.number, []),
    "beat": lambda e, s, _, c: e.verbs.beat(c, s.number, is_idle=True, stale_outcomes=0, started=[], held=[]),
    "open_session": lambda e, _, __, c: e.verbs.open_session(c, uuid4(), "w", "h", 1, 15),
    "serve": lambda e, s, _, c: e.verbs.serve(c, s.number, ["a"], None),
    "end_session": lambda e, s, _, c: e.verbs.end_session(c, s.number, "why not", is_loss=False),
    "sweep": lambda e, _, __, c: e.verbs.sweep(c),
    "act": lambda e, _, t, c: e.verbs.act(c, uuid4(), "cancel", t, actor="ada"),
}


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
@pytest.mark.parametrize("verb", CALLS)
async def test_a_verb_refuses_another_level(engine: Engine, verb: str, isolation: str) -> None:
    """The refusal names the level that was met and the one that is needed, and nothing is written."""
    await engine.publish("a")
    task = await engine.submit()
    worker = await engine.session()
    other = await engine.connect()
    with pytest.raises(Exception, match=isolation.replace("_", " ").upper()) as caught:
        async with other.transaction(isolation=isolation):
            await CALLS[verb](engine, worker, task, other)
    assert isinstance(caught.value, WrongIsolation) or getattr(caught.value, "sqlstate", "") == "TK002"
    assert await engine.state(task) == "pending"
    assert await engine.count("acts") == 0
    assert await engine.count("sessions") == 1


async def test_a_database_whose_default_is_another_level_is_no_obstacle(engine: Engine) -> None:
    """Tasker's own connections ask for READ COMMITTED, whatever the database's default."""
    name = await engine.value("select quote_ident(current_database())")
    await engine.connection.execute(f"alter database {name} set default_transaction_isolation = 'repeatable read'")
    await engine.publish("a")
    fresh = await engine.connect()
    worker = await engine.session(connection=fresh)
    await engine.submit()
    assert len(await worker.claim()) == 1
