"""The rules of the business: what is allowed, what it costs, and how each step's result looks.

Nothing here talks to a service, so it can be read, and tested, as the specification. An error says whether another try
can help: a card that was declined stays declined, a shelf that is empty may be filled.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, cast

from ecommerce.services import Charge, Product, Receipt, Reservation, ServiceFault
from tasker import PermanentError, RetryableError

TAX_PERCENT = 8
UNIT_WEIGHT_LB = Decimal("0.5")
SHIPPING_CENTS = ((Decimal(2), 599), (Decimal(10), 999), (None, 1499))
"""Up to which weight in pounds, and what it costs."""
TOLERANCE_CENTS = 1
RATE_LIMIT_WAIT_S = 30
MAIL_RATE_LIMIT_WAIT_S = 60
PRIORITIES = {"express": {"payment_timeout_ms": 15_000, "payment_retries": 1, "email_retries": 2}}


@dataclass(frozen=True, slots=True)
class CartLine:
    """What the customer put into the cart."""

    product_id: int
    quantity: int


@dataclass(frozen=True, slots=True)
class Payment:
    """What the gateway is asked for."""

    amount_cents: int
    currency: str
    method: str
    token: str


def amount(cents: int) -> float:
    """Cents as the number that people read: 12476 is 124.76."""
    return cents / 100


def cents(value: Any) -> int | None:
    """An amount as it stands in JSON, in cents; None where it is no amount."""
    try:
        return int((Decimal(str(value)) * 100).quantize(Decimal(1), ROUND_HALF_UP))
    except (InvalidOperation, ValueError, OverflowError):
        return None


def now() -> str:
    """This moment, for people."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def passing_faults() -> Generator[None]:
    """A service that does not answer is a reason to try again."""
    try:
        yield
    except ServiceFault as fault:
        message = f"the {fault.service} did not answer: {fault.status}"
        raise RetryableError(message, error_code=fault.status.upper()) from None


# validate_cart


def cart_lines(cart_items: Any) -> list[CartLine]:
    """The lines of a cart that is not empty, each with a product and a quantity above zero."""
    if not isinstance(cart_items, list) or not cart_items:
        raise PermanentError("the cart is empty", error_code="EMPTY_CART")
    return [_cart_line(place, item) for place, item in enumerate(cast("list[Any]", cart_items), start=1)]


def _cart_line(place: int, item: Any) -> CartLine:
    line = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
    product_id, quantity = line.get("product_id"), line.get("quantity")
    if not isinstance(product_id, int):
        raise PermanentError(f"line {place} of the cart names no product", error_code="MISSING_PRODUCT_ID")
    if not isinstance(quantity, int) or isinstance(quantity, bool) or quantity <= 0:
        raise PermanentError(
            f"line {place} of the cart needs a quantity above zero, not {quantity!r}", error_code="INVALID_QUANTITY"
        )
    return CartLine(product_id, quantity)


def priced_cart(lines: Sequence[CartLine], found: Mapping[int, tuple[Product, int]]) -> dict[str, Any]:
    """The result of validate_cart. The catalogue's prices count, whatever the customer's page said."""
    for wanted, quantity in quantities(lines).items():
        _check_product(wanted, quantity, found.get(wanted))
    items = [_priced_line(line, found[line.product_id][0]) for line in lines]
    subtotal = sum(line.quantity * found[line.product_id][0].price_cents for line in lines)
    units = sum(line.quantity for line in lines)
    tax, shipping = (subtotal * TAX_PERCENT + 50) // 100, shipping_cents(units)
    return {
        "validated_items": items,
        "subtotal": amount(subtotal),
        "tax": amount(tax),
        "shipping": amount(shipping),
        "total": amount(subtotal + tax + shipping),
        "item_count": units,
        "validated_at": now(),
    }


def quantities(lines: Sequence[CartLine]) -> dict[int, int]:
    """How many of each product a cart holds: one product may stand on several lines."""
    totals: dict[int, int] = {}
    for line in lines:
        totals[line.product_id] = totals.get(line.product_id, 0) + line.quantity
    return totals


