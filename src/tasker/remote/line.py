"""A line to a server, in the place of a connection to the database.

What goes wrong on it is raised as what goes wrong on such a connection, so that a worker does the same about it:
whatever was asked may have happened, and the next turn finds out.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from tasker.client.profiles import Profile
from tasker.model.errors import (
    Backpressure,
    DatabaseUnavailable,
    InvalidInput,
    MalformedRequest,
    NotFound,
    NotStarted,
    PayloadTooLarge,
    RequestTimeout,
    RequestTooLarge,
    SchemaOutdated,
    ServerUnavailable,
    TaskerError,
    TaskNotFound,
    TurnSuperseded,
)
from tasker.store.errors import RefusedElsewhere
from tasker.worker.log import log, words

AWAIT_S = 20.0
_PAUSE_S = 1.0
_AWAY = (
    *(ServerUnavailable, DatabaseUnavailable, Backpressure, RequestTimeout),
    *(NotStarted, SchemaOutdated, TurnSuperseded),
)
_BAD_DATA = (InvalidInput, MalformedRequest, PayloadTooLarge, RequestTooLarge)


class SessionUnknown(TaskerError):
    """The server knows no such session of this worker."""


class Line(ABC):
    """One line. Calls on it follow one another, but for the one that waits for work.

    It waits for work while `listens` is set (None: always).
    """

    def __init__(
        self,
        profile: Profile,
        session: Callable[[], str],
        *,
        call_timeout_s: float | None,
        listens: asyncio.Event | None = None,
    ) -> None:
        self._profile = profile
        self._session = session
        self._listens = listens
        self._timeout_s = call_timeout_s or profile.timeout_s
        self._awaiting: asyncio.Task[None] | None = None
        self._is_closed = False

    async def open(self, body: Mapping[str, Any]) -> Any:
        """Begins a session."""
        return await self._call("open", body["session_uuid"], body, self._timeout_s)

    async def ask(self, session: str, what: str, body: Mapping[str, Any], *, wait_s: float = 0) -> Any:
        """What a call of a session is answered.

        Raises ConnectionError and TimeoutError where nobody knows whether it was heard, SessionUnknown, DatabaseError
        for what the engine refuses, and TaskerError for all else.
        """
        return await self._call(what, session, body, self._timeout_s + wait_s)

    @abstractmethod
    async def greet(self) -> None:
        """Raises ServerUnavailable where the server, or its database, does not answer."""

    @abstractmethod
    async def _call(self, what: str, session: str, body: Mapping[str, Any], within_s: float) -> Any:
        """What one call is answered; raises as `ask`."""

    @abstractmethod
    async def _hang_up(self) -> None:
        """Ends the connection."""

    async def add_listener(self, channel: str, callback: Callable[..., None]) -> None:
        """Calls back whenever there may be work for the session, until the line is closed."""
        if self._awaiting is not None:
            self._awaiting.cancel()
        self._awaiting = asyncio.create_task(self._await_work(channel, callback))

    def is_closed(self) -> bool:
        """True after close() and terminate()."""
        return self._is_closed

    def terminate(self) -> None:
        """Closes it without waiting for anything."""
        if not self._is_closed:
            self._is_closed = True
            if self._awaiting is not None:
                self._awaiting.cancel()
            closing = asyncio.ensure_future(self._hang_up())
            closing.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def close(self) -> None:
        """Closes it."""
        self._is_closed = True
        if self._awaiting is not None:
            self._awaiting.cancel()
        await self._hang_up()

    async def _await_work(self, channel: str, callback: Callable[..., None]) -> None:
        while True:
            if self._listens is not None:
                await self._listens.wait()
            try:
                found = await self.ask(self._session(), "wait", {"wait": AWAIT_S}, wait_s=AWAIT_S)
            except (OSError, TimeoutError, TaskerError, RefusedElsewhere) as error:
                log.debug("cannot wait for work; polling finds it", error=words(error))
                await asyncio.sleep(_PAUSE_S)
                continue
            if found["woken"]:
                callback(self, 0, channel, "")


def raised(error: TaskerError) -> Exception:
    """What a worker on a connection to the database would have met instead."""
    if isinstance(error, _AWAY):
        return ConnectionError(str(error))
    if isinstance(error, _BAD_DATA):
        return RefusedElsewhere("data", str(error))
    if isinstance(error, TaskNotFound):
        return RefusedElsewhere("stuck", str(error))
    return SessionUnknown(str(error)) if isinstance(error, NotFound) else error
