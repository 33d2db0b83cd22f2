"""A loop on a connection of its own: it does its round when it is woken, when somebody notifies, and every while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tasker.store.connection import Connection, connect_with_patience
from tasker.store.errors import CONNECTION_ERRORS, DatabaseError
from tasker.worker.log import log

_PAUSE_S, _PAUSE_MAX_S = 0.1, 2.0
_CALM_S = 10.0
_CALL_S = 10.0
_GOODBYE_S = 1.0


class Rounds:
    """`round` is called with a connection to the database, again at once where it answers True. What it raises ends the
    connection, and after a pause it is called with a new one."""

    def __init__(
        self, dsn: str, channel: str, round_: Callable[[Connection], Awaitable[bool]], *, poll_s: float, what: str
    ) -> None:
        self._dsn = dsn
        self._channel = channel
        self._round = round_
        self._poll_s = poll_s
        self._what = what
        self._wake = asyncio.Event()
        self._main: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins."""
        self._main = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends it, in the midst of a round if need be."""
        if self._main is not None:
            self._main.cancel()
            await asyncio.gather(self._main, return_exceptions=True)

    def wake(self, *_: object) -> None:
        """There may be something to do."""
        self._wake.set()

    async def _run(self) -> None:
        pause_s, failed_at = _PAUSE_S, float("-inf")
        while True:
            connection = await connect_with_patience(self._dsn, call_timeout_s=_CALL_S)
            try:
                await connection.add_listener(self._channel, self.wake)
                while True:
                    self._wake.clear()
                    has_more = await self._round(connection)
                    if not has_more:
                        await self._rest()
            except Exception as error:
                # Whatever goes wrong on the way to the broker or the database, work goes on by polling, and so do we.
                if time.monotonic() - failed_at > _CALM_S:
                    pause_s = _PAUSE_S
                failed_at = time.monotonic()
                is_ours = not isinstance(error, (*CONNECTION_ERRORS, DatabaseError))
                said = f"{type(error).__name__}: {error}"
                log.warning(f"{self._what}: trying again", error=said, seconds=pause_s, exc_info=is_ours)
            finally:
                await _close(connection)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _PAUSE_MAX_S)

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._poll_s):
                await self._wake.wait()


async def _close(connection: Connection) -> None:
    with suppress(*CONNECTION_ERRORS, TimeoutError):
        async with asyncio.timeout(_GOODBYE_S):
            await connection.close()
    connection.terminate()