def shipping_cents(units: int) -> int:
    """What the parcel costs."""
    weight = units * UNIT_WEIGHT_LB
    return next(price for limit, price in SHIPPING_CENTS if limit is None or weight <= limit)


def _check_product(product_id: int, quantity: int, found: tuple[Product, int] | None) -> None:
    if found is None:
        raise PermanentError(f"there is no product {product_id}", error_code="PRODUCT_NOT_FOUND")
    product, stock = found
    if not product.is_active:
        raise PermanentError(f"{product.name} is not sold any more", error_code="PRODUCT_INACTIVE")
    if stock < quantity:
        raise RetryableError(f"{product.name}: {quantity} wanted, {stock} left", error_code="INSUFFICIENT_STOCK")


def _priced_line(line: CartLine, product: Product) -> dict[str, Any]:
    return {
        "product_id": product.product_id,
        "name": product.name,
        "price": amount(product.price_cents),
        "quantity": line.quantity,
        "line_total": amount(product.price_cents * line.quantity),
    }


# process_payment


def payment_request(
    cart: Mapping[str, Any] | None, payment_info: Mapping[str, Any] | None, configuration: Mapping[str, Any]
) -> Payment:
    """What to ask the gateway for: always the cart's total.

    `configuration` may name a `default_payment_method`, and `check_amount: false` lets the customer's page show
    another amount than the cart has.
    """
    info = payment_info or {}
    method = info.get("method") or configuration.get("default_payment_method")
    if not method:
        raise PermanentError("the payment names no method", error_code="MISSING_PAYMENT_METHOD")
    if not info.get("token"):
        raise PermanentError("the payment has no token", error_code="MISSING_PAYMENT_TOKEN")
    total = cents((cart or {}).get("total"))
    if total is None:
        raise PermanentError("the cart has no total", error_code="MISSING_CART_TOTAL")
    if info.get("amount") is not None and configuration.get("check_amount", True):
        shown = cents(info["amount"])
        if shown is None or abs(shown - total) > TOLERANCE_CENTS:
            raise PermanentError(
                f"the customer saw {info['amount']}, the cart's total is {amount(total)}",
                error_code="PAYMENT_AMOUNT_MISMATCH",
            )
    return Payment(total, info.get("currency") or "USD", method, info["token"])


def payment_result(payment: Payment, charge: Charge, wait_s: float = RATE_LIMIT_WAIT_S) -> dict[str, Any]:
    """The result of process_payment, or the error that the gateway's answer is."""
    if charge.status in ("insufficient_funds", "card_declined", "invalid_card"):
        raise PermanentError(f"the payment was declined: {charge.status}", error_code="PAYMENT_DECLINED")
    if charge.status == "rate_limited":
        raise RetryableError("the gateway asks for fewer calls", retry_after=wait_s, error_code="RATE_LIMITED")
    if charge.status != "succeeded":
        raise RetryableError(f"the gateway answered {charge.status!r}", error_code=charge.status.upper())
    return {
        "payment_id": charge.payment_id,
        "amount_charged": amount(charge.amount_cents),
        "processing_fee": amount(charge.fee_cents),
        "currency": payment.currency,
        "payment_method_type": payment.method,
        "transaction_id": charge.transaction_id,
        "processed_at": now(),
        "status": charge.status,
    }


# update_inventory


def cart_to_reserve(cart: Mapping[str, Any] | None) -> list[CartLine]:
    """The lines that validate_cart has confirmed."""
    items = (cart or {}).get("validated_items")
    if not items:
        raise PermanentError("the cart was not validated", error_code="MISSING_VALIDATED_ITEMS")
    return [CartLine(item["product_id"], item["quantity"]) for item in items]


