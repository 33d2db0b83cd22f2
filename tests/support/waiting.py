"""Waiting for a condition: a bounded poll, never a sleep for luck."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

PATIENCE_S = 10.0
_PAUSE_S = 0.002


async def until(condition: Callable[[], Awaitable[bool]], what: str, patience_s: float = PATIENCE_S) -> None:
    """Returns as soon as the condition holds; AssertionError with `what` when it does not within the time."""
    deadline = time.monotonic() + patience_s
    while not await condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"in {patience_s} s it did not come to this: {what}")
        await asyncio.sleep(_PAUSE_S)


async def until_blocked(engine: Any, connection: Any, patience_s: float = PATIENCE_S) -> None:
    """Returns when the server process of the connection waits for a lock that another one holds."""
    pid = connection.get_server_pid()

    async def is_blocked() -> bool:
        return bool(await engine.value("select cardinality(pg_blocking_pids($1)) > 0", pid))

    await until(is_blocked, f"server process {pid} waits for a lock", patience_s)
