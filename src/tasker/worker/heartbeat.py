"""The heartbeat: its own thread, loop and connection, so that nothing that a handler does can stop it.

It beats for the session, refreshes what the session serves, and draws the sweep, which any process may do at any time;
and, with time between, the retention.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from tasker.store.connection import Connection
from tasker.store.errors import CONNECTION_ERRORS
from tasker.store.replies import Reply
from tasker.store.verbs import Verbs
from tasker.worker.log import log
from tasker.worker.net import Net
from tasker.worker.way import Way

_CALL_S = 1.0
_PAUSE_S = 0.2
_GONE_S = 5.0


@dataclass(slots=True)
class Pulse:
    """What the heartbeat says for a session."""

    session: int
    is_idle: bool
    stale_outcomes: int
    started: list[tuple[UUID, int, int, float]]
    held: list[tuple[UUID, int, int]]


class Heartbeat:
    """Runs until stop(). `pulse` (called in this thread) says what to beat, None between two sessions; `heard` (in this
    thread too) gets the answer with the channels served."""

    def __init__(
        self,
        way: Way,
        verbs: Verbs,
        *,
        beat_s: float,
        sweep_s: float,
        handlers: list[str],
        queues: list[str] | None,
        system_dependencies: list[str],
        pulse: Callable[[], Pulse | None],
        heard: Callable[[int, Reply, list[tuple[int, str]]], None],
    ) -> None:
        self._way = way
        self._verbs = verbs
        self._beat_s = beat_s
        self._net = Net(verbs, sweep_s, max(beat_s * 2, _CALL_S))
        self._handlers = handlers
        self._queues = queues
        self._system_dependencies = system_dependencies
        self._pulse = pulse
        self._heard = heard
        self._stop: Callable[[], object] | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to beat."""
        loop = asyncio.new_event_loop()
        beating = loop.create_task(self._beat_and_sweep())
        self._stop = lambda: loop.call_soon_threadsafe(beating.cancel)
        self._thread = threading.Thread(target=_run, args=(loop, beating), name="tasker-heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread in a moment, whatever it waits for: see join()."""
        if self._stop is not None:
            self._stop()
            self._stop = None

    def join(self) -> None:
        """Waits until the thread has ended."""
        if self._thread is not None:
            self._thread.join(_GONE_S)

    async def _beat_and_sweep(self) -> None:
        connection: Connection | None = None
        beat_at = 0.0
        try:
            while True:
                try:
                    connection = connection or await self._way.connect_with_patience()
                    if (now := time.monotonic()) >= beat_at:
                        await self._beat(connection)
                        beat_at = now + self._beat_s
                    await self._net.draw(connection)
                except CONNECTION_ERRORS:
                    connection, beat_at = _dropped(connection), 0.0
                    self._net.at_once()
                except Exception as error:
                    # Without a heartbeat all that the worker runs would be taken for lost: it goes on in any case.
                    log.warning("the heartbeat was refused", error=str(error), kind=type(error).__name__)
                    connection, beat_at = _dropped(connection), 0.0
                    self._net.later()
                    await asyncio.sleep(_PAUSE_S)
                await asyncio.sleep(max(0.0, min(beat_at, self._net.next_at) - time.monotonic()))
        finally:
            await _closed(connection)

    async def _beat(self, connection: Connection) -> None:
        pulse = self._pulse()
        if pulse is None:
            return
        async with asyncio.timeout(max(self._beat_s * 2, _CALL_S)):
            reply = await self._verbs.beat(
                connection,
                pulse.session,
                is_idle=pulse.is_idle,
                stale_outcomes=pulse.stale_outcomes,
                started=pulse.started,
                held=pulse.held,
            )
            channels = await self._verbs.serve(
                connection,
                pulse.session,
                self._handlers,
                self._queues,
                system_dependencies=self._system_dependencies,
            )
        self._heard(pulse.session, reply, channels)


def _run(loop: asyncio.AbstractEventLoop, beating: asyncio.Task[None]) -> None:
    with suppress(asyncio.CancelledError):
        loop.run_until_complete(beating)
    loop.close()


async def _closed(connection: Connection | None) -> None:
    if connection is not None:
        with suppress(*CONNECTION_ERRORS):
            async with asyncio.timeout(_CALL_S):
                await connection.close()
        connection.terminate()


def _dropped(connection: Connection | None) -> None:
    if connection is not None:
        connection.terminate()
