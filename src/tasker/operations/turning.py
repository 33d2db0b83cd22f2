"""What a server needs to speak for workers on the network: connections for verbs, wake-ups, and the sweep.

It begins with the server, or with the first call of a worker, and keeps nothing that a restart would lose: where a
worker stands is in the database.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from tasker.model.errors import DatabaseUnavailable
from tasker.settings import Settings
from tasker.store.connection import Connection, Pool, connect, create_pool, unavailable
from tasker.store.errors import CONNECTION_ERRORS, DatabaseError
from tasker.store.verbs import Verbs
from tasker.worker.log import log, words
from tasker.worker.net import Net

T = TypeVar("T")
_TROUBLE_PAUSE_S = 1.0


class Turning:
    """One for a server process. `dsn` is asked once it is needed; its end is added to what the process `closes`."""

    def __init__(self, dsn: Callable[[], str], settings: Settings, closes: list[Callable[[], Awaitable[None]]]) -> None:
        closes.append(self.close)
        self._dsn = dsn
        self._settings = settings
        self._pool: Pool | None = None
        self._beginning = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._woken = asyncio.Event()
        self.wakes = 0
        """How many wake-ups have come; see beyond()."""

    async def start(self) -> None:
        """Begins without waiting for a worker's first call: where no worker is left, somebody has to notice."""
        if self._pool is None:
            await self._begin()

    async def ask(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """What `work` answers on a connection for verbs. It may be asked twice: repeat no turn that way. Raises
        DatabaseUnavailable."""
        try:
            return await self.ask_once(work)
        except CONNECTION_ERRORS:
            try:
                return await self.ask_once(work)
            except CONNECTION_ERRORS as error:
                raise unavailable(self._dsn(), error) from error

    async def ask_once(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """The same without a second try. Raises CONNECTION_ERRORS too."""
        pool = self._pool or await self._begin()
        async with pool.acquire() as connection:
            return await work(connection)

    async def beyond(self, seen: int, wait_s: float) -> bool:
        """Returns when more wake-ups than `seen` have come, or after so many seconds; whether they came."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while self.wakes == seen:
                    await self._woken.wait()
        return self.wakes != seen

    async def close(self) -> None:
        """Ends it all; the next call of a worker begins it anew."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def _begin(self) -> Pool:
        async with self._beginning:
            if self._pool is None:
                self._pool = await create_pool(self._dsn(), pinned=True, size=self._settings.server_connections)
                self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._sweep())]
            return self._pool

    async def _listen(self) -> None:
        """Hears the wake-ups of the whole installation. While the connection is away, polling finds the work."""
        while True:
            with suppress(DatabaseUnavailable, *CONNECTION_ERRORS):
                connection = await connect(self._dsn())
                try:
                    await connection.add_listener(self._settings.schema_name, self._heard)
                    # With a broker, this is where those are told who read its queues, or fill them.
                    await connection.add_listener(f"{self._settings.schema_name}_messages", self._heard)
                    while not connection.is_closed():  # noqa: ASYNC110 - the driver tells nobody
                        await asyncio.sleep(_TROUBLE_PAUSE_S)
                finally:
                    connection.terminate()
            await asyncio.sleep(_TROUBLE_PAUSE_S)

    def _heard(self, *_: object) -> None:
        self.wakes += 1
        self._woken.set()
        self._woken = asyncio.Event()

    async def _sweep(self) -> None:
        """Draws the net: workers on the network cannot. Of all processes that do, one at a time has its turn."""
        net = Net(Verbs(self._settings.schema_name), self._settings.sweep_s)
        while True:
            try:
                await self.ask_once(net.draw)
            except (DatabaseUnavailable, DatabaseError, TimeoutError, *CONNECTION_ERRORS) as error:
                log.warning("a sweep failed; the next one follows", error=words(error))
                net.later()
            await asyncio.sleep(max(0.0, net.next_at - time.monotonic()))
