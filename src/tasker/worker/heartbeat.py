"""The heartbeat: its own thread, loop and connection, so that nothing that a handler does can stop it.

It beats for the session, refreshes what the session serves, and draws the sweep, which any process may do at any time.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import structlog

from tasker.store.connection import Connection, connect_with_patience
from tasker.store.errors import CONNECTION_ERRORS
from tasker.store.verbs import Reply, Verbs

_log = structlog.get_logger("tasker.worker")
_PAUSE_S = 0.2


@dataclass(slots=True)
class Pulse:
    """What the heartbeat says for a session."""

    session: int
    is_idle: bool
    stale_outcomes: int
    started: list[tuple[UUID, int, int, float]]
    held: list[tuple[UUID, int, int]]


class Heartbeat:
    """Runs until stop(). `pulse` (called in this thread) says what to beat, None between two sessions; `heard` gets the
    answer with the channels served."""

    def __init__(
        self,
        dsn: str,
        verbs: Verbs,
        *,
        beat_s: float,
        sweep_s: float,
        handlers: list[str],
        queues: list[str] | None,
        pulse: Callable[[], Pulse | None],
        heard: Callable[[int, Reply, list[tuple[int, str]]], None],
    ) -> None:
        self._dsn = dsn
        self._verbs = verbs
        self._beat_s = beat_s
        self._sweep_s = sweep_s
        self._handlers = handlers
        self._queues = queues
        self._pulse = pulse
        self._heard = heard
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tasker-heartbeat", daemon=True)

    def start(self) -> None:
        """Begins to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, within a moment."""
        self._stopping.set()
        self._thread.join(5)

    def _run(self) -> None:
        asyncio.run(self._beat_and_sweep())

    async def _beat_and_sweep(self) -> None:
        connection: Connection | None = None
        beat_at = sweep_at = 0.0
        while not self._stopping.is_set():
            try:
                connection = connection or await self._connected()
                if connection is None:
                    return
                now = time.monotonic()
                if now >= beat_at:
                    await self._beat(connection)
                    beat_at = now + self._beat_s
                if now >= sweep_at:
                    await self._sweep(connection)
                    sweep_at = now + self._sweep_s
            except (*CONNECTION_ERRORS, TimeoutError):
                connection, beat_at, sweep_at = _dropped(connection), 0.0, 0.0
            except asyncpg.PostgresError as error:
                _log.warning("the heartbeat was refused", error=str(error))
                sweep_at = time.monotonic() + self._sweep_s
            await asyncio.to_thread(self._stopping.wait, min(_PAUSE_S, self._beat_s, self._sweep_s))
        if connection is not None:
            await connection.close()

    async def _connected(self) -> Connection | None:
        """A connection, as soon as the database answers; None when it is time to stop."""
        attempt = asyncio.create_task(connect_with_patience(self._dsn))
        while not attempt.done():
            if self._stopping.is_set():
                attempt.cancel()
                return None
            await asyncio.wait([attempt], timeout=_PAUSE_S)
        return attempt.result()

    async def _beat(self, connection: Connection) -> None:
        pulse = self._pulse()
        if pulse is None:
            return
        async with asyncio.timeout(max(self._beat_s, 1) * 2):
            reply = await self._verbs.beat(
                connection,
                pulse.session,
                is_idle=pulse.is_idle,
                stale_outcomes=pulse.stale_outcomes,
                started=pulse.started,
                held=pulse.held,
            )
            channels = await self._verbs.serve(connection, pulse.session, self._handlers, self._queues)
        self._heard(pulse.session, reply, channels)

    async def _sweep(self, connection: Connection) -> None:
        while True:
            swept = await self._verbs.sweep(connection)
            if not swept["is_leader"] or not swept["more"] or self._stopping.is_set():
                return


def _dropped(connection: Connection | None) -> None:
    if connection is not None:
        connection.terminate()
