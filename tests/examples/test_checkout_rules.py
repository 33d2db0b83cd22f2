"""The rules of the checkout: amounts and error codes."""

from __future__ import annotations

from fractions import Fraction

import pytest
from ecommerce import rules
from ecommerce.services import Charge, Product, Receipt, Reservation
from hypothesis import given
from hypothesis import strategies as st

from tasker import PermanentError, RetryableError

WIDGETS = {1: (Product(1, "Widget A", 2999, 10), 10), 2: (Product(2, "Widget B", 4999, 10), 10)}
CART = {
    "total": 124.76,
    "validated_items": [{"product_id": 1, "name": "Widget A", "price": 29.99, "quantity": 2, "line_total": 59.98}],
}
PAID = {"payment_id": "pay_1", "amount_charged": 124.76}
RESERVED = {"updated_products": [{"product_id": 1}]}
CUSTOMER = {"email": "a@b.example"}


def code_of(call, *arguments):
    """The kind and the code of the error that a rule raises."""
    with pytest.raises((PermanentError, RetryableError)) as caught:
        call(*arguments)
    return ("permanent" if isinstance(caught.value, PermanentError) else "retryable"), caught.value.error_code


def test_two_widgets_and_one_more_cost_124_76():
    """Subtotal, 8 % tax, shipping and total come out to the cent."""
    cart = rules.priced_cart(
        rules.cart_lines([{"product_id": 1, "quantity": 2, "price": 1}, {"product_id": 2, "quantity": 1}]), WIDGETS
    )

    assert (cart["subtotal"], cart["tax"], cart["shipping"], cart["total"]) == (109.97, 8.80, 5.99, 124.76)
    assert cart["item_count"] == 3
    assert cart["validated_items"][0] == {
        "product_id": 1,
        "name": "Widget A",
        "price": 29.99,
        "quantity": 2,
        "line_total": 59.98,
    }


@pytest.mark.parametrize(("units", "cents"), [(1, 599), (4, 599), (5, 999), (20, 999), (21, 1499), (1000, 1499)])
def test_shipping_goes_by_weight(units, cents):
    """Half a pound each: up to 2 lb 5.99, up to 10 lb 9.99, above 14.99."""
    assert rules.shipping_cents(units) == cents


@given(st.integers(1, 10_000), st.integers(1, 1_000_000))
def test_the_total_is_exact(quantity, price_cents):
    """Every total is the exact sum, the tax rounded half up, for any price and quantity."""
    product = Product(1, "Thing", price_cents, quantity)
    cart = rules.priced_cart([rules.CartLine(1, quantity)], {1: (product, quantity)})
    subtotal = quantity * price_cents
    tax = int(Fraction(subtotal * 8, 100) + Fraction(1, 2))

    assert rules.cents(cart["subtotal"]) == subtotal
    assert rules.cents(cart["tax"]) == tax
    assert rules.cents(cart["total"]) == subtotal + tax + rules.shipping_cents(quantity)


@pytest.mark.parametrize(
    ("items", "code"),
    [
        (None, "EMPTY_CART"),
        ([], "EMPTY_CART"),
        ({"product_id": 1}, "EMPTY_CART"),
        ([{"quantity": 1}], "MISSING_PRODUCT_ID"),
        ([{"product_id": [1], "quantity": 1}], "MISSING_PRODUCT_ID"),
        (["1"], "MISSING_PRODUCT_ID"),
        ([{"product_id": 1}], "INVALID_QUANTITY"),
        ([{"product_id": 1, "quantity": 0}], "INVALID_QUANTITY"),
        ([{"product_id": 1, "quantity": -1}], "INVALID_QUANTITY"),
        ([{"product_id": 1, "quantity": 1.5}], "INVALID_QUANTITY"),
        ([{"product_id": 1, "quantity": True}], "INVALID_QUANTITY"),
        ([{"product_id": 1, "quantity": 1}, {"product_id": 2, "quantity": "1"}], "INVALID_QUANTITY"),
    ],
)
def test_a_cart_that_cannot_be_bought(items, code):
    """Each line needs a product and a quantity above zero."""
    assert code_of(rules.cart_lines, items) == ("permanent", code)


