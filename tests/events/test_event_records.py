"""What a test sees of the domain events of its task."""

from __future__ import annotations

from typing import Any

import pytest
from events_support import shop

EVENTS = (
    "[order.paid, {name: order.fast, delivery_mode: fast}, {name: order.both, delivery_mode: broadcast},"
    " {name: order.bad, schema: {type: object, required: [receipt]}}, {name: order.failed, condition: failure}]"
)


def _pay(context: Any) -> dict[str, Any]:
    return {"n": context.inputs.get("n")}


def test_a_record_has_the_events_in_order(workflow: Any) -> None:
    """Those of all modes, each once; what was refused stands beside them, and in the story."""
    flow = workflow(shop(EVENTS), handlers={"pay": _pay})
    for n in range(2):
        done = flow.run({"n": n})
        done.assert_events("order.paid", "order.fast", "order.both")
        assert [event.payload for event in done.events] == [{"n": n}] * 3
        assert [event.task_uuid for event in done.all_events] == [done.task_uuid] * 4
    (refused,) = [event for event in done.all_events if event.status == "refused"]
    assert refused.name == "order.bad" and "receipt" in (refused.problem or "")
    assert "event order.bad of pay is refused" in str(done)
    with pytest.raises(AssertionError, match="the events are"):
        done.assert_events("order.paid")


def test_a_repair_adds_to_the_events(workflow: Any) -> None:
    """What failed and was tried again has told both."""
    from tasker import PermanentError

    def fail_once(context: Any) -> dict[str, Any]:
        if context.attempt == 1:
            raise PermanentError("no")
        return {"n": 1}

    flow = workflow(shop("[order.paid, {name: order.failed, condition: failure}]"), handlers={"pay": fail_once})
    done = flow.run()
    done.assert_events("order.failed")
    flow.act("retry", done, step="pay")
    flow.go_on(done).assert_events("order.failed", "order.paid")
