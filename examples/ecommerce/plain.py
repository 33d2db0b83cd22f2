"""What people had before: the same checkout as one function.

It is not bad code. It calls the same services with the same rules, in the right order. But it holds its progress in
local variables, so the first error throws away where it was, and nobody knows whether the card was charged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecommerce import rules
from ecommerce.services import Shop


async def checkout(shop: Shop, checkout_id: str, order: Mapping[str, Any]) -> dict[str, Any]:
    """Run a whole checkout and return the confirmation; any error ends it where it stands."""
    drill = order.get("drill")
    lines = rules.cart_lines(order.get("cart_items"))
    found = await shop.connect("validate_cart", 0, drill).find_products(rules.quantities(lines))
    cart = rules.priced_cart(lines, found)

    payment = rules.payment_request(cart, order.get("payment_info"), {})
    gateway = shop.connect("process_payment", 0, drill)
    charge = await gateway.charge(payment.amount_cents, payment.token, reference=checkout_id, key=None)
    paid = rules.payment_result(payment, charge)

    warehouse = shop.connect("update_inventory", 0, drill)
    reservation = await warehouse.reserve(rules.quantities(lines), key=checkout_id)
    inventory = rules.inventory_result(cart, reservation, checkout_id)

    total_cents = rules.order_request(cart, paid, inventory, order.get("customer_info"))
    order_book = shop.connect("create_order", 0, drill)
    placed = await order_book.place_order(reference=checkout_id, key=checkout_id, total_cents=total_cents)

    recipient, subject = rules.mail_to_send(rules.order_result(placed, order))
    mail = shop.connect("send_confirmation", 0, drill)
    return rules.mail_result(recipient, await mail.send_mail(recipient, subject, key=checkout_id))