def inventory_result(
    cart: Mapping[str, Any], reservation: Reservation, reservation_id: str, reason: str = "order"
) -> dict[str, Any]:
    """The result of update_inventory, or a reason to wait for the next delivery."""
    names = {item["product_id"]: item["name"] for item in cart["validated_items"]}
    if reservation.short:
        missing = ", ".join(names[product_id] for product_id in reservation.short)
        raise RetryableError(f"not enough in the warehouse: {missing}", error_code="INSUFFICIENT_STOCK")
    updated: list[dict[str, Any]] = [
        {
            "product_id": item["product_id"],
            "name": names[item["product_id"]],
            "previous_stock": item["previous_stock"],
            "new_stock": item["previous_stock"] - item["quantity"],
            "quantity_reserved": item["quantity"],
            "reservation_id": reservation_id,
        }
        for item in reservation.items
    ]
    changes = [
        {"product_id": item["product_id"], "change": -item["quantity_reserved"], "reason": reason} for item in updated
    ]
    return {
        "updated_products": updated,
        "total_items_reserved": sum(item["quantity_reserved"] for item in updated),
        "inventory_changes": changes,
        "updated_at": now(),
    }


# create_order


def order_request(
    cart: Mapping[str, Any] | None,
    payment: Mapping[str, Any] | None,
    inventory: Mapping[str, Any] | None,
    customer: Mapping[str, Any] | None,
) -> int:
    """The order's total in cents, once everything that an order stands on is there and agrees."""
    _require(cart, "validated_items", "MISSING_CART_VALIDATION")
    _require(payment, "payment_id", "MISSING_PAYMENT_RESULT")
    _require(inventory, "updated_products", "MISSING_INVENTORY_RESULT")
    _require(customer, "email", "MISSING_CUSTOMER_INFO")
    total, charged = cents((cart or {}).get("total")), cents((payment or {}).get("amount_charged"))
    if total is None or total <= 0 or charged != total:
        raise PermanentError(f"the order's total is {total}, {charged} cents were charged", error_code=ORDER_INVALID)
    return total


ORDER_INVALID = "ORDER_VALIDATION_FAILED"


def _require(result: Mapping[str, Any] | None, key: str, error_code: str) -> None:
    if not result or not result.get(key):
        raise PermanentError(f"an order cannot be made without {key}", error_code=error_code)


def order_result(order: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The result of create_order, with what express orders and premium customers are promised."""
    customer, priority = inputs["customer_info"], inputs.get("priority")
    result = {
        "order_id": order["order_id"],
        "order_number": order["order_number"],
        "status": "confirmed",
        "total_amount": amount(order["total_cents"]),
        "customer_email": customer["email"],
        "created_at": order["created_at"],
        "estimated_delivery": order["estimated_delivery"],
    }
    if priority in PRIORITIES:
        result[f"{priority}_processing"] = PRIORITIES[priority]
    if customer.get("tier") == "premium":
        result["premium_processing"] = True
    return result


# send_confirmation


def mail_to_send(order: Mapping[str, Any] | None) -> tuple[str, str]:
    """The recipient and the subject."""
    if not order or not order.get("order_number"):
        raise PermanentError("there is no order to confirm", error_code="MISSING_ORDER_RESULT")
    return order["customer_email"], f"Your order {order['order_number']}"


def mail_result(recipient: str, receipt: Receipt, wait_s: float = MAIL_RATE_LIMIT_WAIT_S) -> dict[str, Any]:
    """The result of send_confirmation, or the error that the mail provider's answer is."""
    if receipt.status == "invalid_email":
        raise PermanentError(f"{recipient!r} is no mail address", error_code="INVALID_EMAIL")
    if receipt.status == "rate_limited":
        raise RetryableError("the mail provider asks for fewer calls", retry_after=wait_s, error_code="RATE_LIMITED")
    if receipt.status not in ("sent", "delivered"):
        raise RetryableError(f"the mail provider answered {receipt.status!r}", error_code=receipt.status.upper())
    return {
        "email_sent": True,
        "email_type": "order_confirmation",
        "recipient": recipient,
        "message_id": receipt.message_id,
        "status": receipt.status,
        "sent_at": now(),
    }
