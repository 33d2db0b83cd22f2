"""A short pause, in both worlds."""

from __future__ import annotations

import asyncio
import time


async def async_pause(pause_s: float) -> None:
    """Lets others run meanwhile."""
    await asyncio.sleep(pause_s)


def pause(pause_s: float) -> None:
    """Blocks."""
    time.sleep(pause_s)
