"""Wake-ups: one NOTIFY for many, on a connection of its own, so that no transaction that writes carries one.

They only save idle workers a poll; losing all of them costs latency and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tasker.store.errors import CONNECTION_ERRORS

COALESCE_S = 0.01


class Wakes:
    """`nudge()` sends a wake-up within 10 ms; calls in between ride along."""

    def __init__(self, send: Callable[[], Awaitable[object]]) -> None:
        self._send = send
        self._pending: asyncio.Task[None] | None = None

    def nudge(self) -> None:
        """Some worker should look for work."""
        if self._pending is None or self._pending.done():
            self._pending = asyncio.create_task(self._send_soon())

    async def close(self) -> None:
        """Sends what is pending, and stops."""
        if self._pending is not None:
            await asyncio.gather(self._pending, return_exceptions=True)

    async def _send_soon(self) -> None:
        await asyncio.sleep(COALESCE_S)
        try:
            await self._send()
        except CONNECTION_ERRORS:
            return  # polling finds the work
