"""What operators do to breakers, and what they see of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from support.breakers import act, gateway, go_down, half_open, history, publish
from support.engine import Engine

from tasker.model.errors import ActionForbidden, BreakerNotFound, InvalidInput


async def test_an_operators_action_is_recorded_once(engine: Engine) -> None:
    """History has actor and reason; the same id again does nothing again."""
    await publish(engine)
    act_id = uuid4()
    for _ in range(2):
        await act(engine, "open", act_id=act_id, options={"for_s": 60})
    await act(engine, "set", options={"probes": 2, "reset_s": 5})
    await act(engine, "reset")
    moves = await history(engine)
    assert [(move.seq, move.from_state, move.to_state, move.actor) for move in moves] == [
        (3, "open", "closed", "ada"),
        (2, "open", "open", "ada"),
        (1, "closed", "open", "ada"),
    ]
    assert moves[0].reason == "the test asks for it"
    assert (moves[2].detail or {})["for_s"] == 60
    found = await gateway(engine)
    assert (found.probes, found.reset_s, found.failure_threshold) == (2, 5, 5)


async def test_the_history_tells_what_happened_by_itself(engine: Engine) -> None:
    """Each move of the breaker has its time; nobody's name stands beside it."""
    await publish(engine)
    worker = await engine.session()
    await go_down(engine, worker)
    await engine.submit_many(2)
    await half_open(engine)
    for _ in range(2):
        await worker.succeed(*await worker.claim(), room=0)
    moves = await history(engine)
    assert [move.to_state for move in moves] == ["closed", "half_open", "open"]
    assert {move.actor for move in moves} == {None}
    assert moves[1].at - moves[2].at == timedelta(seconds=30)


@pytest.mark.parametrize(
    ("action", "options"),
    [
        ("open", {"for_s": 0}),
        ("open", {"for_s": "soon"}),
        ("open", {"probes": 1}),
        ("reset", {"for_s": 1}),
        ("set", {}),
        ("set", {"probes": 0}),
        ("set", {"probes": 1.5}),
        ("set", {"reset_s": -1}),
        ("set", {"name": 1}),
        ("set", {"breaker_id": 1}),
    ],
)
async def test_what_cannot_be_is_refused(engine: Engine, action: str, options: dict[str, Any]) -> None:
    """An option that there is not, or a value that is none, changes nothing."""
    await publish(engine)
    before = await gateway(engine)
    with pytest.raises(InvalidInput):
        await act(engine, action, options=options)
    assert await gateway(engine) == before


async def test_an_unknown_breaker_or_action_is_refused(engine: Engine) -> None:
    """A misspelt name opens nothing."""
    await publish(engine)
    with pytest.raises(BreakerNotFound, match="breaker list"):
        await act(engine, "open", name="gatway")
    with pytest.raises(ActionForbidden, match="one of open, reset, set"):
        await act(engine, "close")


async def test_the_fleets_limits_are_settings_of_the_database(engine: Engine) -> None:
    """`tasker.breaker_…` changes what a breaker without limits of its own does."""
    await publish(engine)
    worker = await engine.session()
    await engine.connection.execute("set tasker.breaker_failure_threshold = 2")
    await engine.connection.execute("set tasker.breaker_reset_s = 7")
    await go_down(engine, worker, 2)
    found = await gateway(engine)
    assert (found.state, found.for_s) == ("open", 7)
