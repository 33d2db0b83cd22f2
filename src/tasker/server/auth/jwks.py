"""Public keys that an issuer publishes at an address, which change when the issuer says so.

They are looked at again every `auth_jwks_refresh_s`, and when a token names a key that is not among them, though not
within 30 s of the last look: made-up names cost the issuer nothing. A key that is gone from the set dies with the next
look. Where the issuer does not answer, the keys that are there serve `auth_jwks_stale_s` longer; then no token counts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

import httpx2
import orjson
import structlog

from tasker.model.errors import KeysUnavailable, SettingsError
from tasker.server.auth.public_keys import PublicKey, from_jwks, named

LOOK_AGAIN_S = 30.0
ANSWER_S_MAX = 5.0
ANSWER_BYTES_MAX = 262_144
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_log = structlog.get_logger("tasker.auth")


class PublishedKeys:
    """The keys at one address, as one process knows them. One event loop uses it."""

    def __init__(
        self,
        url: str,
        *,
        refresh_s: float,
        stale_s: float,
        fetch: Callable[[str], Awaitable[bytes]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._refresh_s, self._stale_s = checked_url(url), refresh_s, stale_s
        self._fetch, self._clock = fetch or fetched, clock
        self._keys: tuple[PublicKey, ...] = ()
        self._known_at = self._looked_at = float("-inf")
        self._looking = asyncio.Lock()

    async def keys(self, key_id: str | None) -> Sequence[PublicKey]:
        """The keys of that name, after a fresh look where one is due. Raises KeysUnavailable."""
        if self._clock() - self._known_at >= self._refresh_s:
            await self._look()
        found = self._usable(key_id)
        if not found and key_id is not None:
            await self._look()
            found = self._usable(key_id)
        return found

    def _usable(self, key_id: str | None) -> list[PublicKey]:
        if self._clock() - self._known_at >= self._refresh_s + self._stale_s:
            raise KeysUnavailable("the issuer of tokens does not publish its keys at the moment: try again later")
        return named(self._keys, key_id)

    async def _look(self) -> None:
        """Looks, unless that was done a moment ago. While one looks, the others go on with keys that still serve."""
        serves = self._clock() - self._known_at < self._refresh_s + self._stale_s
        if self._looking.locked() and serves:
            return
        async with self._looking:
            now = self._clock()
            if now - self._looked_at < LOOK_AGAIN_S:
                return
            self._looked_at = now
            try:
                keys, problems = from_jwks(orjson.loads(await self._fetch(self._url)))
            except (httpx2.HTTPError, OSError, TimeoutError, ValueError) as error:
                _log.warning("keys_not_published", url=self._url, error=f"{type(error).__name__}: {error}")
                return
            self._keys, self._known_at = tuple(keys), now
            for problem in problems:
                _log.info("key_left_out", url=self._url, problem=problem)


def checked_url(url: str) -> str:
    """The same address: https, or http on this machine, and without a password. Raises SettingsError."""
    parts = urlsplit(url)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not is_safe or not parts.hostname or parts.username is not None or parts.password is not None:
        shown = f"{parts.scheme}://{parts.hostname}{parts.path}"
        raise SettingsError(f"TASKER_AUTH_JWT_JWKS_URL: {shown} is no https address without a user in it")
    return url


async def fetched(url: str) -> bytes:
    """What lies at an address: at most 256 kB, within 5 s in all, without following anyone elsewhere.

    Raises OSError, TimeoutError or an error of the HTTP client.
    """
    body = bytearray()
    async with (
        asyncio.timeout(ANSWER_S_MAX),
        httpx2.AsyncClient(follow_redirects=False, trust_env=False) as client,
        client.stream("GET", url, headers={"accept": "application/json"}) as response,
    ):
        if response.status_code != 200:
            raise OSError(f"the answer was {response.status_code}")
        async for part in response.aiter_bytes():
            body += part
            if len(body) > ANSWER_BYTES_MAX:
                raise OSError(f"the answer is larger than {ANSWER_BYTES_MAX} bytes")
    return bytes(body)
