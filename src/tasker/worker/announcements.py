"""Heeding a broker's announcements: one that leads to work is heeded at once, and those in vain less and less.

Under load the steps that messages announce have long been taken by claims that were made anyway, here or elsewhere. A
claim for each such message would cost more than the work, and it is never left out, only put off.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

_FIRST_S, _PAUSE_MAX_S = 0.01, 0.1
_QUIET_S = 1.0


class Announcements:
    """`heard()` calls `wake`, now or within a tenth of a second (`pause_max_s`, where that is less). `counts` has the
    worker's `claims`, and those of them in vain (`vain_claims`)."""

    def __init__(self, wake: Callable[[], object], counts: Counter[str], *, pause_max_s: float) -> None:
        self._wake = wake
        self._counts = counts
        self._pause_max_s = min(pause_max_s, _PAUSE_MAX_S)
        self._pause_s = 0.0
        self._woken_at = float("-inf")
        self._seen = (0, 0)
        self._later: asyncio.TimerHandle | None = None

    def heard(self) -> None:
        """Messages have announced work. Called on the loop."""
        if self._later is not None:
            return
        self._judge()
        wait_s = self._woken_at + self._pause_s - time.monotonic()
        if wait_s <= 0:
            self._heed()
        else:
            self._later = asyncio.get_running_loop().call_later(wait_s, self._heed)

    def _judge(self) -> None:
        """Whether the last wake-up led to anything."""
        counts = self._counts
        claims, vain = counts["claims"] - self._seen[0], counts["vain_claims"] - self._seen[1]
        if claims > vain or time.monotonic() - self._woken_at > _QUIET_S:
            self._pause_s = 0.0
        elif claims:
            self._pause_s = min(self._pause_max_s, max(_FIRST_S, self._pause_s * 2))
        self._seen = counts["claims"], counts["vain_claims"]

    def _heed(self) -> None:
        self._later = None
        self._woken_at = time.monotonic()
        self._wake()
