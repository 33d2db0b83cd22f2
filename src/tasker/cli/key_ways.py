"""API keys of a database, and of a server; see `tasker.cli.either`."""

from __future__ import annotations

import re
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
KEYS_MAX = 10_000


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
        self._on, self._settings = database.connection, database.settings
        self._schema = database.settings.schema_name

    async def create(self, asked: Asked, lifetime: Lifetime) -> Made:
        """What it may is looked at first."""
        from tasker.operations.key_texts import new_key
        from tasker.operations.keys import stored_key
        from tasker.operations.roles import all_roles, checked, of_roles
        from tasker.store.managed_keys import issue_key

        expires_at, key = _end_of(lifetime), new_key()
        if not asked.permissions and not asked.roles:
            raise UsageError("a key that may nothing opens nothing: say --permission or --role")
        checked(asked.permissions, "--permission")
        of_roles(asked.roles, all_roles(self._settings.auth_roles))
        stored = stored_key(
            self._settings, key, asked.name, asked.permissions, asked.roles, asked.namespaces, expires_at
        )
        await issue_key(self._on, stored, **self._of_login())
        return _made(key, asked.namespaces, expires_at)

    async def list(self, *, every: bool) -> list[dict[str, Any]]:
        """One query."""
        from tasker.operations.key_texts import secrets_of
        from tasker.store.managed_keys import list_keys

        secrets = {secret.name for secret in secrets_of(self._settings)}
        keys = await list_keys(self._on, only_live=not every, limit=KEYS_MAX, schema=self._schema)
        found = [asdict(key) for key in keys]
        shown = [{name: value for name, value in key.items() if name != "secret_name"} for key in found]
        return [{**one, "opens_here": key["secret_name"] in secrets} for one, key in zip(shown, found, strict=True)]

    async def rotate(self, key_id: str, grace_s: float, lifetime: Lifetime) -> Made:
        """A look at the older key, and the verb."""
        from tasker.operations.key_texts import new_key
        from tasker.operations.keys import stored_key
        from tasker.store.managed_keys import read_key, reissue_key

        old, key, expires_at = await read_key(self._on, key_id, schema=self._schema), new_key(), _end_of(lifetime)
        stored = stored_key(self._settings, key, old.name, old.permissions, old.roles, old.namespaces, expires_at)
        await reissue_key(self._on, key_id, stored, grace_s=grace_s, **self._of_login())
        return _made(key, old.namespaces, expires_at)

    async def revoke(self, key_id: str, grace_s: float) -> None:
        """By the verb."""
        from tasker.store.managed_keys import end_key

        await end_key(self._on, key_id, actor=login_name(), grace_s=grace_s, schema=self._schema)

    def _of_login(self) -> dict[str, Any]:
        """Who makes a key: somebody at a shell, who has all that a key may have."""
        return {"ends_with_maker": False, "actor": login_name(), "maker": None, "schema": self._schema}


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
        _check_shape(key_id)
        return _answered(await self._client.rotate_key(key_id, grace_s=grace_s, **_said(lifetime)))

    async def revoke(self, key_id: str, grace_s: float) -> None:
        """One request."""
        _check_shape(key_id)
        await self._client.revoke_key(key_id, grace_s=grace_s)


def _check_shape(key_id: str) -> None:
    """Raises ApiKeyNotFound: what cannot be an id is none, through either door."""
    from tasker.operations.key_texts import KEY_ID
    from tasker.store.managed_keys import no_key

    if not re.match(KEY_ID, key_id):
        raise no_key(key_id)


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
