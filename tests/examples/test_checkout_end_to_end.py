"""The checkout through the real engine, in both spellings: functions, and classes of the older form."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ecommerce import LEGACY_WORKFLOW, WORKFLOW, faults
from ecommerce.samples import careless_checkout, sample_checkout
from ecommerce.services import Drill, Product, Shop, use_shop
from support.until import until

from tasker import Tasker
from tasker.model.errors import InvalidInput
from tasker.model.task import TaskView
from tasker.model.template import Template
from tasker.templates import load_file

EXAMPLES = Path(__file__).parents[2] / "examples"
STEPS = ("validate_cart", "process_payment", "update_inventory", "create_order", "send_confirmation")
WIDGETS = (Product(1, "Widget A", 2999, 100), Product(2, "Widget B", 4999, 100))


@dataclass(frozen=True)
class Spelling:
    """A file of the workflow with its handlers. `template` waits 10 ms between tries."""

    path: Path
    handlers: str
    is_older: bool

    def template(self, environment: str | None = None) -> Template:
        loaded = load_file(self.path, environment=environment).template
        steps = [
            replace(step, retry=replace(step.retry, backoff_base_ms=10, max_backoff_ms=20)) for step in loaded.steps
        ]
        return replace(loaded, steps=tuple(steps))

    def tasker(self, database: str, environment: str | None = None) -> Tasker:
        return Tasker(database, templates=[self.template(environment)], handlers=[self.handlers])


SPELLINGS = {
    "functions": Spelling(WORKFLOW, "ecommerce.handlers", is_older=False),
    "classes": Spelling(LEGACY_WORKFLOW, "ecommerce.legacy.handlers", is_older=True),
}


@pytest.fixture(params=SPELLINGS)
def spelling(request: pytest.FixtureRequest) -> Spelling:
    """The two ways in which the workflow is written."""
    return SPELLINGS[request.param]


@pytest.fixture
async def tasker(database: str, shop: Shop, spelling: Spelling) -> AsyncIterator[Tasker]:
    """A Tasker that works on this spelling, as it is in production but for its waits."""
    async with spelling.tasker(database) as running:
        yield running


async def check_out(tasker: Tasker, *orders: Mapping[str, Any]) -> list[TaskView]:
    """The checkouts when they have ended."""
    submitted = await tasker.submit_many("process_order", list(orders), namespace="ecommerce")
    return [await tasker.wait(task.task_uuid, timeout=60) for task in submitted]


def order(**changed: Any) -> dict[str, Any]:
    return {**sample_checkout(), **changed}


def paid(**changed: Any) -> dict[str, Any]:
    return order(payment_info={**sample_checkout()["payment_info"], **changed})


def tries(done: TaskView) -> dict[str, int]:
    return {step.name: step.tries for step in done.steps}


async def test_a_checkout_completes(tasker: Tasker, shop: Shop) -> None:
    """Every step runs once, in order, and its result is there to read: the cart's prices, the charge, the order."""
    (done,) = await check_out(tasker, order(checkout_id="c1"))

    assert (done.status, done.errors) == ("complete", {})
    assert tries(done) == dict.fromkeys(STEPS, 1)
    moments = [(step.started_at, step.finished_at) for step in done.steps]
    assert all(moments[n][1] <= moments[n + 1][0] for n in range(4))
    assert [done.results["validate_cart"][key] for key in ("subtotal", "tax", "shipping", "total")] == [
        294.97,
        23.60,
        5.99,
        324.56,
    ]
    assert done.results["process_payment"]["amount_charged"] == 324.56
    assert done.results["update_inventory"]["total_items_reserved"] == 3
    assert done.results["update_inventory"]["updated_products"][0]["reservation_id"] == f"order_{done.task_uuid}"
    assert re.fullmatch(r"ORD-\d{8}-[0-9A-F]{8}", done.results["create_order"]["order_number"])
    assert done.results["send_confirmation"]["recipient"] == "customer1@example.com"
    books = shop.books()
    assert (books.charges, books.orders, books.mails) == (1, 1, 1)


