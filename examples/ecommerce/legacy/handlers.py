"""The five steps as classes of the older form: `process(task, sequence, step)`."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from ecommerce import rules
from ecommerce.services import shop_for
from ecommerce.services.shop import Connection
from tasker import StepHandler

Fields = dict[str, Any]
Answer = TypeVar("Answer")


def services(task: Any, step: Any) -> Connection:
    """The services as this execution meets them."""
    return shop_for(step.name, step.attempts, task.context.get("drill"))


def answer_of(call: Coroutine[Any, Any, Answer]) -> Answer:
    """Wait for a service: a plain handler has a thread to itself."""
    with rules.passing_faults():
        return asyncio.run(call)


def results_of(sequence: Any, name: str) -> Fields:
    """What a step before this one returned."""
    return sequence.find_step_by_name(name).results


def once(task: Any, step: Any) -> str:
    """A key that is the same for every attempt of a step."""
    return f"{task.task_id}:{step.name}"


class ValidateCartHandler(StepHandler):
    """Does the shop have what the customer wants, and what does it cost?"""

    handler_name = "Ecommerce::ValidateCartHandler"

    def process(self, task: Any, sequence: Any, step: Any) -> Fields:
        lines = rules.cart_lines(task.context.get("cart_items"))
        found = answer_of(services(task, step).find_products(rules.quantities(lines)))
        return rules.priced_cart(lines, found)


class ProcessPaymentHandler(StepHandler):
    """Take the money, once."""

    handler_name = "Ecommerce::ProcessPaymentHandler"

    def __init__(self, config: Fields | None = None) -> None:
        self.config = config or {}

    def process(self, task: Any, sequence: Any, step: Any) -> Fields:
        cart = results_of(sequence, "validate_cart")
        payment = rules.payment_request(cart, task.context.get("payment_info"), self.config)
        reference = task.context.get("checkout_id") or task.task_id
        shop = services(task, step)
        charge = answer_of(shop.charge(payment.amount_cents, payment.token, reference=reference, key=once(task, step)))
        return rules.payment_result(payment, charge, self.config.get("rate_limit_wait_s") or rules.RATE_LIMIT_WAIT_S)


class UpdateInventoryHandler(StepHandler):
    """Reserve what was bought, all of it or nothing."""

    handler_name = "Ecommerce::UpdateInventoryHandler"

    def process(self, task: Any, sequence: Any, step: Any) -> Fields:
        cart = results_of(sequence, "validate_cart")
        reservation_id = f"order_{task.task_id}"
        wanted = rules.quantities(rules.cart_to_reserve(cart))
        reservation = answer_of(services(task, step).reserve(wanted, key=reservation_id))
        return rules.inventory_result(cart, reservation, reservation_id)


class CreateOrderHandler(StepHandler):
    """Write the order down."""

    handler_name = "Ecommerce::CreateOrderHandler"

    def process(self, task: Any, sequence: Any, step: Any) -> Fields:
        total_cents = rules.order_request(
            results_of(sequence, "validate_cart"),
            results_of(sequence, "process_payment"),
            results_of(sequence, "update_inventory"),
            task.context.get("customer_info"),
        )
        reference = task.context.get("checkout_id") or task.task_id
        shop = services(task, step)
        order = answer_of(shop.place_order(reference=reference, key=once(task, step), total_cents=total_cents))
        return rules.order_result(order, task.context)


class SendConfirmationHandler(StepHandler):
    """Tell the customer."""

    handler_name = "Ecommerce::SendConfirmationHandler"

    def process(self, task: Any, sequence: Any, step: Any) -> Fields:
        recipient, subject = rules.mail_to_send(results_of(sequence, "create_order"))
        receipt = answer_of(services(task, step).send_mail(recipient, subject, key=once(task, step)))
        return rules.mail_result(recipient, receipt)
