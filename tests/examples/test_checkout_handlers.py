"""The five steps, as functions and as classes of the older form."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from ecommerce.samples import careless_checkout, sample_checkout
from ecommerce.services import Drill

from tasker.handlers import discover

TIMES = {"validated_at", "processed_at", "updated_at", "created_at", "sent_at"}
LENIENT = {"process_payment": {"check_amount": False, "default_payment_method": "credit_card"}}


def test_a_checkout_from_cart_to_confirmation(shop, checkout, handlers):
    """Every step gives the fields that the next one, and the customer, rely on."""
    done = checkout(handlers).run({**sample_checkout(), "checkout_id": "c1"}).results

    assert {key: done["validate_cart"][key] for key in ("subtotal", "tax", "shipping", "total", "item_count")} == {
        "subtotal": 294.97,
        "tax": 23.60,
        "shipping": 5.99,
        "total": 324.56,
        "item_count": 3,
    }
    assert done["process_payment"]["amount_charged"] == 324.56
    assert done["process_payment"]["processing_fee"] == 9.71
    assert done["process_payment"]["payment_method_type"] == "credit_card"
    assert (done["process_payment"]["currency"], done["process_payment"]["status"]) == ("USD", "succeeded")
    assert done["update_inventory"]["total_items_reserved"] == 3
    headphones = done["update_inventory"]["updated_products"][0]
    assert (headphones["previous_stock"], headphones["new_stock"], headphones["quantity_reserved"]) == (25, 23, 2)
    assert headphones["reservation_id"].startswith("order_")
    assert done["update_inventory"]["inventory_changes"][0] == {"product_id": 1, "change": -2, "reason": "order"}
    assert re.fullmatch(r"ORD-\d{8}-[0-9A-F]{8}", done["create_order"]["order_number"])
    assert (done["create_order"]["status"], done["create_order"]["total_amount"]) == ("confirmed", 324.56)
    assert done["send_confirmation"]["email_sent"] is True
    assert done["send_confirmation"]["recipient"] == "customer1@example.com"
    assert done["send_confirmation"]["message_id"]


def test_functions_and_classes_give_the_same_results(shop, checkout):
    """The older form returns what the functions return: the second run of one task meets its own earlier deeds."""
    task, inputs = UUID(int=1), sample_checkout()
    results: dict[str, dict[str, object]] = {}
    for source in ("ecommerce.handlers", "ecommerce.legacy.handlers"):
        running, results[source] = checkout(source), {}
        for step in running.handlers:
            outcome = running.execute(running.context(step, inputs, results[source], 0, task))
            payload = __import__("json").loads(outcome.payload or "")
            assert outcome.kind == "succeeded", payload
            results[source][step] = {key: value for key, value in payload.items() if key not in TIMES}

    functions, classes = results.values()
    assert functions == classes
    assert (shop.books().charges, shop.books().orders, shop.books().mails) == (1, 1, 1)


@pytest.mark.parametrize(
    ("token", "kind", "code"),
    [
        ("test_insufficient_funds", "failed", "PAYMENT_DECLINED"),
        ("test_invalid_card", "failed", "PAYMENT_DECLINED"),
        ("test_declined_visa", "failed", "PAYMENT_DECLINED"),
        ("test_timeout_gateway", "retryable", "TIMEOUT"),
        ("test_temp_fail_1", "retryable", "SERVICE_UNAVAILABLE"),
        ("test_rate_limit_1", "retryable", "RATE_LIMITED"),
    ],
)
def test_tokens_say_what_the_gateway_does(shop, checkout, handlers, token, kind, code):
    """A declined card ends the checkout at once, a passing fault uses up the tries; neither takes money."""
    checked = checkout(handlers).run(sample_checkout(token))

    assert checked.failed_step == "process_payment"
    assert checked.error is not None
    assert checked.error["error_code"] == code
    assert checked.error["retryable"] is (kind == "retryable")
    assert checked.executions["process_payment"] == (1 if kind == "failed" else 3)
    assert shop.books().charges == 0


def test_ordinary_tokens_mostly_succeed(shop, checkout):
    """About 95 % of ordinary tokens go through, and the same ones each time."""
    running = checkout("ecommerce.handlers")
    cart = {"validate_cart": {"total": 1.0}}

    def kinds() -> list[str]:
        return [
            running.execute(
                running.context("process_payment", {"payment_info": {"method": "paypal", "token": f"tok_{n}"}}, cart)
            ).kind
            for n in range(200)
        ]

    first = kinds()
    assert 180 <= first.count("succeeded") <= 199
    assert kinds() == first


def test_a_careless_client_passes_in_the_demo_only(shop, checkout, handlers):
    """Without a method, and with an amount that is not the cart's, a checkout passes where the configuration allows."""
    strict = checkout(handlers).run(careless_checkout())
    lenient = checkout(handlers, LENIENT).run(careless_checkout())

    assert strict.error is not None
    assert strict.error["error_code"] == "MISSING_PAYMENT_METHOD"
    assert lenient.error is None
    assert lenient.results["process_payment"]["amount_charged"] == 286.77