@pytest.mark.parametrize(
    ("line", "found", "kind", "code"),
    [
        (rules.CartLine(9, 1), {}, "permanent", "PRODUCT_NOT_FOUND"),
        (rules.CartLine(1, 1), {1: (Product(1, "Old", 1, 5, is_active=False), 5)}, "permanent", "PRODUCT_INACTIVE"),
        (rules.CartLine(1, 6), {1: (Product(1, "Few", 1, 5), 5)}, "retryable", "INSUFFICIENT_STOCK"),
    ],
)
def test_products_that_are_not_to_be_had(line, found, kind, code):
    """Unknown and inactive products are hopeless; an empty shelf may be filled."""
    assert code_of(rules.priced_cart, [line], found) == (kind, code)


def test_a_product_on_two_lines_counts_together():
    """Two lines of one product need the stock of both."""
    lines, few = [rules.CartLine(1, 3), rules.CartLine(1, 3)], {1: (Product(1, "Few", 100, 5), 5)}

    assert code_of(rules.priced_cart, lines, few) == ("retryable", "INSUFFICIENT_STOCK")


@pytest.mark.parametrize(
    ("cart", "info", "config", "code"),
    [
        (CART, None, {}, "MISSING_PAYMENT_METHOD"),
        (CART, {"token": "t"}, {}, "MISSING_PAYMENT_METHOD"),
        (CART, {"method": "paypal"}, {}, "MISSING_PAYMENT_TOKEN"),
        (CART, {"method": "paypal", "token": ""}, {}, "MISSING_PAYMENT_TOKEN"),
        (None, {"method": "paypal", "token": "t"}, {}, "MISSING_CART_TOTAL"),
        ({}, {"method": "paypal", "token": "t"}, {}, "MISSING_CART_TOTAL"),
        ({"total": "much"}, {"method": "paypal", "token": "t"}, {}, "MISSING_CART_TOTAL"),
        (CART, {"method": "paypal", "token": "t", "amount": 124.78}, {}, "PAYMENT_AMOUNT_MISMATCH"),
        (CART, {"method": "paypal", "token": "t", "amount": "all"}, {}, "PAYMENT_AMOUNT_MISMATCH"),
        (CART, {"method": "paypal", "token": "t", "amount": 100}, {"check_amount": True}, "PAYMENT_AMOUNT_MISMATCH"),
    ],
)
def test_a_payment_that_cannot_be_asked_for(cart, info, config, code):
    """A payment needs a method, a token, a total, and the amount that the customer saw."""
    assert code_of(rules.payment_request, cart, info, config) == ("permanent", code)


def test_a_careless_client_is_let_through_where_the_configuration_says_so():
    """Without the check the cart's total is charged, and a default method stands in."""
    lenient = {"check_amount": False, "default_payment_method": "credit_card"}
    payment = rules.payment_request(CART, {"token": "t", "amount": 100.00}, lenient)

    assert payment == rules.Payment(12476, "USD", "credit_card", "t")
    assert rules.payment_request(CART, {"method": "paypal", "token": "t", "amount": 124.77}, {}).amount_cents == 12476


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        ("insufficient_funds", "permanent", "PAYMENT_DECLINED"),
        ("card_declined", "permanent", "PAYMENT_DECLINED"),
        ("invalid_card", "permanent", "PAYMENT_DECLINED"),
        ("rate_limited", "retryable", "RATE_LIMITED"),
        ("service_unavailable", "retryable", "SERVICE_UNAVAILABLE"),
        ("timeout", "retryable", "TIMEOUT"),
        ("something_new", "retryable", "SOMETHING_NEW"),
    ],
)
def test_what_the_gateway_says(status, kind, code):
    """A declined card is hopeless; anything else that is no success is tried again."""
    payment = rules.Payment(100, "USD", "paypal", "t")

    assert code_of(rules.payment_result, payment, Charge(status)) == (kind, code)


