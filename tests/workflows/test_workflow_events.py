"""A workflow that declares domain events: its states, attempts, results and moves are those of any other."""

from __future__ import annotations

from typing import Any

from support.until import until
from workflow_history import DIRECT, HANDED_OVER, RETRIED, Begin, moves, run

from tasker import DomainEvent, DomainEventPublisher, Occurrence, RetryableError, on_event, step_handler

ORDER = """\
tasker: 1
namespace_name: shop
name: told_order
version: 1.0.0
steps:
  - name: reserve
    handler: told_reserve
    publishes_events: [{name: stock.reserved, schema: {type: object, required: [items]}}]
  - name: charge
    handler: told_charge
    dependencies: [reserve]
    retry: {max_attempts: 2, backoff: none}
    publishes_events:
      - {name: payment.delayed, condition: retryable_failure, delivery_mode: broadcast}
      - {name: payment.done, publisher: told.payments}
      - {name: payment.tried, condition: always}
  - {name: ship, handler: told_ship, dependencies: [charge]}
"""


@step_handler("told_reserve")
async def reserve() -> dict[str, Any]:
    return {"items": 3}


@step_handler("told_charge")
def charge(context: Any) -> dict[str, Any]:
    if not context.is_retry():
        raise RetryableError("the gateway is busy", error_code="BUSY")
    return {"payment_id": "p-1", "secret": "s"}


@step_handler("told_ship")
async def ship() -> dict[str, Any]:
    return {"sent": True}


class Payments(DomainEventPublisher):
    """Keeps back what is nobody's business."""

    publisher_name = "told.payments"

    def payload(self, occurrence: Occurrence) -> Any:
        return {"payment_id": occurrence.result["payment_id"]}


async def test_domain_events_declared(begin: Begin, database: str) -> None:
    """The steps run as if nobody listened, and whoever listens hears of each outcome that was declared, in order."""
    heard: list[DomainEvent] = []

    @on_event("stock.*", "payment.*", name="told")
    async def hear(event: DomainEvent) -> None:
        if event.is_from_outbox:
            heard.append(event)

    tasker = await begin(ORDER, [reserve, charge, ship, Payments, hear])
    ended = await run(tasker, "told_order", "shop")
    await until(lambda: len(heard) == 5, "five events are heard")
    assert ended.status == "complete"
    assert {step.name: (step.state, step.attempt, step.tries) for step in ended.steps} == {
        "reserve": ("complete", 1, 1),
        "charge": ("complete", 2, 2),
        "ship": ("complete", 1, 1),
    }
    assert ended.results["charge"] == {"payment_id": "p-1", "secret": "s"}
    for step in ("reserve", "ship"):
        assert moves(database, ended.task_uuid, step) in (DIRECT, HANDED_OVER)
    assert moves(database, ended.task_uuid, "charge")[-4:] == [*RETRIED, "in_progress>complete"]
    assert [(event.name, event.outcome, event.attempt) for event in heard] == [
        ("stock.reserved", "success", 1),
        ("payment.delayed", "retryable_failure", 1),
        ("payment.tried", "retryable_failure", 1),
        ("payment.done", "success", 2),
        ("payment.tried", "success", 2),
    ]
    assert heard[3].payload == {"payment_id": "p-1"}
    assert heard[1].payload["error_code"] == "BUSY"
    assert len({event.event_id for event in heard}) == 5
