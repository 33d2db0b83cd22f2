"""A crowd of checkouts, some of which meet a fault: always the same ones for the same seed.

A passing fault hits the first one or two executions of one step, always fewer than the step has. A permanent one is a
checkout that must not succeed, whatever is tried.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

from ecommerce.samples import customer
from ecommerce.services import PRODUCTS, Drill

STEP_LIMITS = {
    "validate_cart": 3,
    "process_payment": 3,
    "update_inventory": 2,
    "create_order": 3,
    "send_confirmation": 5,
}
"""How often the workflow executes each step at most."""
PASSING_SHARE = 0.15
PERMANENT_SHARE = 0.02
STRIKES_MAX = 2
DAMAGE: dict[str, str] = {
    "test_insufficient_funds": "PAYMENT_DECLINED",
    "test_invalid_card": "PAYMENT_DECLINED",
    "no_such_product": "PRODUCT_NOT_FOUND",
    "inactive_product": "PRODUCT_INACTIVE",
    "no_mail_address": "INVALID_EMAIL",
}
"""What may be wrong with a checkout for good, and the error code that it ends with."""
UNSOLD_PRODUCTS = {"no_such_product": 404, "inactive_product": 9}


@dataclass(frozen=True, slots=True)
class Checkout:
    """One checkout: `context` is the input of its task, `error_code` what it must end with, None for success."""

    checkout_id: str
    context: dict[str, Any]
    drill: Drill | None = None
    error_code: str | None = None


def checkouts(
    seed: int, count: int, *, passing_share: float = PASSING_SHARE, permanent_share: float = PERMANENT_SHARE
) -> list[Checkout]:
    """`count` checkouts, of which exactly those shares, rounded, meet a passing and a permanent fault; none meets both.

    The shop needs enough in its warehouse: `Shop.restock(3 * count)` is always enough.
    """
    dice = random.Random(f"checkouts:{seed}:{count}")  # noqa: S311 - chance, not cryptography
    passing, permanent = round(count * passing_share), round(count * permanent_share)
    chosen = dice.sample(range(count), passing + permanent)
    crowd = [_healthy(number, dice) for number in range(count)]
    for number in chosen[:passing]:
        crowd[number] = _with_drill(crowd[number], dice)
    for place, number in enumerate(chosen[passing:]):
        # In turn, so that even a few permanent faults are of several kinds.
        crowd[number] = _damaged(crowd[number], list(DAMAGE)[place % len(DAMAGE)])
    return crowd


def _healthy(number: int, dice: random.Random) -> Checkout:
    checkout_id = f"checkout-{number:05d}"
    sold = [product.product_id for product in PRODUCTS if product.is_active]
    items = [
        {"product_id": product_id, "quantity": dice.randint(1, 3)}
        for product_id in dice.sample(sold, dice.randint(1, 3))
    ]
    context = {
        "checkout_id": checkout_id,
        "cart_items": items,
        "payment_info": {"method": "credit_card", "currency": "USD", "token": f"test_success_{number}"},
        "customer_info": customer(number),
        "priority": dice.choice(["standard", "standard", "standard", "express"]),
    }
    return Checkout(checkout_id, context)


def _with_drill(checkout: Checkout, dice: random.Random) -> Checkout:
    step = dice.choice(list(STEP_LIMITS))
    times = dice.randint(1, min(STRIKES_MAX, STEP_LIMITS[step] - 1))
    drill = Drill(step, "timeout" if dice.random() < 0.5 else "unavailable", times)
    return replace(checkout, drill=drill, context={**checkout.context, "drill": drill.as_input()})


def _damaged(checkout: Checkout, damage: str) -> Checkout:
    context = checkout.context
    if damage in UNSOLD_PRODUCTS:
        changed: dict[str, Any] = {"cart_items": [{"product_id": UNSOLD_PRODUCTS[damage], "quantity": 1}]}
    elif damage == "no_mail_address":
        changed = {"customer_info": {**context["customer_info"], "email": "nobody"}}
    else:
        changed = {"payment_info": {**context["payment_info"], "token": damage}}
    return replace(checkout, context={**context, **changed}, error_code=DAMAGE[damage])
