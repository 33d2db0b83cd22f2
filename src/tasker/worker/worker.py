"""A worker: sessions one after the other, each turning on its own connection until it ends or the worker drains."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from uuid import UUID, uuid4

from tasker import __version__
from tasker.handlers import Handler
from tasker.handlers.api_closing import close_api_clients
from tasker.handlers.resolution import offers, system_dependencies
from tasker.model.errors import DatabaseUnavailable
from tasker.settings import Settings
from tasker.store.connection import Connection
from tasker.store.errors import CONNECTION_ERRORS, DatabaseError
from tasker.store.replies import Reply, Told
from tasker.store.verbs import Serving
from tasker.worker.admission import Admission
from tasker.worker.announcements import Announcements
from tasker.worker.checkpoints import Checkpoints
from tasker.worker.executor import Executor
from tasker.worker.heartbeat import Heartbeat, Pulse
from tasker.worker.held import POOLS, Held
from tasker.worker.host import end_dead_neighbours, host_name
from tasker.worker.log import log, words
from tasker.worker.pulses import Pulses
from tasker.worker.slots import Slots
from tasker.worker.submissions import Answer, Prepare
from tasker.worker.turns import Turns, Views, unheard
from tasker.worker.way import DatabaseWay, Way

_GOODBYE_S = 3.0
_CALL_S, _CALL_MAX_S = 1.0, 60.0
_TROUBLE_PAUSE_S, _TROUBLE_PAUSE_MAX_S = 0.1, 5.0
_CALM_S = 30.0
_OPEN_TRIES_MAX = 20


class Worker:
    """Runs the steps of these handlers, in these queues (None: all), until stop(). `dsn` may be any way to the engine.

    `ended` is told of tasks that end here, with what those have become for which `is_awaited` answers yes; `told` of
    domain events of steps that ended here; `session_opened` of each session's number; `left` when steps have become
    ready that others may take, and others idle.
    """

    def __init__(
        self,
        dsn: str | Way,
        settings: Settings,
        handlers: Mapping[str, Handler],
        *,
        queues: Sequence[str] | None = None,
        name: str | None = None,
        ended: Callable[[Sequence[tuple[UUID, str]], Views], None] = lambda _, __: None,
        is_awaited: Callable[[UUID], bool] = lambda _: False,
        told: Callable[[Sequence[Held], Sequence[Told]], None] = unheard,
        session_opened: Callable[[int], None] = lambda _: None,
        left: Callable[[], object] = lambda: None,
    ) -> None:
        self._way = DatabaseWay(dsn, settings.schema_name) if isinstance(dsn, str) else dsn
        self._settings = settings
        self._handlers = handlers
        self._queues = None if queues is None else list(queues)
        self._name = name or f"{socket.gethostname()}:{os.getpid()}"
        self._session_opened = session_opened
        self._verbs = self._way.verbs
        sizes = [settings.concurrency, settings.threads, settings.cpu_processes]
        self._slots = Slots(sizes)
        admission = Admission(self._verbs, handlers, self._way.read_definition)
        self.turns = Turns(
            self._verbs,
            self._slots,
            admission,
            poll_s=settings.poll_s,
            ended=ended,
            is_awaited=is_awaited,
            told=told,
            left=lambda: left() if self.idle_peers else None,
        )
        self._announcements = Announcements(self.turns.wake, self.turns.counts, pause_max_s=settings.poll_s)
        self._checkpoints = Checkpoints(
            self._way, self._verbs, lambda: self.turns.session, bytes_max=settings.checkpoint_bytes_max
        )
        self._executor = Executor(
            self._slots,
            threads=settings.threads,
            result_bytes_max=settings.result_bytes_max,
            done=self.turns.done,
            save=self._checkpoints.save,
        )
        self.turns.executor = self._executor
        self._is_open = False
        self._next_session = uuid4()  # kept until it is open: a lost reply leaves no second session behind
        self._pulses = Pulses(self.turns)
        self.idle_peers = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = asyncio.Event()
        self._hurried = asyncio.Event()
        self._main: asyncio.Task[None] | None = None
        self._draining: asyncio.Task[None] | None = None
        self._is_drained = asyncio.Event()

    @property
    def counts(self) -> Counter[str]:
        """How many claims, reports, outcomes, stale outcomes, … since the start."""
        return self.turns.counts

    async def start(self) -> None:
        """Opens the first session; returns when the worker takes work."""
        self._main = asyncio.create_task(self._run())
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait([ready, self._main], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._main.done():
            await self._main

    async def stop(self, drain_s: float | None = None) -> None:
        """Takes nothing more, lets running steps finish for a while, hands the others back, ends the session."""
        if self._main is None:
            return
        self.turns.drain()
        hurried = asyncio.create_task(self._hurried.wait())
        drain_s = self._settings.drain_s if drain_s is None else drain_s
        await asyncio.wait([self._main, hurried], timeout=drain_s, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not self._main.done():
            for held in self._slots.all():
                self._executor.stop(held, is_released=True)
            await asyncio.wait([self._main], timeout=_GOODBYE_S)
        self._main.cancel()
        await asyncio.gather(self._main, return_exceptions=True)

    async def drained(self) -> None:
        """Returns when the worker has stopped because an operator drained it."""
        await self._is_drained.wait()

    def hurry(self) -> None:
        """Ends a stop() under way: what still runs is handed back."""
        self._hurried.set()

    async def wait(self) -> None:
        """Returns when the worker has stopped."""
        if self._main is not None:
            await asyncio.wait([self._main])

    def wake(self) -> None:
        """There may be work."""
        self.turns.wake()

    def announced(self) -> None:
        """A broker's messages say that there may be work."""
        self._announcements.heard()

    async def submit_here(self, prepare: Prepare, count: int) -> Answer:
        """Submits so many tasks on the session's own connection, and starts what it can, if this worker is idle.

        None: it is not, or the connection was cut, and nobody knows whether it happened: submit the same ids elsewhere.
        """
        return await self.turns.submit_here(prepare, count) if self._is_open else None

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        heartbeat = Heartbeat(
            self._way,
            self._verbs,
            beat_s=self._settings.beat_s,
            sweep_s=self._settings.sweep_s,
            handlers=offers(self._handlers),
            queues=self._queues,
            system_dependencies=system_dependencies(self._handlers),
            pulse=self._pulse,
            heard=self._heard_in_thread,
        )
        timer = asyncio.create_task(self._executor.watch_timeouts())
        connection = await self._connect()
        try:
            connection = await self._open_first_session(connection)
            heartbeat.start()
            self._ready.set()
            connection = await self._turn_until_drained(connection)
        finally:
            self._is_open = False
            timer.cancel()
            heartbeat.stop()
            await self._executor.close()
            await self._checkpoints.close()
            await close_api_clients()
            await self._say_goodbye(connection)
            await asyncio.to_thread(heartbeat.join)

    async def _turn_until_drained(self, connection: Connection) -> Connection:
        """Whatever goes wrong on the way to the database or in it, the worker goes on: work waits for it."""
        pause_s, call_s, well_at = _TROUBLE_PAUSE_S, self._call_s, time.monotonic()
        while True:
            try:
                if connection.is_closed():
                    connection = await self._way.connect_with_patience(call_timeout_s=call_s)
                    await self._listen(connection)
                if await self._turn_one_session(connection):
                    return connection
            except Exception as error:
                if time.monotonic() - well_at > _CALM_S:
                    pause_s, call_s = _TROUBLE_PAUSE_S, self._call_s
                connection.terminate()
                if isinstance(error, TimeoutError):
                    log.warning("the database did not answer in time", seconds=call_s)
                    call_s = min(call_s * 2, _CALL_MAX_S)
                elif isinstance(error, CONNECTION_ERRORS):
                    log.warning("the database connection was lost", error=words(error))
                else:
                    # A traceback only of what is not the database's: it would show the values of users' steps.
                    log.error(
                        "a turn failed; trying again",
                        error=f"{type(error).__name__}: {error}",
                        seconds=pause_s,
                        exc_info=not isinstance(error, DatabaseError),
                    )
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * 2, _TROUBLE_PAUSE_MAX_S)
                well_at = time.monotonic()

    async def _turn_one_session(self, connection: Connection) -> bool:
        """Turns until the session ends, and opens the next one. True: the worker has drained."""
        await self.turns.run(connection)
        if not self.turns.session_ended:
            return True
        log.warning("the session was ended by others; opening a new one", session=self.turns.session)
        self._is_open = False
        await self.turns.leave_session(connection)
        if self.turns.is_draining:
            return True
        await self._open_session(connection)
        return False

    @property
    def _call_s(self) -> float:
        """How long a call of the turns may take before its connection counts as cut."""
        return max(self._settings.beat_s * 2, _CALL_S)

    async def _connect(self) -> Connection:
        return await self._way.connect(call_timeout_s=self._call_s)

    async def _open_first_session(self, connection: Connection) -> Connection:
        """Opens it on this connection, or on a new one where that is cut meanwhile: the database was there."""
        for _ in range(_OPEN_TRIES_MAX):
            try:
                await self._open_session(connection)
            except (*CONNECTION_ERRORS, TimeoutError) as error:
                log.warning("the database connection was lost", error=words(error))
                connection.terminate()
                connection = await self._way.connect_with_patience(call_timeout_s=self._call_s)
            else:
                return connection
        raise DatabaseUnavailable(
            f"the connection was cut {_OPEN_TRIES_MAX} times in a row while the worker began its session"
        )

    async def _open_session(self, connection: Connection) -> None:
        await end_dead_neighbours(self._verbs, connection)
        session = await self._verbs.open_session(
            connection, self._next_session, self._name, host_name(), os.getpid(), self._settings.lease_s
        )
        versions = {name: handler.version for name, handler in self._handlers.items()}
        await self._verbs.describe_session(connection, session, __version__, list(versions), list(versions.values()))
        self._serve(
            await self._verbs.serve(
                connection,
                session,
                offers(self._handlers),
                self._queues,
                system_dependencies=system_dependencies(self._handlers),
            )
        )
        self.turns.hold_off(False)
        self.turns.enter_session(session)
        await self._listen(connection)
        self._next_session = uuid4()
        self._is_open = True
        self._session_opened(session)

    async def _listen(self, connection: Connection) -> None:
        await connection.add_listener(self._settings.schema_name, self._notified)

    async def _say_goodbye(self, connection: Connection) -> None:
        """Ends the session, as far as the database answers; its lease ends it otherwise."""
        reason = "stopped" if self._draining is None else "drained"
        try:
            async with asyncio.timeout(_GOODBYE_S):
                if connection.is_closed():
                    connection = await self._connect()
                while await self._verbs.end_session(connection, self.turns.session, reason, is_loss=False):
                    pass
                await connection.close()
        except Exception as error:
            log.warning("could not end the session; its lease will", error=words(error))
        connection.terminate()

    def _notified(self, *_: object) -> None:
        self.turns.wake()

    # The heartbeat's side ---------------------------------------------------------------------------------------------

    def _pulse(self) -> Pulse | None:
        """Called in the heartbeat's thread."""
        return self._pulses.next() if self._is_open else None

    def _heard_in_thread(self, session: int, reply: Reply, channels: list[tuple[int, str]]) -> None:
        self._pulses.arrived(session_ended=reply.session_ended)
        assert self._loop is not None  # noqa: S101 - the heartbeat starts after the loop
        with suppress(RuntimeError):  # the loop is closed: the process ends
            self._loop.call_soon_threadsafe(self._heard, session, reply, channels)

    def _heard(self, session: int, reply: Reply, channels: list[tuple[int, str]]) -> None:
        if session != self.turns.session:
            return
        self.idle_peers = reply.idle_peers
        self.turns.lost(reply.gone)
        self.turns.hold_off(reply.wanted is not None)
        if reply.wanted == "drained" and self._draining is None:
            log.info("an operator drains this worker", session=session)
            self._draining = asyncio.create_task(self._drain())
        if len(channels) != len(self.turns.serving.channels):
            self._serve(channels)
            self.turns.wake()
        if reply.session_ended:
            self.turns.session_ended = True
            self.turns.wake()

    async def _drain(self) -> None:
        await self.stop()
        self._is_drained.set()

    def _serve(self, channels: list[tuple[int, str]]) -> None:
        pools = [POOLS.index(self._handlers[handler].pool) + 1 for _, handler in channels]
        self.turns.serving = Serving([channel for channel, _ in channels], pools)