@pytest.mark.parametrize("quantity", [20, 100])
def test_more_grinders_than_there_are(shop, checkout, handlers, quantity):
    """A cart with more than the stock is tried again, and succeeds once the shelf is filled."""
    order = {**sample_checkout(), "cart_items": [{"product_id": 5, "quantity": quantity}]}
    order["payment_info"].pop("amount")

    empty = checkout(handlers).run(order)
    shop.restock(100)
    filled = checkout(handlers).run(order)

    assert empty.error is not None
    assert (empty.failed_step, empty.error["error_code"]) == ("validate_cart", "INSUFFICIENT_STOCK")
    assert empty.executions == {"validate_cart": 3}
    assert filled.error is None


def test_the_last_grinder_goes_to_one_customer(shop, checkout):
    """A shortage that shows between validation and reservation is tried again, and nothing is reserved in part."""
    running = checkout("ecommerce.handlers")
    lines = [{"product_id": 8, "quantity": 1}, {"product_id": 5, "quantity": 15}]
    first = running.run({**sample_checkout(), "cart_items": lines[1:], "payment_info": paid_by("test_success_1")})
    cart = {
        "total": 10.0,
        "validated_items": [{**line, "name": f"product {line['product_id']}"} for line in lines],
    }
    outcome = running.execute(running.context("update_inventory", {}, {"validate_cart": cart}))

    assert first.error is None
    assert outcome.kind == "retryable"
    assert "product 5" in (outcome.payload or "")
    with shop.ledger.turn() as deeds:
        assert (deeds.stock[5], deeds.stock[8]) == (0, 200)


def test_a_mail_address_that_is_none(shop, checkout, handlers):
    """An invalid address fails the last step only: the order stands."""
    checked = checkout(handlers).run({**sample_checkout(), "customer_info": {"email": "nobody"}})

    assert checked.error is not None
    assert (checked.failed_step, checked.error["error_code"]) == ("send_confirmation", "INVALID_EMAIL")
    assert checked.executions["send_confirmation"] == 1
    assert shop.books().charged_without_order == frozenset()


@pytest.mark.parametrize("fault", ["timeout", "unavailable"])
@pytest.mark.parametrize(
    "step", ["validate_cart", "process_payment", "update_inventory", "create_order", "send_confirmation"]
)
def test_a_passing_fault_costs_a_try_and_nothing_else(shop, checkout, handlers, step, fault):
    """A fault at any step, whether the work was done or not, is made good by the next try: one charge, one order."""
    drill = Drill(step, fault, 1)

    checked = checkout(handlers).run({**sample_checkout(), "drill": drill.as_input()})

    assert checked.error is None
    assert checked.executions[step] == 2
    assert sum(checked.executions.values()) == 6
    books = shop.books()
    assert (books.charges, books.orders, books.mails) == (1, 1, 1)


def test_which_results_each_step_needs():
    """Each function is known to read only what it declares, so that a worker need not fetch more."""
    found = discover(["ecommerce.handlers"])

    assert {name: handler.needs for name, handler in found.items()} == {
        "validate_cart": frozenset(),
        "process_payment": {"validate_cart"},
        "update_inventory": {"validate_cart"},
        "create_order": {"validate_cart", "process_payment", "update_inventory"},
        "send_confirmation": {"create_order"},
    }
    assert all(handler.pool == "async" for handler in found.values())


def paid_by(token: str) -> dict[str, str]:
    return {"method": "credit_card", "token": token}
