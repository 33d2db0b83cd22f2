"""The office: what an order says, what it costs, and its invoice."""

from __future__ import annotations

from typing import Any

from tasker import PermanentError, depends_on, inputs, step_handler

CENTS_PER_LABEL = 12
CENTS_PER_LINE = 3


@step_handler("read_order")
@inputs("customer", "addresses")
def read_order(customer: str, addresses: list[str]) -> dict[str, Any]:
    """The addresses in lines, without those that are there twice."""
    blank = [place for place, address in enumerate(addresses, 1) if not address.strip()]
    if blank:
        raise PermanentError(f"addresses {blank} are empty", error_code="EMPTY_ADDRESS")
    unique = list(dict.fromkeys(address.strip() for address in addresses))
    return {"customer": customer, "addresses": [[line.strip() for line in one.split(",")] for one in unique]}


@step_handler("quote")
@depends_on(order="read_order")
def quote(order: dict[str, Any]) -> dict[str, Any]:
    """What the labels cost."""
    lines = sum(len(address) for address in order["addresses"])
    return {"cents": CENTS_PER_LABEL * len(order["addresses"]) + CENTS_PER_LINE * lines}


@step_handler("invoice")
@depends_on(order="read_order", price="quote", printed="print_labels")
def invoice(order: dict[str, Any], price: dict[str, Any], printed: dict[str, Any]) -> dict[str, Any]:
    """The invoice, for what was printed."""
    return {"text": f"{order['customer']}: {printed['labels']} labels, {price['cents'] / 100:.2f}"}
