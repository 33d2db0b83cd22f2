"""Sending requests until they are answered, and following streams across cuts.

Connections that break and servers that are busy are waited out, within bounds: whatever is sent may be sent twice.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import httpx2
import orjson
import stamina

from tasker.client.answers import again, error_of, error_told
from tasker.client.pauses import async_pause
from tasker.client.profiles import Profile
from tasker.client.requests import Call, answer_of, call_of
from tasker.model.errors import ServerUnavailable, TaskerError
from tasker.operations import Operation

WAIT_FIRST_S, WAIT_MAX_S = 0.1, 5.0
SILENT_S_MAX = 45.0
"""A stream that says nothing for so long, not even that it lives, is cut."""
CUTS_MAX = 20
"""So often in turn a stream may end without having told anything."""
CUT_PAUSE_S = 0.5


class AsyncHttp:
    """The requests of one client."""

    def __init__(
        self,
        profile: Profile,
        *,
        attempts_max: int,
        retry_s: float,
        headers: Mapping[str, str],
        transport: httpx2.AsyncBaseTransport | None,
    ) -> None:
        self.profile = profile
        self._attempts_max, self._retry_s = attempts_max, retry_s
        self._base = profile.url.rstrip("/")
        self._client = httpx2.AsyncClient(
            headers={**headers, **profile.headers()}, timeout=profile.timeout_s, transport=transport
        )

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def call(self, operation: Operation[Any], fields: Mapping[str, Any], *, wait_s: float = 0) -> Any:
        """What an operation answers, which may take `wait_s` longer than other requests."""
        response = await self._answered(call_of(operation, fields), wait_s)
        return answer_of(operation, response.content, self._base)

    async def get(self, path: str) -> Any:
        """The JSON at a path that is no operation's; also of an answer that says that the server is not ready."""
        response = await self._once(Call("GET", path), self.profile.timeout_s)
        return orjson.loads(response.content)

    async def _answered(self, call: Call, wait_s: float = 0) -> httpx2.Response:
        """The answer, once it is no refusal that passes by itself. Raises the error that it tells."""
        timeout_s = self.profile.timeout_s + wait_s
        async for attempt in stamina.retry_context(
            on=again, attempts=self._attempts_max, timeout=self._retry_s, wait_initial=WAIT_FIRST_S, wait_max=WAIT_MAX_S
        ):
            with attempt:
                response = await self._once(call, timeout_s)
                if response.is_success:
                    return response
                content = await response.aread()
                await response.aclose()
                raise error_of(response.status_code, content, response.headers, self._base)
        raise AssertionError("attempts end with an answer, or with an error")

    async def _once(self, call: Call, timeout_s: float) -> httpx2.Response:
        """One request. Raises ServerUnavailable where it is not answered."""
        timeout = httpx2.Timeout(timeout_s, read=SILENT_S_MAX) if call.is_stream else httpx2.Timeout(timeout_s)
        request = self._client.build_request(
            call.method,
            self._base + call.path,
            params=call.query,
            content=call.body,
            headers=call.headers,
            timeout=timeout,
        )
        try:
            return await self._client.send(request, stream=call.is_stream)
        except httpx2.TransportError as error:
            raise self._away(error) from error

    def _away(self, error: Exception) -> ServerUnavailable:
        why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return ServerUnavailable(f"{self._base} does not answer ({why}): does a server run there?")

    async def stream(self, operation: Operation[Any], fields: Mapping[str, Any]) -> AsyncGenerator[Any]:
        """The updates of a stream. Where it is cut it goes on behind the last update, and begins only once."""
        cursor, has_begun, cuts = None, False, 0
        while cuts < CUTS_MAX:
            response = await self._answered(call_of(operation, fields, behind=cursor))
            cuts += 1
            async for update in self._updates(operation, response):
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
        raise ServerUnavailable(f"{self._base} cut the stream {CUTS_MAX} times in turn: is a proxy between?")

    async def _updates(self, operation: Operation[Any], response: httpx2.Response) -> AsyncIterator[Any]:
        """Those of one connection, until it ends or breaks. Raises the error that the stream tells, if it stays."""
        try:
            async for event in httpx2.EventSource(response):
                if event.event == "error":
                    error = error_told(orjson.loads(event.data)["error"])
                    if again(error) is False:
                        raise error
                    return
                yield answer_of(operation, event.data, self._base)
        except (httpx2.TransportError, httpx2.StreamError):
            return  # cut: whoever called opens it again
        finally:
            await response.aclose()


async def ready(http: AsyncHttp) -> dict[str, Any]:
    """What the server says of itself; `status` is `unavailable` where it does not answer."""
    try:
        return await http.get("/health/ready")
    except (TaskerError, orjson.JSONDecodeError) as error:
        return {"status": "unavailable", "message": str(error)}