async def test_two_widgets_and_another(database: str, spelling: Spelling, tmp_path: Path) -> None:
    """109.97 of goods cost 124.76 with 8 % tax and the cheapest parcel; the card takes 3.92 of it."""
    use_shop(Shop(tmp_path / "widgets", products=WIDGETS))
    try:
        async with spelling.tasker(database) as tasker:
            cart = [{"product_id": 1, "quantity": 2}, {"product_id": 2, "quantity": 1}]
            info = {"method": "paypal", "amount": 124.76, "currency": "EUR", "token": "test_success_paypal"}
            (done,) = await check_out(tasker, order(cart_items=cart, payment_info=info))
    finally:
        use_shop(None)

    cart_result, payment = done.results["validate_cart"], done.results["process_payment"]
    assert [cart_result[key] for key in ("subtotal", "tax", "shipping", "total")] == [109.97, 8.80, 5.99, 124.76]
    assert [item["line_total"] for item in cart_result["validated_items"]] == [59.98, 49.99]
    assert (payment["amount_charged"], payment["processing_fee"], payment["currency"]) == (124.76, 3.92, "EUR")
    assert done.results["create_order"]["total_amount"] == 124.76


PERMANENT = {
    "EMPTY_CART": ("validate_cart", order(cart_items=[])),
    "MISSING_PRODUCT_ID": ("validate_cart", order(cart_items=[{"quantity": 1}])),
    "INVALID_QUANTITY": ("validate_cart", order(cart_items=[{"product_id": 1, "quantity": 0}])),
    "PRODUCT_NOT_FOUND": ("validate_cart", order(cart_items=[{"product_id": 404, "quantity": 1}])),
    "PRODUCT_INACTIVE": ("validate_cart", order(cart_items=[{"product_id": 9, "quantity": 1}])),
    "MISSING_PAYMENT_METHOD": ("process_payment", order(payment_info={"token": "test_success_1"})),
    "MISSING_PAYMENT_TOKEN": ("process_payment", order(payment_info={"method": "paypal"})),
    "PAYMENT_AMOUNT_MISMATCH": ("process_payment", paid(amount=100.00)),
    "PAYMENT_DECLINED": ("process_payment", paid(token="test_insufficient_funds")),
    "INVALID_EMAIL": ("send_confirmation", order(customer_info={"email": "nobody"})),
}


async def test_permanent_errors_end_the_checkout_with_their_code(tasker: Tasker, shop: Shop) -> None:
    """What cannot succeed is executed once and ends in `error` with its code; what comes after it never runs."""
    ended = await check_out(tasker, *(context for _, context in PERMANENT.values()))

    for done, (code, (step, _)) in zip(ended, PERMANENT.items(), strict=True):
        before = STEPS.index(step)
        assert (done.status, {name: error["error_code"] for name, error in done.errors.items()}) == (
            "error",
            {step: code},
        )
        assert done.errors[step]["retryable"] is False
        assert list(tries(done).values()) == [1] * (before + 1) + [0] * (4 - before), code
        assert [one.state for one in done.steps[before + 1 :]] == ["pending"] * (4 - before)
    books = shop.books()
    assert (books.charges, books.orders, books.mails) == (1, 1, 0)  # of the customer without an address


async def test_an_order_without_a_customer(tasker: Tasker, shop: Shop, spelling: Spelling) -> None:
    """The new file refuses it before there is a task; the older one, whose schema is not enforced, at the order."""
    if not spelling.is_older:
        with pytest.raises(InvalidInput, match="email"):
            await check_out(tasker, order(customer_info={}))
        return
    (done,) = await check_out(tasker, order(customer_info={}))
    assert done.errors["create_order"]["error_code"] == "MISSING_CUSTOMER_INFO"
    assert done.results.keys() == {"validate_cart", "process_payment", "update_inventory"}