def test_a_busy_gateway_and_a_busy_mail_provider_say_when():
    """Rate limits carry the wait: 30 s for the gateway, 60 s for the mail, or what the configuration says."""
    payment = rules.Payment(100, "USD", "paypal", "t")
    with pytest.raises(RetryableError) as gateway:
        rules.payment_result(payment, Charge("rate_limited"))
    with pytest.raises(RetryableError) as mail:
        rules.mail_result("a@b.example", Receipt("rate_limited"))
    with pytest.raises(RetryableError) as shortened:
        rules.mail_result("a@b.example", Receipt("rate_limited"), 0.5)

    assert (gateway.value.retry_after, mail.value.retry_after, shortened.value.retry_after) == (30, 60, 0.5)


def test_a_shortage_in_the_warehouse_may_pass():
    """Every shortage is retryable, and names what is short."""
    with pytest.raises(RetryableError, match="not enough in the warehouse: Widget A"):
        rules.inventory_result(CART, Reservation(short=(1,)), "order_1")
    assert code_of(rules.cart_to_reserve, {}) == ("permanent", "MISSING_VALIDATED_ITEMS")


@pytest.mark.parametrize(
    ("cart", "payment", "inventory", "customer", "code"),
    [
        (None, PAID, RESERVED, CUSTOMER, "MISSING_CART_VALIDATION"),
        (CART, {}, RESERVED, CUSTOMER, "MISSING_PAYMENT_RESULT"),
        (CART, PAID, None, CUSTOMER, "MISSING_INVENTORY_RESULT"),
        (CART, PAID, RESERVED, None, "MISSING_CUSTOMER_INFO"),
        (CART, PAID, RESERVED, {"name": "A"}, "MISSING_CUSTOMER_INFO"),
        (CART, {**PAID, "amount_charged": 1.0}, RESERVED, CUSTOMER, "ORDER_VALIDATION_FAILED"),
        ({**CART, "total": 0}, {**PAID, "amount_charged": 0}, RESERVED, CUSTOMER, "ORDER_VALIDATION_FAILED"),
    ],
)
def test_an_order_needs_everything_before_it(cart, payment, inventory, customer, code):
    """An order stands on a cart, a payment, a reservation and a customer that agree."""
    assert code_of(rules.order_request, cart, payment, inventory, customer) == ("permanent", code)


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        ("invalid_email", "permanent", "INVALID_EMAIL"),
        ("service_unavailable", "retryable", "SERVICE_UNAVAILABLE"),
        ("timeout", "retryable", "TIMEOUT"),
    ],
)
def test_what_the_mail_provider_says(status, kind, code):
    """An address that is none is hopeless; the rest is tried again; both words for success are one."""
    assert code_of(rules.mail_result, "a@b.example", Receipt(status)) == (kind, code)
    assert rules.mail_result("a@b.example", Receipt("delivered", "m"))["email_sent"] is True


def test_promises_to_express_orders_and_premium_customers():
    """An express order and a premium customer are marked in the order."""
    order = {"order_id": 1, "order_number": "ORD-1", "total_cents": 100, "created_at": "", "estimated_delivery": ""}

    plain = rules.order_result(order, {"customer_info": CUSTOMER, "priority": "standard"})
    marked = rules.order_result(order, {"customer_info": {**CUSTOMER, "tier": "premium"}, "priority": "express"})

    assert not {"express_processing", "premium_processing"} & set(plain)
    assert marked["premium_processing"] is True
    assert marked["express_processing"] == {"payment_timeout_ms": 15_000, "payment_retries": 1, "email_retries": 2}
