"""The proxy of the tests, and what rows do to it beyond: cutting one connection, latency, a narrow line."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from support.proxy import Proxy


class Wire(Proxy):
    """A line to the database that can be bad in more ways. `latency_s` is the longest delay of each message,
    `bytes_per_s` how much passes on each connection; 0 of either: none."""

    def __init__(self, server_dsn: str, *, seed: int) -> None:
        super().__init__(server_dsn, seed=seed)
        self._chance = random.Random(seed)
        self.latency_s = 0.0
        self.bytes_per_s = 0

    def cut_one(self) -> bool:
        """Cuts a random connection. False: there is none."""
        return self._call(self._cut_one)

    def _cut_one(self) -> bool:
        links: list[Any] = list(self._links)
        if links:
            self._chance.choice(links).cut()
        return bool(links)

    async def passes(self, link: Any, *, is_reply: bool) -> bool:
        """See Proxy."""
        if self.latency_s:
            await asyncio.sleep(self._chance.uniform(0, self.latency_s))
        if self.bytes_per_s:
            await asyncio.sleep(min(1.0, 2_000 / self.bytes_per_s))
        return await super().passes(link, is_reply=is_reply)