async def test_passing_faults_recover_by_themselves(tasker: Tasker, shop: Shop) -> None:
    """A fault at any step, before or after its work is done, costs tries and nothing else."""
    drills = [
        Drill(step, fault, strikes)
        for step, limit in faults.STEP_LIMITS.items()
        for fault in ("timeout", "unavailable")
        for strikes in range(1, min(2, limit - 1) + 1)
    ]
    shop.restock(3 * len(drills))

    ended = await check_out(tasker, *(order(checkout_id=str(drill), drill=drill.as_input()) for drill in drills))

    for done, drill in zip(ended, drills, strict=True):
        assert done.status == "complete", drill
        assert tries(done) == {**dict.fromkeys(STEPS, 1), drill.step: drill.times + 1}
        assert done.step(drill.step).error["error_code"] in ("TIMEOUT", "SERVICE_UNAVAILABLE")
    books = shop.books()
    assert (books.charges, books.orders, books.mails) == (len(drills),) * 3
    assert books.charged_twice == books.charged_without_order == frozenset()


async def test_a_gateway_that_stays_away_uses_up_the_tries(tasker: Tasker, shop: Shop) -> None:
    """A passing fault that does not pass ends in `error` after as many executions as the step has, unpaid."""
    timeout, failing = await check_out(tasker, paid(token="test_timeout_1"), paid(token="test_temp_fail_1"))

    assert [tries(done)["process_payment"] for done in (timeout, failing)] == [3, 3]
    assert timeout.errors["process_payment"]["error_code"] == "TIMEOUT"
    assert failing.errors["process_payment"]["error_code"] == "SERVICE_UNAVAILABLE"
    assert timeout.errors["process_payment"]["retryable"] is True
    assert shop.books().charges == 0


async def test_a_wish_for_a_pause_is_granted(tasker: Tasker, shop: Shop) -> None:
    """A gateway that asks for fewer calls is called again after the 30 seconds that it asked for, not before."""
    task = await tasker.submit("process_order", namespace="ecommerce", context=paid(token="test_rate_limit_1"))

    async def waiting() -> TaskView | None:
        view = await tasker.get(task.task_uuid)
        return view if view.status == "waiting_for_retry" else None

    view = await until(waiting, "the payment waits for its next try")

    step = view.step("process_payment")
    assert (step.tries, step.error["error_code"]) == (1, "RATE_LIMITED")
    assert 20 < (step.next_retry_at - datetime.now(UTC)).total_seconds() < 36


async def test_express_and_premium_are_promised_more(tasker: Tasker, shop: Shop) -> None:
    """The order says what an express order and a premium customer were promised."""
    premium = {**sample_checkout()["customer_info"], "tier": "premium"}
    express, both, neither = await check_out(
        tasker, order(priority="express"), order(priority="express", customer_info=premium), order()
    )

    fast = {"payment_timeout_ms": 15000, "payment_retries": 1, "email_retries": 2}
    assert express.results["create_order"]["express_processing"] == fast
    assert "premium_processing" not in express.results["create_order"]
    assert both.results["create_order"]["express_processing"] == fast
    assert both.results["create_order"]["premium_processing"] is True
    assert not {"express_processing", "premium_processing"} & neither.results["create_order"].keys()


async def test_an_empty_shelf_is_filled_and_the_step_tried_again(tasker: Tasker, shop: Shop) -> None:
    """More grinders than there are end in `error`; after a delivery an operator's retry completes the checkout."""
    info = {"method": "paypal", "token": "test_success_1"}
    (short,) = await check_out(tasker, order(cart_items=[{"product_id": 5, "quantity": 20}], payment_info=info))
    assert (short.status, short.errors["validate_cart"]["error_code"]) == ("error", "INSUFFICIENT_STOCK")
    assert tries(short)["validate_cart"] == 3

    shop.restock(5)
    await tasker.act("retry", short.task_uuid, step="validate_cart", actor="ada", reason="the delivery has come")

    done = await tasker.wait(short.task_uuid, timeout=60)
    assert done.status == "complete"
    assert (done.step("validate_cart").tries, done.step("validate_cart").attempt) == (1, 4)


