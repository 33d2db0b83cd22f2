"""How announcements of a broker are heeded."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tasker.worker.announcements import Announcements

pytestmark = pytest.mark.any_postgres


async def test_announcements_in_vain_are_put_off_and_never_left_out() -> None:
    """One that leads to work is heeded at once, as is the next; after a claim in vain the next waits, and is heeded."""
    counts, woken = Counter[str](), asyncio.Event()
    announcements = Announcements(woken.set, counts, pause_max_s=3600)
    announcements.heard()
    assert woken.is_set()
    counts["claims"] += 1  # it granted something
    woken.clear()
    announcements.heard()
    assert woken.is_set()
    counts.update(claims=1, vain_claims=1)
    woken.clear()
    announcements.heard()
    assert not woken.is_set()
    announcements.heard()  # rides along
    async with asyncio.timeout(30):
        await woken.wait()
