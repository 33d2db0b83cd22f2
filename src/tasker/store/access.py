"""API keys as the database knows them: one typed function per use, each one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tasker import sql
from tasker.model.errors import ApiKeyNotFound
from tasker.store.connection import Connection
from tasker.store.errors import translating


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key that a caller names: what it may, and the digest that its secret has to have."""

    key_id: str
    name: str
    digest: bytes = field(repr=False)
    secret_name: str
    permissions: tuple[str, ...]
    roles: tuple[str, ...]
    namespaces: tuple[str, ...] | None
    expires_in_s: float | None
    is_revoked: bool
    unused_s: float | None
    """Seconds since its last noted use; None where there was none."""


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key for people. `state` is live, ending (another took its place), expired or revoked."""

    key_id: str
    name: str
    state: str
    permissions: tuple[str, ...]
    roles: tuple[str, ...]
    namespaces: tuple[str, ...] | None
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    replaces: str | None
    last_used_at: datetime | None
    secret_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key to be stored."""

    key_id: str
    name: str
    digest: bytes = field(repr=False)
    secret_name: str
    permissions: Sequence[str]
    roles: Sequence[str]
    namespaces: Sequence[str] | None
    expires_at: datetime | None


def listed_key(row: Any) -> ListedKey:
    """A key of a row of list_api_keys."""
    known: dict[str, Any] = dict(row)
    for name in ("permissions", "roles", "namespaces"):
        known[name] = None if known[name] is None else tuple(known[name])
    return ListedKey(**known)


class Access:
    """The API keys of one schema."""

    def __init__(self, schema: str = sql.DEFAULT_SCHEMA) -> None:
        self._schema = schema

    async def create_key(self, connection: Connection, key: NewKey, *, actor: str) -> None:
        """Stores a key."""
        await self._fetch(
            connection,
            "create_api_key($1, $2, $3, $4, $5::text[], $6::text[], $7::text[], $8, $9)",
            key.key_id,
            key.name,
            key.digest,
            key.secret_name,
            key.permissions,
            key.roles,
            key.namespaces,
            key.expires_at,
            actor,
        )

    async def find_key(self, connection: Connection, key_id: str) -> FoundKey | None:
        """The key of that id, or None."""
        rows = await self._fetch(connection, "find_api_key($1)", key_id)
        if not rows:
            return None
        name, digest, secret_name, permissions, roles, namespaces, expires_in_s, is_revoked, unused_s = rows[0]
        return FoundKey(
            key_id,
            name,
            digest,
            secret_name,
            tuple(permissions),
            tuple(roles),
            None if namespaces is None else tuple(namespaces),
            expires_in_s,
            is_revoked,
            unused_s,
        )

    async def list_keys(self, connection: Connection, *, only_live: bool, limit: int = 1_000) -> list[ListedKey]:
        """Keys, newest first."""
        rows = await self._fetch(connection, "list_api_keys($1, $2)", only_live, limit)
        return [listed_key(row) for row in rows]

    async def touch_key(self, connection: Connection, key_id: str, *, every_s: float) -> None:
        """Notes that a key was used, unless that was noted in the last `every_s` seconds."""
        await self._fetch(connection, "touch_api_key($1, $2)", key_id, every_s)

    async def revoke_key(self, connection: Connection, key_id: str, *, actor: str, grace_s: float = 0) -> None:
        """Ends a key, after `grace_s`. Raises ApiKeyNotFound."""
        rows = await self._fetch(connection, "revoke_api_key($1, $2, $3)", key_id, actor, grace_s)
        if not rows[0][0]:
            raise ApiKeyNotFound(f"there is no API key {key_id}: `tasker auth key list` shows those that there are")

    async def rotate_key(
        self,
        connection: Connection,
        replaced: str,
        *,
        key_id: str,
        digest: bytes,
        secret_name: str,
        expires_at: datetime | None,
        grace_s: float,
        actor: str,
    ) -> None:
        """Stores a key that may what `replaced` may, and ends that one after `grace_s`. Raises ApiKeyNotFound."""
        rows = await self._fetch(
            connection,
            "rotate_api_key($1, $2, $3, $4, $5, $6, $7)",
            replaced,
            key_id,
            digest,
            secret_name,
            expires_at,
            grace_s,
            actor,
        )
        if not rows[0][0]:
            raise ApiKeyNotFound(
                f"there is no live API key {replaced} to take the place of: `tasker auth key list` shows those that are"
            )

    async def _fetch(self, connection: Connection, call: str, *arguments: Any) -> list[Any]:
        query = sql.in_schema(f"select * from tasker_engine.{call}", self._schema)  # noqa: S608 - our own words
        with translating():
            return await connection.fetch(query, *arguments)