async def test_a_mail_is_written_by_hand(tasker: Tasker, shop: Shop) -> None:
    """A wrong address stops the last step alone: the order stands, and a person completes the step."""
    (done,) = await check_out(tasker, order(customer_info={"email": "nobody"}))
    assert (done.status, shop.books().orders) == ("error", 1)

    result = {"email_sent": True, "recipient": "somebody@example.com"}
    await tasker.act("complete", done.task_uuid, step="send_confirmation", actor="ada", result=result)

    done = await tasker.wait(done.task_uuid, timeout=60)
    assert (done.status, done.results["send_confirmation"]) == ("complete", result)


async def test_a_careless_client_passes_in_the_demo_only(database: str, shop: Shop, spelling: Spelling) -> None:
    """The template's `demo` environment forgives a missing method and a wrong amount; production does not."""
    async with spelling.tasker(database) as tasker:
        (strict,) = await check_out(tasker, careless_checkout())
    lenient_template = replace(spelling.template("demo"), namespace="demo")
    async with Tasker(database, templates=[lenient_template], handlers=[spelling.handlers]) as tasker:
        task = await tasker.submit("process_order", namespace="demo", context=careless_checkout())
        lenient = await tasker.wait(task.task_uuid, timeout=60)

    assert strict.errors["process_payment"]["error_code"] == "MISSING_PAYMENT_METHOD"
    assert lenient.results["process_payment"]["amount_charged"] == 286.77
    assert lenient.results["process_payment"]["payment_method_type"] == "credit_card"


async def test_a_crowd_ends_as_it_should(tasker: Tasker, shop: Shop) -> None:
    """Of sixty checkouts at once each that meets a passing fault completes, and each hopeless one has its code."""
    crowd = faults.checkouts(seed=7, count=60, permanent_share=0.1)
    shop.restock(3 * len(crowd))

    ended = await check_out(tasker, *(one.context for one in crowd))

    codes = [next((error["error_code"] for error in done.errors.values()), None) for done in ended]
    assert codes == [one.error_code for one in crowd]
    assert [done.status for done in ended] == ["error" if one.error_code else "complete" for one in crowd]
    assert [tries(done)[one.drill.step] for one, done in zip(crowd, ended, strict=True) if one.drill] == [
        one.drill.times + 1 for one in crowd if one.drill
    ]
    books = shop.books()
    assert books.charged_twice == books.charged_without_order == frozenset()
    assert books.mails == sum(one.error_code is None for one in crowd)


async def test_both_spellings_work_side_by_side(database: str, shop: Shop) -> None:
    """Two versions of one workflow, each with its own handlers, run in one worker."""
    new, older = SPELLINGS.values()
    async with Tasker(
        database, templates=[new.template(), older.template()], handlers=[new.handlers, older.handlers]
    ) as tasker:
        versions = [new.template().version, older.template().version]
        done = [
            await tasker.wait(
                (
                    await tasker.submit("process_order", namespace="ecommerce", version=version, context=order())
                ).task_uuid,
                timeout=60,
            )
            for version in versions
        ]

    assert [(view.status, view.task.version) for view in done] == [("complete", version) for version in versions]
    assert ran_by(done[1]) != ran_by(done[0])


def ran_by(view: TaskView) -> Sequence[str]:
    return [step.handler for step in view.steps]


def test_the_readmes_program_runs(empty_database: str, tmp_path: Path) -> None:
    """What the example's page tells to type prints a completed checkout and its order."""
    (program,) = re.findall(r"^```python\n(.*?)^```", (EXAMPLES / "ecommerce/README.md").read_text(), re.S | re.M)

    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES), "TASKER_DATABASE_URL": empty_database},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert re.fullmatch(r"complete ORD-\d{8}-[0-9A-F]{8}", ran.stdout.strip()), ran.stderr
