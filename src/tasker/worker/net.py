"""The net under everything: the sweep and the retention, which any process may draw at any time."""

from __future__ import annotations

import asyncio
import time

from tasker.store.connection import Connection
from tasker.store.verbs import Verbs

_CALL_MAX_S = 60.0
_SWEEPS_PER_PRUNE = 60
_PRUNE_SHARE = 4
"""Retention takes at most one part in so many of the time."""


class Net:
    """Draws when it is time. A sweep that takes longer than `patience_s` raises TimeoutError: the server may be gone
    without a word, or the sweep be long, so the next one has twice the time."""

    def __init__(self, verbs: Verbs, sweep_s: float, patience_s: float = _CALL_MAX_S) -> None:
        self._verbs = verbs
        self._sweep_s = sweep_s
        self._prune_s = sweep_s * _SWEEPS_PER_PRUNE
        self._patience_s = patience_s
        self._sweep_at = 0.0
        self._prune_at = time.monotonic() + sweep_s

    async def draw(self, connection: Connection) -> None:
        """What it is time for, a little of it."""
        if (now := time.monotonic()) >= self._sweep_at:
            has_more = await self._sweep(connection)
            self._sweep_at = now if has_more else now + self._sweep_s
        if (now := time.monotonic()) >= self._prune_at:
            async with asyncio.timeout(_CALL_MAX_S):
                has_more = (await self._verbs.prune(connection))["more"]
            after = time.monotonic()
            self._prune_at = after + ((after - now) * (_PRUNE_SHARE - 1) if has_more else self._prune_s)

    @property
    def next_at(self) -> float:
        """When to draw again, on the monotonic clock."""
        return min(self._sweep_at, self._prune_at)

    def at_once(self) -> None:
        """The connection was cut: a sweep comes with the next one."""
        self._sweep_at = 0.0

    def later(self) -> None:
        """The database refused it: it gets a rest."""
        now = time.monotonic()
        self._sweep_at, self._prune_at = now + self._sweep_s, now + self._prune_s

    async def _sweep(self, connection: Connection) -> bool:
        try:
            async with asyncio.timeout(self._patience_s):
                swept = await self._verbs.sweep(connection)
        except TimeoutError:
            self._patience_s = min(self._patience_s * 2, _CALL_MAX_S)
            raise
        return swept["is_leader"] and swept["more"]
