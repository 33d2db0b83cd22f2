"""The page about handlers shows code that works."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from tasker.handlers import as_handler

PAGE = Path(__file__).parents[2] / "docs" / "handlers.md"


def test_the_pages_code_runs(make_context, monkeypatch):
    """Every Python block of the page runs, and the handlers that it defines can be called."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    scope: dict[str, Any] = {"__name__": "handlers_page"}
    for block in blocks:
        # The functions must be found under the module that they name.
        exec(compile(block, str(PAGE), "exec"), scope)  # noqa: S102
    page = type(re)("handlers_page")
    vars(page).update(scope)
    monkeypatch.setitem(__import__("sys").modules, "handlers_page", page)

    context = make_context(
        {"payment_token": "t", "email": "a@b.example", "path": "/x"}, {"validate_cart": {"total": 5}}
    )
    results = {}
    for name in ("process_payment", "greet_customer", "SendConfirmation", "ProcessPayment", "resize_image"):
        handler = as_handler(scope[name])
        result = handler.call(context)
        results[handler.name] = asyncio.run(result) if handler.pool == "async" else result

    assert results == {
        "process_payment": {"payment_id": "pay_1"},
        "greet_customer": {"greeted": "a@b.example"},
        "send_confirmation": {"sent_to": "a@b.example"},
        "Shop::ProcessPaymentHandler": {"charged": 5, "token": "t"},
        "resize_image": {"path": "/x"},
    }
