"""Waiting for a condition, with a bound."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
POLL_S = 0.01


async def until(
    condition: Callable[[], T | Awaitable[T]], what: str = "the condition holds", *, within_s: float = 60
) -> T:
    """The first true value of the condition, asked every 10 ms; AssertionError when the bound is over."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what}")
        await asyncio.sleep(POLL_S)
