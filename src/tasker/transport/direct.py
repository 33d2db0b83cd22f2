"""The default: the tables themselves, and one NOTIFY for all that happens within 10 ms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

from tasker.worker.wakes import Wakes


class Direct:
    """`notify` wakes idle workers; each polls besides."""

    name = "direct"

    def __init__(self, notify: Callable[[], Awaitable[object]]) -> None:
        self._wakes = Wakes(notify)
        self.counts: Counter[str] = Counter()

    async def start(self) -> None:
        """There is nothing to begin."""

    async def stop(self) -> None:
        """Sends what is pending."""
        await self._wakes.close()

    def nudge(self) -> None:
        """Wakes idle workers soon."""
        self._wakes.nudge()
