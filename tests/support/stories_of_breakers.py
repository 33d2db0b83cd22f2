"""Small stories of a system that is down; they end well on a sound engine."""

from __future__ import annotations

from support.breakers import DOWN, gateway, go_down, half_open, publish
from support.engine import Engine
from support.session import passing_fault


async def a_system_is_down(engine: Engine) -> None:
    """It fails five times; a while later there are workers, and work that needs it."""
    await publish(engine, "a -> b", b={"system_dependency": None})
    worker = await engine.session()
    await go_down(engine, worker)
    await engine.submit_many(3)
    engine.advance(10)
    await worker.claim()


async def a_successor_needs_it(engine: Engine) -> None:
    """A step ends whose child needs a system that has been down for a while."""
    await publish(engine, "a", name="down")
    worker = await engine.session()
    await engine.publish("x -> y", name="chain", y={"system_dependency": "gateway"})
    other = await engine.session(["x", "y"])
    task = await engine.submit(name="chain")
    [first] = await other.claim()
    engine.templates["down"] = engine.templates.pop("down")  # what go_down submits
    await go_down(engine, worker)
    engine.advance(10)
    await other.succeed(first)
    assert await engine.state(task, "x") == "complete"


async def two_workers_probe(engine: Engine) -> None:
    """Its time is over, and two workers look for work."""
    await publish(engine)
    one, other = await engine.session(), await engine.session()
    await go_down(engine, one)
    await engine.submit_many(5)
    await half_open(engine)
    engine.advance(5)
    await one.claim()
    await other.claim()


async def it_comes_back(engine: Engine) -> None:
    """Two probes succeed."""
    await publish(engine)
    worker = await engine.session()
    await go_down(engine, worker)
    await engine.submit_many(2)
    await half_open(engine)
    for _ in range(2):
        await worker.succeed(*await worker.claim(), room=0)
    assert (await gateway(engine)).state == "closed"


async def what_is_over_fails(engine: Engine) -> None:
    """Steps that began before it went down and came back fail for its sake."""
    await publish(engine)
    worker = await engine.session()
    await engine.submit_many(5)
    old = await worker.claim()
    await go_down(engine, worker)
    await engine.submit_many(2)
    await half_open(engine)
    for probe in [*await worker.claim()]:
        await worker.succeed(probe, room=0)
    await worker.succeed(*await worker.claim(), room=0)
    engine.advance(1)
    await worker.report(*((grant, passing_fault(86_400, DOWN)) for grant in old), room=0)
    assert (await gateway(engine)).failures == 0
