"""Letting in the holders of API keys, without asking the database for each request.

What is known of a key is good for `auth_cache_s` seconds, counted from before the database was asked: so a key that is
revoked is dead everywhere within that time. When the database does not answer, nobody is let in on older knowledge.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakValueDictionary

from tasker.model.errors import Forbidden, SettingsError, Unauthenticated
from tasker.operations.engine import Ask
from tasker.operations.principal import Principal
from tasker.server.auth.keys import ApiKey, ServerSecret, matches, parse_key
from tasker.server.auth.roles import of_roles
from tasker.store.access import FoundKey
from tasker.store.connection import Connection

KNOWN_MAX = 10_000
USE_NOTED_EVERY_S = 60.0
_NO_DIGEST = bytes(32)


class FindsKeys(Protocol):
    """What this needs of the store: see `store.access.Access`."""

    async def find_key(self, connection: Connection, key_id: str) -> FoundKey | None: ...
    async def touch_key(self, connection: Connection, key_id: str, *, every_s: float) -> None: ...


@dataclass(slots=True)
class _Known:
    """What the database said of an id, and when it was asked."""

    key: FoundKey | None
    asked_at: float
    use_noted_at: float

    def is_over(self, now: float) -> bool:
        """Whether the key has expired; by the clock that counts seconds, not by the time of day."""
        return self.key is None or (self.key.expires_in_s is not None and now - self.asked_at >= self.key.expires_in_s)


class ApiKeys:
    """The API keys of one database, as one process knows them. One event loop uses it."""

    def __init__(
        self,
        access: FindsKeys,
        ask: Ask,
        *,
        secrets: tuple[ServerSecret, ...],
        roles: Mapping[str, frozenset[str]],
        cache_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._access, self._ask, self._clock = access, ask, clock
        self._secrets = {secret.name: secret for secret in secrets}
        self._first_secret = secrets[0]
        self._roles = roles
        self._cache_s = cache_s
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def principal(self, text: str) -> Principal:
        """Who holds this key. Raises Unauthenticated, with one answer for unknown keys and wrong secrets.

        Raises DatabaseUnavailable where the database does not answer.
        """
        sent = parse_key(text)
        known = await self._look_up(sent.key_id)
        now = self._clock()
        secret = self._secrets.get(known.key.secret_name) if known.key is not None else None
        # The digest is worked out for unknown ids too: how long an answer takes does not tell which ids there are.
        is_right = matches(known.key.digest if known.key else _NO_DIGEST, sent, secret or self._first_secret)
        if known.key is None or secret is None or not is_right:
            raise Unauthenticated("this API key is not valid here", "invalid", known.key and known.key.key_id)
        if known.key.is_revoked:
            raise Unauthenticated("this API key was revoked", "invalid", known.key.key_id)
        if known.is_over(now):
            raise Unauthenticated("this API key has expired", "expired", known.key.key_id)
        await self._note_use(known, now)
        return self._holder(known.key)

    def _holder(self, key: FoundKey) -> Principal:
        try:
            permissions = frozenset(key.permissions) | of_roles(key.roles, self._roles)
        except SettingsError as error:
            raise Forbidden(f"what the API key {key.key_id} may is not known here: {error}") from error
        return Principal(
            subject=f"{key.name} ({key.key_id})",
            permissions=permissions,
            namespaces=None if key.namespaces is None else frozenset(key.namespaces),
            kind="api_key",
            key=key.key_id,
        )

    async def _look_up(self, key_id: str) -> _Known:
        """What is known of an id, or the database says; requests that come together ask once."""
        lock = self._asking.get(key_id) or self._asking.setdefault(key_id, asyncio.Lock())
        async with lock:
            now = self._clock()
            known = self._known.get(key_id)
            if known is None or now - known.asked_at >= self._cache_s:
                found = await self._ask(lambda connection: self._access.find_key(connection, key_id))
                known = _Known(found, now, _noted_at(found, now))
                self._remember(key_id, known)
        return known

    def _remember(self, key_id: str, known: _Known) -> None:
        self._known[key_id] = known
        self._known.move_to_end(key_id)
        while len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)

    async def _note_use(self, known: _Known, now: float) -> None:
        """At most once a minute and key, whatever the number of requests."""
        key = known.key
        if key is None or now - known.use_noted_at < USE_NOTED_EVERY_S:
            return
        known.use_noted_at = now
        await self._ask(
            lambda connection: self._access.touch_key(connection, key.key_id, every_s=USE_NOTED_EVERY_S / 2)
        )


def _noted_at(key: FoundKey | None, now: float) -> float:
    return float("-inf") if key is None or key.unused_s is None else now - key.unused_s


def new_digest(key: ApiKey, secret: ServerSecret) -> tuple[bytes, str]:
    """The digest to store of a new key, and the name of the secret that it was keyed with."""
    return secret.digest(key), secret.name
