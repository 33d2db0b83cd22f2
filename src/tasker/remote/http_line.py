"""A line over HTTP: each call a request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
import orjson

from tasker.client.answers import error_of
from tasker.client.profiles import Profile
from tasker.model.errors import ServerUnavailable
from tasker.remote.line import Line, raised

_PATH = "/v1/worker/sessions"


class HttpLine(Line):
    """See Line."""

    def __init__(
        self,
        profile: Profile,
        session: Callable[[], str],
        *,
        call_timeout_s: float | None,
        listens: asyncio.Event | None = None,
    ) -> None:
        super().__init__(profile, session, call_timeout_s=call_timeout_s, listens=listens)
        self._base = profile.url.rstrip("/")
        self._client = httpx2.AsyncClient(headers=profile.headers(), timeout=self._timeout_s)

    async def greet(self) -> None:
        """See Line."""
        try:
            answer = await self._client.get(f"{self._base}/health/ready")
        except httpx2.TransportError as error:
            raise ServerUnavailable(f"{self._base} does not answer ({type(error).__name__})") from error
        if not answer.is_success:
            raise ServerUnavailable(f"{self._base} is not ready ({answer.status_code})")

    async def _call(self, what: str, session: str, body: Mapping[str, Any], within_s: float) -> Any:
        path = _PATH if what == "open" else f"{_PATH}/{session}/{what}"
        try:
            answer = await self._client.post(
                self._base + path,
                content=orjson.dumps(body),
                headers={"content-type": "application/json"},
                timeout=within_s,
            )
        except httpx2.TimeoutException as error:
            raise TimeoutError(f"{self._base} did not answer in time") from error
        except httpx2.TransportError as error:
            raise ConnectionError(f"{self._base} does not answer ({type(error).__name__}: {error})") from error
        if answer.status_code == 200:
            return orjson.loads(answer.content)
        raise raised(error_of(answer.status_code, answer.content, answer.headers, self._base))

    async def _hang_up(self) -> None:
        await self._client.aclose()
