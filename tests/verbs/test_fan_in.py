"""How steps that wait for others are set free."""

from __future__ import annotations

from support.engine import Engine


async def test_a_child_starts_when_its_last_parent_is_complete(engine: Engine) -> None:
    """A step with several parents becomes ready with the last of them, and not before."""
    await engine.publish("a -> b, c -> d")
    task = await engine.submit()
    worker = await engine.session()
    [a] = await worker.claim()
    b, c = (await worker.succeed(a)).grants
    await worker.succeed(b)
    assert (await engine.states(task))["d"] == "pending"
    [d] = (await worker.succeed(c)).grants
    reply = await worker.succeed(d)
    assert reply.ended == [(task, "complete")]
    assert await engine.counters(task) == (0, 0, 0, 0)
