"""Wake-ups: one NOTIFY for many, on a connection of its own, so that no transaction that writes carries one.

They only save idle workers a poll; losing all of them costs latency and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tasker.store.errors import CONNECTION_ERRORS

COALESCE_S = 0.01


class Wakes:
    """`nudge()` sends a wake-up at once, or 10 ms after the last one; calls in between ride along."""

    def __init__(self, send: Callable[[], Awaitable[object]]) -> None:
        self._send = send
        self._is_wanted = False
        self._next_at = float("-inf")
        self._sending: asyncio.Task[None] | None = None

    def nudge(self) -> None:
        """Some worker should look for work."""
        self._is_wanted = True
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_while_wanted())

    async def close(self) -> None:
        """Sends what is pending, and stops."""
        if self._sending is not None:
            await asyncio.gather(self._sending, return_exceptions=True)

    async def _send_while_wanted(self) -> None:
        loop = asyncio.get_running_loop()
        while self._is_wanted:
            await asyncio.sleep(self._next_at - loop.time())
            self._is_wanted = False
            self._next_at = loop.time() + COALESCE_S
            with suppress(*CONNECTION_ERRORS):  # polling finds the work
                await self._send()
