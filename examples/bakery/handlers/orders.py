"""Steps as functions."""

from __future__ import annotations

from typing import Any

from bakery.handlers.models import PRICES_CENTS, CheckedOrder, OrderInput, Plan
from tasker_core import StepContext
from tasker_core.errors import PermanentError, RetryableError
from tasker_core.step_handler.functional import Decision, decision_handler, depends_on, inputs, step_handler

APPROVAL_FROM_CENTS = 20_000


@step_handler("check_order")
@inputs(OrderInput)
def check_order(inputs: OrderInput) -> CheckedOrder:
    """Do we bake all of it?"""
    unknown = sorted(set(inputs.loaves) - set(PRICES_CENTS))
    if unknown:
        raise PermanentError(f"we do not bake {', '.join(unknown)}", error_code="UNKNOWN_BREAD")
    count = sum(inputs.loaves.values())
    if count < 1:
        raise PermanentError("the order is empty", error_code="EMPTY_ORDER")
    return CheckedOrder(customer=inputs.customer, loaves=inputs.loaves, loaf_count=count)


@decision_handler("choose_approval")
@depends_on(price="price_order")
def choose_approval(price: dict[str, Any]) -> Decision:
    """Small orders are accepted; of large ones the owner has to know, and the bank."""
    if price["total_cents"] < APPROVAL_FROM_CENTS:
        return Decision.route(["accept_order"], reason="small")
    return Decision.route(["ask_owner", "check_credit"], reason="large")


@step_handler("accept_order")
def accept_order() -> dict[str, Any]:
    """Nobody need be asked."""
    return {"agreed_by": "the rule"}


@step_handler("plan_baking")
@depends_on(order=("check_order", CheckedOrder), rule="accept_order", owner="ask_owner", bank="check_credit")
async def plan_baking(order: CheckedOrder, rule: Any, owner: Any, bank: Any) -> Plan:
    """Of those who had a say, all agreed."""
    said = [one["agreed_by"] for one in (rule, owner, bank) if one is not None]
    return Plan(loaf_count=order.loaf_count, agreed_by=said)


@step_handler("deliver")
@depends_on(baked="bake")
@inputs("address")
def deliver(baked: dict[str, Any], address: str | None, context: StepContext) -> dict[str, Any]:
    """The bridge to the harbour is up at first; nobody finds the way to nowhere."""
    if address == "nowhere":
        raise PermanentError("there is no such address", error_code="NO_ADDRESS")
    if address == "harbour" and not context.is_retry():
        raise RetryableError("the bridge is up", retry_after=0.1)
    return {"delivered": baked["loaves"], "to": address or "the counter", "rounds": context.retry_count + 1}
