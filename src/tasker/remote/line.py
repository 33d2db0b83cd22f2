"""A line to a server, in the place of a connection to the database.

What goes wrong on it is raised as what goes wrong on such a connection, so that a worker does the same about it:
whatever was asked may have happened, and the next turn finds out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
import orjson

from tasker.client.answers import error_of
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
from tasker.worker.log import log

AWAIT_S = 20.0
_PAUSE_S = 1.0
_PATH = "/v1/worker/sessions"
_AWAY = (
    *(ServerUnavailable, DatabaseUnavailable, Backpressure, RequestTimeout),
    *(NotStarted, SchemaOutdated, TurnSuperseded),
)
_BAD_DATA = (InvalidInput, MalformedRequest, PayloadTooLarge, RequestTooLarge)


class SessionUnknown(TaskerError):
    """The server knows no such session of this worker."""


class Line:
    """One line. Calls on it follow one another, but for the one that waits for work."""

    def __init__(self, profile: Profile, session: Callable[[], str], *, call_timeout_s: float | None) -> None:
        self._base = profile.url.rstrip("/")
        self._session = session
        self._timeout_s = call_timeout_s or profile.timeout_s
        self._client = httpx2.AsyncClient(headers=profile.headers(), timeout=self._timeout_s)
        self._awaiting: asyncio.Task[None] | None = None
        self._is_closed = False

    async def open(self, body: Mapping[str, Any]) -> Any:
        """Begins a session."""
        return await self._post(_PATH, body)

    async def ask(self, session: str, what: str, body: Mapping[str, Any], *, wait_s: float = 0) -> Any:
        """What a call of a session is answered.

        Raises ConnectionError and TimeoutError where nobody knows whether it was heard, SessionUnknown, DatabaseError
        for what the engine refuses, and TaskerError for all else.
        """
        return await self._post(f"{_PATH}/{session}/{what}", body, wait_s)

    async def greet(self) -> None:
        """Raises ServerUnavailable where the server, or its database, does not answer."""
        try:
            answer = await self._client.get(f"{self._base}/health/ready")
        except httpx2.TransportError as error:
            raise ServerUnavailable(f"{self._base} does not answer ({type(error).__name__})") from error
        if not answer.is_success:
            raise ServerUnavailable(f"{self._base} is not ready ({answer.status_code})")

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
            closing = asyncio.ensure_future(self._client.aclose())
            closing.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def close(self) -> None:
        """Closes it."""
        self._is_closed = True
        if self._awaiting is not None:
            self._awaiting.cancel()
        await self._client.aclose()

    async def _await_work(self, channel: str, callback: Callable[..., None]) -> None:
        while True:
            try:
                found = await self.ask(self._session(), "wait", {"wait": AWAIT_S}, wait_s=AWAIT_S)
            except (OSError, TimeoutError, TaskerError, RefusedElsewhere) as error:
                log.debug("cannot wait for work; polling finds it", error=str(error))
                await asyncio.sleep(_PAUSE_S)
                continue
            if found["woken"]:
                callback(self, 0, channel, "")

    async def _post(self, path: str, body: Mapping[str, Any], wait_s: float = 0) -> Any:
        try:
            answer = await self._client.post(
                self._base + path,
                content=orjson.dumps(body),
                headers={"content-type": "application/json"},
                timeout=self._timeout_s + wait_s,
            )
        except httpx2.TimeoutException as error:
            raise TimeoutError(f"{self._base} did not answer in time") from error
        except httpx2.TransportError as error:
            raise ConnectionError(f"{self._base} does not answer ({type(error).__name__}: {error})") from error
        if answer.status_code == 200:
            return orjson.loads(answer.content)
        raise raised(error_of(answer.status_code, answer.content, answer.headers, self._base))


def raised(error: TaskerError) -> Exception:
    """What a worker on a connection to the database would have met instead."""
    if isinstance(error, _AWAY):
        return ConnectionError(str(error))
    if isinstance(error, _BAD_DATA):
        return RefusedElsewhere("data", str(error))
    if isinstance(error, TaskNotFound):
        return RefusedElsewhere("stuck", str(error))
    return SessionUnknown(str(error)) if isinstance(error, NotFound) else error
