"""A system that is down, for tests of breakers: templates whose steps depend on `gateway`, and what becomes of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from support.engine import Engine
from support.session import ERROR, Session, passing_fault
from tasker.model.breaker import BreakerInfo, BreakerMove
from tasker.store.breakers import Breakers

DOWN = {**ERROR, "is_dependency_failure": True}
_breakers = Breakers()


async def publish(engine: Engine, graph: str = "a", **options: Any) -> None:
    """A template whose steps depend on the gateway."""
    made: dict[str, Any] = {"system_dependency": "gateway", "max_attempts": 10, **options}
    await engine.publish(graph, **made)


async def gateway(engine: Engine) -> BreakerInfo:
    """Its breaker."""
    return await _breakers.one(engine.connection, "gateway", now=engine.clock.now)


async def history(engine: Engine) -> list[BreakerMove]:
    """What happened to it, the newest first."""
    return await _breakers.history(engine.connection, "gateway")


async def act(
    engine: Engine, action: Any, /, *, name: str = "gateway", act_id: UUID | None = None, options: Any = None
) -> None:
    """What an operator does to it."""
    await _breakers.act(
        engine.connection,
        act_id or uuid4(),
        action,
        name,
        options or {},
        actor="ada",
        reason="the test asks for it",
    )


async def go_down(engine: Engine, worker: Session, failures: int = 5) -> None:
    """So many tasks fail for the gateway's sake, one after the other; they are tried again in an hour."""
    await engine.submit_many(failures)
    for grant in await worker.claim(failures):
        await worker.report((grant, passing_fault(3600, DOWN)), room=0)


async def half_open(engine: Engine) -> None:
    """The time of an open breaker goes by."""
    engine.advance((await gateway(engine)).for_s or 0)
    await engine.sweep_all()
    assert (await gateway(engine)).state == "half_open"
