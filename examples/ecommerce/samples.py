"""Checkouts to try by hand."""

from __future__ import annotations

from typing import Any


def customer(number: int = 1) -> dict[str, Any]:
    """A customer."""
    return {
        "id": number,
        "email": f"customer{number}@example.com",
        "name": f"Customer {number}",
        "tier": "premium" if number % 10 == 0 else "standard",
    }


def sample_checkout(token: str = "test_success_visa") -> dict[str, Any]:  # noqa: S107 - a token of test traffic
    """Two headphones and a bottle: 294.97, with tax and shipping 324.56. The token says what the gateway does."""
    return {
        "cart_items": [{"product_id": 1, "quantity": 2}, {"product_id": 3, "quantity": 1}],
        "payment_info": {"method": "credit_card", "amount": 324.56, "currency": "USD", "token": token},
        "customer_info": customer(),
        "priority": "standard",
    }


def careless_checkout() -> dict[str, Any]:
    """Names no payment method and an amount that the cart does not have. The demo environment lets it pass."""
    return {
        "cart_items": [{"product_id": 1, "quantity": 2}],
        "payment_info": {"token": "test_success_visa", "amount": 100.00},
        "customer_info": {"email": "test@example.com", "name": "Test Customer"},
    }
