"""API keys and the process that lets their holders in, for tests: a database, and a clock that tests move."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from tasker.server.auth.api_keys import ApiKeys
from tasker.server.auth.keys import ApiKey, ServerSecret, new_key, server_secret
from tasker.server.auth.roles import all_roles
from tasker.store.access import Access
from tasker.store.connection import Connection
from tasker.store.managed_keys import NewKey, end_key, issue_key

T = TypeVar("T")
SECRET = "a server's secret that is long enough"


@dataclass
class Ticks:
    """Seconds that pass when a test says so."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Door:
    """The API keys of a test's database."""

    connection: Connection
    secret: ServerSecret = field(default_factory=lambda: server_secret(SECRET))
    ticks: Ticks = field(default_factory=Ticks)
    access: Access = field(default_factory=Access)
    asked: int = 0
    error: Exception | None = None

    async def ask(self, work: Callable[[Connection], Awaitable[T]], /) -> T:
        """The process's way to the database; counted, and cut where `error` is set."""
        self.asked += 1
        if self.error is not None:
            raise self.error
        return await work(self.connection)

    def keys(self, *secrets: ServerSecret, roles: dict[str, list[str]] | None = None, cache_s: float = 3) -> ApiKeys:
        """What a process knows at its start: nothing."""
        known = all_roles(roles or {})
        secrets = secrets or (self.secret,)
        return ApiKeys(self.access, self.ask, secrets=secrets, roles=known, cache_s=cache_s, clock=self.ticks)

    async def make(
        self,
        *permissions: str,
        roles: Iterable[str] = (),
        namespaces: Iterable[str] | None = None,
        name: str = "shop",
        expires_in_s: float | None = None,
        secret: ServerSecret | None = None,
    ) -> ApiKey:
        """A key that may that."""
        key, secret = new_key(), secret or self.secret
        expires_at = None if expires_in_s is None else datetime.now(UTC) + timedelta(seconds=expires_in_s)
        stored = NewKey(
            key_id=key.key_id,
            name=name,
            digest=secret.digest(key),
            secret_name=secret.name,
            permissions=permissions,
            roles=list(roles),
            namespaces=None if namespaces is None else list(namespaces),
            expires_at=expires_at,
        )
        await issue_key(self.connection, stored, ends_with_maker=False, actor="root", maker=None)
        return key

    async def end(self, key_id: str, *, actor: str = "root", grace_s: float = 0) -> None:
        """Ends a key."""
        await end_key(self.connection, key_id, actor=actor, grace_s=grace_s)

    async def row(self, key: ApiKey) -> Any:
        """The row of a key."""
        return await self.connection.fetchrow("select * from tasker_engine.api_keys where key_id = $1", key.key_id)
