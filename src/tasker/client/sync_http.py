"""Made by scripts/twin.py: see its source, the same with await.

Requests over HTTP, each sent once; `sync_calls` sends them again where that helps."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import httpx2
import orjson

from tasker.client.answers import error_of, error_told
from tasker.client.profiles import Profile
from tasker.client.requests import Call, call_of
from tasker.model.errors import ServerFault, ServerUnavailable
from tasker.operations import Operation

SILENT_S_MAX = 45.0
"""A stream that says nothing for so long, not even that it lives, is cut."""


class Http:
    """A wire to a server that speaks HTTP."""

    def __init__(self, profile: Profile, headers: Mapping[str, str], transport: httpx2.BaseTransport | None) -> None:
        self._base = profile.url.rstrip("/")
        self._timeout_s = profile.timeout_s
        self._client = httpx2.Client(
            headers={**headers, **profile.headers()}, timeout=profile.timeout_s, transport=transport
        )

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def answer(self, operation: Operation[Any], fields: Mapping[str, Any], timeout_s: float) -> bytes:
        """The JSON that one request is answered. Raises the error that the answer tells; ServerUnavailable without."""
        response = self._sent(call_of(operation, fields), httpx2.Timeout(timeout_s))
        if response.is_success:
            return response.content
        raise error_of(response.status_code, response.content, response.headers, self._base)

    def updates(self, operation: Operation[Any], fields: Mapping[str, Any], behind: str | None) -> Generator[bytes]:
        """The JSON of each update on one connection, until that ends or breaks. Raises as `answer`, also in the
        middle."""
        call = call_of(operation, fields, behind=behind)
        response = self._sent(call, httpx2.Timeout(self._timeout_s, read=SILENT_S_MAX))
        try:
            if not response.is_success:
                content = response.read()
                raise error_of(response.status_code, content, response.headers, self._base)
            for event in httpx2.EventSource(response):
                if event.event == "error":
                    raise error_told(orjson.loads(event.data)["error"])
                yield event.data.encode()
        except (httpx2.TransportError, httpx2.StreamError):
            return
        finally:
            response.close()

    def health(self) -> dict[str, Any]:
        """What the server says of itself, also that it is not ready. Raises ServerUnavailable, ServerFault."""
        response = self._sent(Call("GET", "/health/ready"), httpx2.Timeout(self._timeout_s))
        try:
            return orjson.loads(response.content)
        except orjson.JSONDecodeError as error:
            raise ServerFault(f"{self._base} answers {response.status_code}, and not in JSON: {error}") from error

    def _sent(self, call: Call, within: httpx2.Timeout) -> httpx2.Response:
        """One request. Raises ServerUnavailable where it is not answered."""
        request = self._client.build_request(
            call.method,
            self._base + call.path,
            params=call.query,
            content=call.body,
            headers=call.headers,
            timeout=within,
        )
        try:
            return self._client.send(request, stream=call.is_stream)
        except httpx2.TransportError as error:
            why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise ServerUnavailable(f"{self._base} does not answer ({why}): does a server run there?") from error
