"""What the bakery tells, and who listens."""

from __future__ import annotations

from collections import deque
from typing import Any

from tasker_core import BasePublisher, BaseSubscriber, StepEventContext


class DeliveryNotes(BasePublisher):
    """Tells of deliveries in a driver's words."""

    publisher_name = "Bakery::DeliveryNotes"

    def transform_payload(self, ctx: StepEventContext) -> dict[str, Any]:
        """Where to, and how many; or why not."""
        if ctx.result is None:
            return {"late_because": ctx.metadata["error"]["message"]}
        return {"loaves": ctx.result["delivered"], "to": ctx.result["to"]}

    def additional_metadata(self, ctx: StepEventContext) -> dict[str, Any]:
        """By which van."""
        return {"van": 2}


class Blackboard(BaseSubscriber):
    """The board in the shop: the last hundred things that happened."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[dict[str, Any]] = deque(maxlen=100)

    @classmethod
    def subscribes_to(cls) -> list[str]:
        """All that is told of orders."""
        return ["order.*"]

    def handle(self, event: dict[str, Any]) -> None:
        """Writes it down."""
        self.lines.append(
            {
                "event": event["event_name"],
                "order": event["metadata"]["task_uuid"],
                "says": event["payload"]["payload"],
            }
        )
