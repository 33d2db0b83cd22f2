"""The five steps of a checkout, one function each."""

from __future__ import annotations

from typing import Any

from ecommerce import rules
from ecommerce.services import shop_for
from tasker import StepContext, depends_on, inputs, step_handler

Fields = dict[str, Any]


@step_handler("validate_cart")
@inputs("cart_items", "drill")
async def validate_cart(context: StepContext, cart_items: Any = None, drill: Fields | None = None) -> Fields:
    """Does the shop have what the customer wants, and what does it cost?"""
    lines = rules.cart_lines(cart_items)
    shop = shop_for(context.step_name, context.tries, drill)
    with rules.passing_faults():
        found = await shop.find_products(rules.quantities(lines))
    return rules.priced_cart(lines, found)


@step_handler("process_payment")
@depends_on(cart="validate_cart")
@inputs("payment_info", "checkout_id", "drill")
async def process_payment(
    context: StepContext,
    cart: Fields | None = None,
    payment_info: Fields | None = None,
    checkout_id: str | None = None,
    drill: Fields | None = None,
) -> Fields:
    """Take the money: once, however often this step runs, because the gateway knows its idempotency key."""
    payment = rules.payment_request(cart, payment_info, context.configuration)
    shop = shop_for(context.step_name, context.tries, drill)
    with rules.passing_faults():
        charge = await shop.charge(
            payment.amount_cents,
            payment.token,
            reference=checkout_id or str(context.task_uuid),
            key=context.idempotency_key,
        )
    wait_s = context.get_config("rate_limit_wait_s") or rules.RATE_LIMIT_WAIT_S
    return rules.payment_result(payment, charge, wait_s)


@step_handler("update_inventory")
@depends_on(cart="validate_cart")
@inputs("drill")
async def update_inventory(context: StepContext, cart: Fields | None = None, drill: Fields | None = None) -> Fields:
    """Reserve what was bought, all of it or nothing."""
    lines = rules.cart_to_reserve(cart)
    reservation_id = f"order_{context.task_uuid}"
    shop = shop_for(context.step_name, context.tries, drill)
    with rules.passing_faults():
        reservation = await shop.reserve(rules.quantities(lines), key=reservation_id)
    return rules.inventory_result(cart or {}, reservation, reservation_id)


@step_handler("create_order")
@depends_on(cart="validate_cart", payment="process_payment", inventory="update_inventory")
@inputs("customer_info", "checkout_id", "drill")
async def create_order(
    context: StepContext,
    cart: Fields | None = None,
    payment: Fields | None = None,
    inventory: Fields | None = None,
    customer_info: Fields | None = None,
    checkout_id: str | None = None,
    drill: Fields | None = None,
) -> Fields:
    """Write the order down."""
    total_cents = rules.order_request(cart, payment, inventory, customer_info)
    shop = shop_for(context.step_name, context.tries, drill)
    with rules.passing_faults():
        order = await shop.place_order(
            reference=checkout_id or str(context.task_uuid), key=context.idempotency_key, total_cents=total_cents
        )
    return rules.order_result(order, context.inputs)


@step_handler("send_confirmation")
@depends_on(order="create_order")
@inputs("drill")
async def send_confirmation(context: StepContext, order: Fields | None = None, drill: Fields | None = None) -> Fields:
    """Tell the customer."""
    recipient, subject = rules.mail_to_send(order)
    shop = shop_for(context.step_name, context.tries, drill)
    with rules.passing_faults():
        receipt = await shop.send_mail(recipient, subject, key=context.idempotency_key)
    wait_s = context.get_config("rate_limit_wait_s") or rules.MAIL_RATE_LIMIT_WAIT_S
    return rules.mail_result(recipient, receipt, wait_s)
