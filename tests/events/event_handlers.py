"""A module as users write it: handlers, subscribers and publishers."""

from __future__ import annotations

from typing import Any

from tasker import DomainEvent, DomainEventPublisher, on_event, step_handler


@step_handler("pay")
async def pay(context: Any) -> dict[str, Any]:
    return {"paid": context.inputs.get("n")}


@on_event("*")
def on_any(event: DomainEvent) -> None:
    pass


@on_event("order.*", "stock.*", name="audit")
async def audit(event: DomainEvent) -> None:
    pass


class Receipt(DomainEventPublisher):
    publisher_name = "plain.receipt"


class WithGateway(DomainEventPublisher):
    publisher_name = "with.gateway"

    def __init__(self, gateway: str) -> None:
        self.gateway = gateway


made = WithGateway("sandbox")
