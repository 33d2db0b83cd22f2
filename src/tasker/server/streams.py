"""Streams of every face: each goes on as long as its caller may watch, and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

from tasker.model.errors import Backpressure

RECHECK_S = 2.0
"""How often it is looked whether the caller may still watch: with what is known of a key for 3 s, 5 s after it was
revoked its streams are over."""


async def while_allowed(
    items: AsyncIterator[Any], check: Callable[[], Awaitable[object]], stopping: asyncio.Event | None = None
) -> AsyncGenerator[Any]:
    """The items, as long as `check` raises nothing. Raises what it raises; Backpressure once `stopping` is set."""
    loop = asyncio.get_running_loop()
    check_at = loop.time() + RECHECK_S
    coming = asyncio.ensure_future(_next(items))
    stopped = asyncio.ensure_future((stopping or asyncio.Event()).wait())
    try:
        while True:
            wait_s = max(0.0, check_at - loop.time())
            await asyncio.wait([coming, stopped], timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            if stopped.done():
                raise Backpressure("the server stops: watch on with the last cursor", retry_after_s=1)
            if loop.time() >= check_at:
                await check()
                check_at = loop.time() + RECHECK_S
            if coming.done():
                if (item := coming.result()) is None:
                    return
                yield item
                coming = asyncio.ensure_future(_next(items))
    finally:
        for task in (coming, stopped):
            task.cancel()
        await asyncio.gather(coming, stopped, return_exceptions=True)


async def _next(items: AsyncIterator[Any]) -> Any:
    """The next item; None at the end."""
    return await anext(items, None)
