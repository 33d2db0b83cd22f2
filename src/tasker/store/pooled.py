"""Connections through a pooler that lends a server's connection for one transaction, as PgBouncer does.

Nothing of a connection survives a transaction there: settings that it began with are refused or dropped, statements
that it prepared are another client's, and what it listens to is heard by whoever is lent it next. So

- statements are parsed anew each time, in the round trip before they run;
- the settings go along with each statement, as a condition that is evaluated before anything else, and end with its
  transaction: a verb stays one statement that commits by itself, and no lock waits for a client;
- LISTEN goes to the database past the pooler, where a DSN for that is given; else polling finds the work.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

from tasker.store.errors import CONNECTION_ERRORS, DatabaseError

_CALL = re.compile(r'select \* from [\w."]+\([^()]*\)')
_AGAIN_S = 1.0
Listen = Callable[[], Awaitable[Any]]
"""Opens a connection of the driver's past the pooler."""


class Ear:
    """Listens to one channel past the pooler until it is closed; when it was away, `callback` is called too."""

    def __init__(self, listen: Listen, channel: str, callback: Callable[..., None]) -> None:
        self._listen, self._channel, self._callback = listen, channel, callback
        self._connection: Any = None
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Returns when it listens, or could not; then it tries again by itself."""
        await self._begin()
        self._task = asyncio.create_task(self._keep())

    def close(self) -> None:
        """Hears nothing more."""
        if self._task is not None:
            self._task.cancel()
        if self._connection is not None:
            self._connection.terminate()

    async def _begin(self) -> bool:
        self._lost = lost = asyncio.Event()

        def lost_now(_: object) -> None:
            lost.set()

        try:
            self._connection = await self._listen()
            self._connection.add_termination_listener(lost_now)
            await self._connection.add_listener(self._channel, self._callback)
        except (*CONNECTION_ERRORS, DatabaseError, TimeoutError):
            lost.set()
            return False
        return True

    async def _keep(self) -> None:
        while True:
            await self._lost.wait()
            await asyncio.sleep(_AGAIN_S)
            if await self._begin():
                self._callback()  # something may have been said meanwhile


class PooledConnection:
    """A connection of the driver's, to a pooler. `settings` hold while a statement or a transaction runs.

    `listen` None: nothing is heard.
    """

    def __init__(self, raw: Any, settings: Mapping[str, str], listen: Listen | None) -> None:
        self._raw = raw
        self._settings = _set(tuple(settings.items()))
        self._listen = listen
        self._ears: list[Ear] = []
        self._is_inside = False

    async def fetch(self, query: str, /, *args: Any) -> list[Any]:
        """Its rows."""
        return await self._run(self._raw.fetch, query, args)

    async def fetchrow(self, query: str, /, *args: Any) -> Any:
        """Its first row, or None."""
        return await self._run(self._raw.fetchrow, query, args)

    async def fetchval(self, query: str, /, *args: Any) -> Any:
        """The first value of its first row, or None."""
        return await self._run(self._raw.fetchval, query, args)

    async def execute(self, query: str, /, *args: Any) -> Any:
        """Its status. Outside of a transaction without the settings."""
        return await self._raw.execute(query, *args)

    async def _run(self, ask: Callable[..., Awaitable[Any]], query: str, args: tuple[Any, ...]) -> Any:
        if self._is_inside:
            return await ask(query, *args)
        if _CALL.fullmatch(query):
            # The planner evaluates a condition that depends on nothing before it begins with the function.
            return await ask(f"{query} where (select {self._settings}) is not null", *args)
        async with self.transaction():
            return await ask(query, *args)

    @asynccontextmanager
    async def transaction(self, *, isolation: str = "read_committed") -> AsyncGenerator[None]:
        """A transaction with the settings; inside of one a part that can be undone by itself."""
        if self._is_inside:
            async with self._raw.transaction():
                yield
            return
        async with self._raw.transaction(isolation=isolation):
            await self._raw.execute(f"select {self._settings}")
            self._is_inside = True
            try:
                yield
            finally:
                self._is_inside = False

    async def add_listener(self, channel: str, callback: Callable[..., None], /) -> None:
        """Calls back at each notification, where there is a way past the pooler."""
        if self._listen is not None:
            ear = Ear(self._listen, channel, callback)
            self._ears.append(ear)
            await ear.open()

    async def close(self) -> None:
        """Closes it."""
        self._deafen()
        await self._raw.close()

    def terminate(self) -> None:
        """Closes it without waiting for anything."""
        self._deafen()
        self._raw.terminate()

    def _deafen(self) -> None:
        while self._ears:
            self._ears.pop().close()

    def get_server_version(self) -> Any:
        """The database's, as the driver has it."""
        return self._raw.get_server_version()

    def is_closed(self) -> bool:
        """True once it is of no use."""
        return self._raw.is_closed()


class PooledPool:
    """A pool of the driver's, to a pooler."""

    def __init__(self, raw: Any, settings: Mapping[str, str]) -> None:
        self._raw, self._settings = raw, settings

    @asynccontextmanager
    async def acquire(self) -> AsyncGenerator[PooledConnection]:
        """Lends a connection."""
        async with self._raw.acquire() as raw:
            yield PooledConnection(raw, self._settings, None)

    async def close(self) -> None:
        """Closes it when all that was lent is back."""
        await self._raw.close()

    def terminate(self) -> None:
        """Closes it at once."""
        self._raw.terminate()


@lru_cache(maxsize=8)
def _set(settings: tuple[tuple[str, str], ...]) -> str:
    """An expression that makes these settings hold until the end of the transaction."""
    calls = (f"pg_catalog.set_config('{name}', '{value}', true)" for name, value in settings)
    return f"pg_catalog.concat({', '.join(calls)})"
