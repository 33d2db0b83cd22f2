"""API keys of a database, and of a server; see `tasker.cli.either`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from tasker.cli.acting import login_name
from tasker.cli.database import Database
from tasker.cli.exits import UsageError
from tasker.model.errors import SettingsError

if TYPE_CHECKING:
    from tasker.client import AsyncTaskerClient
    from tasker.operations.key_texts import ApiKey

LIFETIME_S = 365 * 86_400.0
PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a key is to be. `namespaces` None: all."""

    name: str
    permissions: Sequence[str]
    roles: Sequence[str]
    namespaces: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a key opens doors; with neither a year, or as long as its maker may give."""

    seconds: float | None = None
    is_endless: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A key in clear, and when it ends."""

    text: str
    key_id: str
    namespaces: Sequence[str] | None
    expires_at: datetime | None


class KeyWay(Protocol):
    """What the commands ask."""

    async def create(self, asked: Asked, lifetime: Lifetime) -> Made:
        """A new key."""
        ...

    async def list(self, *, every: bool) -> list[dict[str, Any]]:
        """Keys without their secrets, each with `opens_here`."""
        ...

    async def rotate(self, key_id: str, grace_s: float, lifetime: Lifetime) -> Made:
        """A key in place of another."""
        ...

    async def revoke(self, key_id: str, grace_s: float) -> None:
        """Ends one."""
        ...


class DatabaseKeys:
    """By the verbs: whoever has the database may make any key."""

    def __init__(self, database: Database) -> None:
        from tasker.store.access import Access

        self._on, self._settings = database.connection, database.settings
        self._access = Access(database.settings.schema_name)

    async def create(self, asked: Asked, lifetime: Lifetime) -> Made:
        """What it may is looked at first."""
        from tasker.operations.key_texts import new_key, secrets_of
        from tasker.operations.roles import all_roles, checked, of_roles
        from tasker.store.access import NewKey

        secret, expires_at = secrets_of(self._settings)[0], _end_of(lifetime)
        if not asked.permissions and not asked.roles:
            raise UsageError("a key that may nothing opens nothing: say --permission or --role")
        checked(asked.permissions, "--permission")
        of_roles(asked.roles, all_roles(self._settings.auth_roles))
        key = new_key()
        stored = NewKey(
            key_id=key.key_id,
            name=asked.name,
            digest=secret.digest(key),
            secret_name=secret.name,
            permissions=asked.permissions,
            roles=asked.roles,
            namespaces=asked.namespaces,
            expires_at=expires_at,
        )
        await self._access.create_key(self._on, stored, actor=login_name())
        return _made(key, asked.namespaces, expires_at)

    async def list(self, *, every: bool) -> list[dict[str, Any]]:
        """One query."""
        from tasker.operations.key_texts import secrets_of

        secrets = {secret.name for secret in secrets_of(self._settings)}
        found = [asdict(key) for key in await self._access.list_keys(self._on, only_live=not every)]
        shown = [{name: value for name, value in key.items() if name != "secret_name"} for key in found]
        return [{**one, "opens_here": key["secret_name"] in secrets} for one, key in zip(shown, found, strict=True)]

    async def rotate(self, key_id: str, grace_s: float, lifetime: Lifetime) -> Made:
        """By the verb."""
        from tasker.operations.key_texts import new_key, secrets_of

        secret, key, expires_at = secrets_of(self._settings)[0], new_key(), _end_of(lifetime)
        await self._access.rotate_key(
            self._on,
            key_id,
            key_id=key.key_id,
            digest=secret.digest(key),
            secret_name=secret.name,
            expires_at=expires_at,
            grace_s=grace_s,
            actor=login_name(),
        )
        return _made(key, None, expires_at)

    async def revoke(self, key_id: str, grace_s: float) -> None:
        """By the verb."""
        await self._access.revoke_key(self._on, key_id, actor=login_name(), grace_s=grace_s)


class ServerKeys:
    """By the client: a caller gives no more than it has."""

    def __init__(self, client: AsyncTaskerClient) -> None:
        self._client = client

    async def create(self, asked: Asked, lifetime: Lifetime) -> Made:
        """One request."""
        if not asked.permissions and not asked.roles:
            raise UsageError("a key that may nothing opens nothing: say --permission or --role")
        where = {"all_namespaces": True} if asked.namespaces is None else {"namespaces": list(asked.namespaces)}
        said = {"permissions": list(asked.permissions), "roles": list(asked.roles), **where, **_said(lifetime)}
        return _answered(await self._client.create_key(asked.name, **said))

    async def list(self, *, every: bool) -> list[dict[str, Any]]:
        """A request for each page."""
        found: list[dict[str, Any]] = []
        while True:
            cursor = found[-1]["key_id"] if found else None
            page = await self._client.list_keys(every=every, limit=PAGE, cursor=cursor)
            found += [key.model_dump() for key in page]
            if len(page) < PAGE:
                return found

    async def rotate(self, key_id: str, grace_s: float, lifetime: Lifetime) -> Made:
        """One request."""
        return _answered(await self._client.rotate_key(key_id, grace_s=grace_s, **_said(lifetime)))

    async def revoke(self, key_id: str, grace_s: float) -> None:
        """One request."""
        await self._client.revoke_key(key_id, grace_s=grace_s)


def _said(lifetime: Lifetime) -> dict[str, Any]:
    return {"never_expires": True} if lifetime.is_endless else {"expires_in_s": lifetime.seconds}


def _answered(made: Any) -> Made:
    return Made(text=made.key, key_id=made.key_id, namespaces=made.namespaces, expires_at=made.expires_at)


def _made(key: ApiKey, namespaces: Sequence[str] | None, expires_at: datetime | None) -> Made:
    return Made(text=key.text, key_id=key.key_id, namespaces=namespaces, expires_at=expires_at)


def _end_of(lifetime: Lifetime) -> datetime | None:
    """When a key ends that is made now. Raises SettingsError."""
    if lifetime.is_endless:
        return None
    try:
        return datetime.now(UTC) + timedelta(seconds=LIFETIME_S if lifetime.seconds is None else lifetime.seconds)
    except OverflowError:
        raise SettingsError("--expires is later than calendars go; say never") from None
