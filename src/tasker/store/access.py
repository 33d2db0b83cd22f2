"""API keys as a server asks for them that lets somebody in; `managed_keys` makes and ends them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tasker import sql
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


class Access:
    """The API keys of one schema."""

    def __init__(self, schema: str = sql.DEFAULT_SCHEMA) -> None:
        self._schema = schema

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

    async def touch_key(self, connection: Connection, key_id: str, *, every_s: float) -> None:
        """Notes that a key was used, unless that was noted in the last `every_s` seconds."""
        await self._fetch(connection, "touch_api_key($1, $2)", key_id, every_s)

    async def _fetch(self, connection: Connection, call: str, *arguments: Any) -> list[Any]:
        query = sql.in_schema(f"select * from tasker_engine.{call}", self._schema)  # noqa: S608 - our own words
        with translating():
            return await connection.fetch(query, *arguments)
