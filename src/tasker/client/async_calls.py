"""Calls until they are answered, and streams that are followed across cuts, over HTTP or gRPC.

Connections that break and servers that are busy are waited out, within bounds: whatever is sent may be sent twice.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Protocol

import httpx2
import stamina

from tasker.client.answers import again
from tasker.client.async_http import AsyncHttp
from tasker.client.pauses import async_pause
from tasker.client.profiles import Profile
from tasker.client.requests import answer_of
from tasker.model.errors import ServerUnavailable, SettingsError, TaskerError
from tasker.operations import Operation

WAIT_FIRST_S, WAIT_MAX_S = 0.1, 5.0
CUTS_MAX = 20
"""So often in turn a stream may end without having told anything."""
CUT_PAUSE_S = 0.5


class AsyncWire(Protocol):
    """How requests travel, each of them once: AsyncHttp or AsyncGrpc."""

    async def answer(self, operation: Operation[Any], fields: Mapping[str, Any], timeout_s: float) -> bytes:
        """The JSON of the answer."""
        ...

    def updates(
        self, operation: Operation[Any], fields: Mapping[str, Any], behind: str | None
    ) -> AsyncGenerator[bytes]:
        """The JSON of each update of one connection."""
        ...

    async def health(self) -> dict[str, Any]:
        """What the server says of itself."""
        ...

    async def aclose(self) -> None:
        """Closes the connections."""
        ...


class AsyncCalls:
    """The calls of one client."""

    def __init__(self, profile: Profile, wire: AsyncWire, *, attempts_max: int, retry_s: float) -> None:
        self.profile, self.wire = profile, wire
        self._attempts_max, self._retry_s = attempts_max, retry_s

    async def call(self, operation: Operation[Any], fields: Mapping[str, Any], *, wait_s: float = 0) -> Any:
        """What an operation answers, once it is no refusal that passes by itself. It may take `wait_s` longer than
        others. Raises the error that the answer tells."""
        async for attempt in self._attempts():
            with attempt:
                content = await self.wire.answer(operation, fields, self.profile.timeout_s + wait_s)
                return answer_of(operation, content, self.profile.url)
        raise AssertionError("attempts end with an answer, or with an error")

    async def ready(self) -> dict[str, Any]:
        """What the server says of itself; `status` is `unavailable` where it does not answer."""
        try:
            return await self.wire.health()
        except TaskerError as error:
            return {"status": "unavailable", "message": str(error)}

    async def stream(self, operation: Operation[Any], fields: Mapping[str, Any]) -> AsyncGenerator[Any]:
        """The updates of a stream. Where it is cut it goes on behind the last update, and begins only once."""
        cursor, has_begun, cuts = None, False, 0
        while cuts < CUTS_MAX:
            cuts += 1
            async with aclosing(self._updates(operation, fields, cursor)) as updates:
                async for update in updates:
                    cursor = update.cursor
                    is_beginning = update.update_type == "ready"
                    if is_beginning and has_begun:
                        continue
                    has_begun = True
                    cuts = cuts if is_beginning else 0
                    yield update
                    if update.is_last:
                        return
            await async_pause(CUT_PAUSE_S)
        raise ServerUnavailable(f"{self.profile.url} cut the stream {CUTS_MAX} times in turn: is a proxy between?")

    def _attempts(self) -> Any:
        return stamina.retry_context(
            on=again, attempts=self._attempts_max, timeout=self._retry_s, wait_initial=WAIT_FIRST_S, wait_max=WAIT_MAX_S
        )

    async def _updates(
        self, operation: Operation[Any], fields: Mapping[str, Any], behind: str | None
    ) -> AsyncGenerator[Any]:
        """Those of one connection, until it ends or breaks. Raises the error that the stream tells, if it stays."""
        contents, first = await self._begun(operation, fields, behind)
        async with aclosing(contents):
            if first is not None:
                yield answer_of(operation, first, self.profile.url)
            try:
                async for content in contents:
                    yield answer_of(operation, content, self.profile.url)
            except TaskerError as error:
                if again(error) is False:
                    raise

    async def _begun(
        self, operation: Operation[Any], fields: Mapping[str, Any], behind: str | None
    ) -> tuple[AsyncGenerator[bytes], bytes | None]:
        """A connection with its first update; None where it ended without one."""
        async for attempt in self._attempts():
            with attempt:
                contents = self.wire.updates(operation, fields, behind)
                return contents, await anext(contents, None)
        raise AssertionError("attempts end with an answer, or with an error")


def async_wire(profile: Profile, headers: Mapping[str, str], transport: httpx2.AsyncBaseTransport | None) -> AsyncWire:
    """The wire that a profile's address names. Raises SettingsError."""
    if not profile.is_grpc:
        return AsyncHttp(profile, headers, transport)
    if transport is not None:
        raise SettingsError(f"{profile.url}: a transport is for HTTP; gRPC has channels of its own")
    try:
        from tasker.client.async_grpc import AsyncGrpc
    except ImportError as error:
        raise SettingsError(f"{profile.url}: gRPC is not installed: pip install 'tasker-engine[grpc]'") from error
    return AsyncGrpc(profile, headers)
