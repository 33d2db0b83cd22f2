"""API keys as people see, make and end them: callers of the API within their namespaces, and never more than they may;
whoever has the database any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tasker import sql
from tasker.model.errors import ApiKeyNotFound
from tasker.store.asking import ask
from tasker.store.connection import Connection


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


async def list_keys(
    connection: Connection,
    *,
    only_live: bool,
    limit: int,
    behind: str | None = None,
    key_ids: Sequence[str] | None = None,
    schema: str = sql.DEFAULT_SCHEMA,
) -> list[ListedKey]:
    """Keys, newest first; `behind` is the last id of the page before."""
    call = "list_reached_keys($1, $2, $3, $4::text[])"
    return [listed_key(row) for row in await ask(connection, call, only_live, limit, behind, key_ids, schema=schema)]


async def read_key(connection: Connection, key_id: str, *, schema: str = sql.DEFAULT_SCHEMA) -> ListedKey:
    """One key, also one that has ended. Raises ApiKeyNotFound."""
    found = await list_keys(connection, only_live=False, limit=1, key_ids=[key_id], schema=schema)
    if not found:
        raise no_key(key_id)
    return found[0]


async def issue_key(
    connection: Connection,
    key: NewKey,
    *,
    ends_with_maker: bool,
    actor: str,
    maker: str | None,
    schema: str = sql.DEFAULT_SCHEMA,
) -> datetime | None:
    """Stores a key that the API key `maker` makes (None: another kind of caller); when it ends.

    With `ends_with_maker` it ends no later than that. Raises Forbidden for more than the maker has, ActionForbidden for
    an id that is taken. The same again does nothing.
    """
    call = "issue_api_key($1, $2, $3, $4, $5::text[], $6::text[], $7::text[], $8, $9, $10, $11)"
    stored = (key.key_id, key.name, key.digest, key.secret_name, key.permissions, key.roles, key.namespaces)
    (row,) = await ask(connection, call, *stored, key.expires_at, ends_with_maker, actor, maker, schema=schema)
    return row[0]


async def reissue_key(
    connection: Connection,
    replaced: str,
    key: NewKey,
    *,
    ends_with_maker: bool,
    grace_s: float,
    actor: str,
    maker: str | None,
    schema: str = sql.DEFAULT_SCHEMA,
) -> datetime | None:
    """Stores a key that may what `replaced` may, and ends that one after `grace_s`; see issue_key.

    Raises ApiKeyNotFound, and ActionForbidden where it has ended.
    """
    call = "reissue_api_key($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    stored = (key.key_id, key.digest, key.secret_name, key.expires_at)
    (row,) = await ask(connection, call, replaced, *stored, ends_with_maker, grace_s, actor, maker, schema=schema)
    if not row["is_known"]:
        raise no_key(replaced)
    return row["expires_at"]


async def end_key(
    connection: Connection, key_id: str, *, actor: str, grace_s: float, schema: str = sql.DEFAULT_SCHEMA
) -> None:
    """Ends a key, after `grace_s`. Raises ApiKeyNotFound."""
    (row,) = await ask(connection, "end_api_key($1, $2, $3)", key_id, actor, grace_s, schema=schema)
    if not row[0]:
        raise no_key(key_id)


def no_key(key_id: str) -> ApiKeyNotFound:
    """What to say where a key does not exist."""
    return ApiKeyNotFound(f"there is no API key {key_id}: `tasker auth key list` shows those that there are")
