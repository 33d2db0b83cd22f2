"""API keys: seen, made and ended by callers who may. A key is shown once, to whoever makes it.

Nobody gives what they have not: no permission, no namespace. An API key gives no role either that it has not
itself, and makes no key that outlives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field

from tasker.model.errors import Forbidden, InvalidInput
from tasker.operations.fields import Name
from tasker.operations.key_texts import KEY_ID, ApiKey, new_key, secrets_of
from tasker.operations.registry import Access, Answer, Given, Scope, operation
from tasker.operations.roles import all_roles, checked, of_roles
from tasker.settings import Settings
from tasker.store import managed_keys as store
from tasker.store.managed_keys import ListedKey, NewKey

LIFETIME_S = 365 * 86_400.0
_LIFETIME_S_MAX = 100 * LIFETIME_S

KeyId = Annotated[str, Field(pattern=KEY_ID, description="What stands in a key between tsk_ and the second _.")]
Lifetime = Annotated[float, Field(gt=0, le=_LIFETIME_S_MAX, allow_inf_nan=False)]
Grace = Annotated[float, Field(ge=0, le=LIFETIME_S, allow_inf_nan=False)]


class KeyInfo(Answer):
    """A key, without its secret."""

    key_id: str
    name: str
    state: str = Field(description="live, ending (another took its place), expired or revoked.")
    permissions: list[str]
    roles: list[str]
    namespaces: list[str] | None = Field(description="Null: all.")
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    replaces: str | None
    last_used_at: datetime | None
    opens_here: bool = Field(description="Whether this server has the secret that it was made under.")


class ListKeys(Given):
    """Which keys, and from where on."""

    every: bool = Field(default=False, description="Also those that have ended.")
    limit: int = Field(100, ge=1, le=500)
    cursor: KeyId | None = Field(None, description="The id of the last key of the page before.")


@operation("auth:keys_read", Scope.ACROSS)
async def list_keys(access: Access, given: ListKeys) -> list[KeyInfo]:
    """List API keys, newest first: those all of whose namespaces are the caller's"""
    schema = access.engine.settings.schema_name
    found = await access.engine.ask(
        lambda connection: store.list_keys(
            connection, only_live=not given.every, limit=given.limit, behind=given.cursor, schema=schema
        )
    )
    return [_info(access, key) for key in found if _is_visible(access, key)]


class OfKey(Given):
    """One key."""

    key_id: KeyId


@operation("auth:keys_read", Scope.ACROSS)
async def get_key(access: Access, given: OfKey) -> KeyInfo:
    """Show an API key, without its secret"""
    return _info(access, await _read(access, given.key_id))


async def _read(access: Access, key_id: str) -> ListedKey:
    """Raises ApiKeyNotFound, for keys of namespaces that are not the caller's too."""
    schema = access.engine.settings.schema_name
    key = await access.engine.ask(lambda connection: store.read_key(connection, key_id, schema=schema))
    if not _is_visible(access, key):
        raise store.no_key(key_id)
    return key


def _is_visible(access: Access, key: ListedKey) -> bool:
    own = access.principal.namespaces
    return own is None or (bool(key.namespaces) and own.issuperset(key.namespaces or ()))


def _info(access: Access, key: ListedKey) -> KeyInfo:
    opens_here = key.secret_name in {secret.name for secret in secrets_of(access.engine.settings)}
    shown = {name: getattr(key, name) for name in KeyInfo.model_fields if name != "opens_here"}
    return KeyInfo.model_validate({**shown, "opens_here": opens_here})


class CreateKey(Given):
    """What a key may, and where; say `namespaces` or `all_namespaces`."""

    name: Name = Field(description="Whose it is; histories name it.", examples=["shop"])
    permissions: list[Name] = Field([], max_length=100, examples=[["tasks:create", "tasks:read"]])
    roles: list[Name] = Field([], max_length=100)
    namespaces: list[Name] | None = Field(None, min_length=1, max_length=1000, examples=[["ecommerce"]])
    all_namespaces: bool = False
    expires_in_s: Lifetime | None = Field(None, description="A year where nothing is said; no later than its maker.")
    never_expires: bool = False
    key_id: KeyId | None = Field(None, description="Made by the caller: the same again makes no second key.")


class KeyMade(Answer):
    """A new key. It is not shown again."""

    key: str = Field(description="What its holder sends.")
    key_id: str
    name: str
    namespaces: list[str] | None
    expires_at: datetime | None
    replaces: str | None


@operation("auth:keys_manage", Scope.ACROSS)
async def create_key(access: Access, given: CreateKey) -> KeyMade:
    """Make an API key, which is shown this once; it may no more than whoever makes it"""
    if bool(given.namespaces) == given.all_namespaces:
        raise InvalidInput("namespaces: say which, or all_namespaces, and not both")
    if not given.permissions and not given.roles:
        raise InvalidInput("permissions: a key that may nothing opens nothing; say permissions or roles")
    namespaces = None if given.all_namespaces else sorted(set(given.namespaces or ()))
    _check_gives(access, given.permissions, given.roles, namespaces)
    expires_at = _end_of(given.expires_in_s, never=given.never_expires)
    key = new_key(given.key_id)
    stored = stored_key(access.engine.settings, key, given.name, given.permissions, given.roles, namespaces, expires_at)
    ends_at = await access.engine.ask(
        lambda connection: store.issue_key(
            connection,
            stored,
            ends_with_maker=given.expires_in_s is None and not given.never_expires,
            actor=access.actor(),
            maker=_maker(access),
            schema=access.engine.settings.schema_name,
        )
    )
    return KeyMade(
        key=key.text, key_id=key.key_id, name=given.name, namespaces=namespaces, expires_at=ends_at, replaces=None
    )


class RotateKey(OfKey):
    """Which key another takes the place of, and for how long it works on."""

    grace_s: Grace = Field(86_400.0, description="Seconds that the older key works on.")
    expires_in_s: Lifetime | None = Field(None, description="A year where nothing is said; no later than its maker.")
    never_expires: bool = False
    new_key_id: KeyId | None = Field(None, description="Made by the caller: the same again makes no second key.")


@operation("auth:keys_manage", Scope.ACROSS)
async def rotate_key(access: Access, given: RotateKey) -> KeyMade:
    """Make an API key that takes the place of another and may the same, which its maker has to as well"""
    old = await _read(access, given.key_id)
    namespaces = None if old.namespaces is None else list(old.namespaces)
    _check_gives(access, old.permissions, old.roles, namespaces)
    expires_at, key = _end_of(given.expires_in_s, never=given.never_expires), new_key(given.new_key_id)
    stored = stored_key(access.engine.settings, key, old.name, old.permissions, old.roles, namespaces, expires_at)
    ends_at = await access.engine.ask(
        lambda connection: store.reissue_key(
            connection,
            old.key_id,
            stored,
            ends_with_maker=given.expires_in_s is None and not given.never_expires,
            grace_s=given.grace_s,
            actor=access.actor(),
            maker=_maker(access),
            schema=access.engine.settings.schema_name,
        )
    )
    return KeyMade(
        key=key.text,
        key_id=key.key_id,
        name=old.name,
        namespaces=namespaces,
        expires_at=ends_at,
        replaces=old.key_id,
    )


class RevokeKey(OfKey):
    """Which key ends, and when."""

    grace_s: Grace = Field(0.0, description="Seconds that it works on.")


@operation("auth:keys_manage", Scope.ACROSS)
async def revoke_key(access: Access, given: RevokeKey) -> KeyInfo:
    """End an API key: within seconds no server takes it"""
    await _read(access, given.key_id)
    schema, actor = access.engine.settings.schema_name, access.actor()
    await access.engine.ask(
        lambda on: store.end_key(on, given.key_id, actor=actor, grace_s=given.grace_s, schema=schema)
    )
    return _info(access, await _read(access, given.key_id))


def _check_gives(
    access: Access, permissions: Sequence[str], roles: Sequence[str], namespaces: list[str] | None
) -> None:
    """Raises Forbidden for what the caller has not itself, SettingsError for words that are no permission or role."""
    principal = access.principal
    if principal.kind == "none":
        raise Forbidden(
            "this server does not ask who calls, so it gives nobody a key: "
            "make one with `tasker auth key create --database-url …`, or on a server that asks"
        )
    wanted = {*checked(permissions, "permissions"), *of_roles(roles, all_roles(access.engine.settings.auth_roles))}
    if lacking := sorted(one for one in wanted if not principal.holds(one)):
        raise Forbidden(f"{principal.subject} cannot give what it lacks: {', '.join(lacking)}")
    if namespaces is None and principal.namespaces is not None:
        raise Forbidden(f"{principal.subject} is confined to namespaces, and cannot give all")
    for namespace in namespaces or ():
        access.require(namespace)


def _end_of(lifetime_s: float | None, *, never: bool) -> datetime | None:
    if never:
        if lifetime_s is not None:
            raise InvalidInput("never_expires: say that, or expires_in_s, and not both")
        return None
    return datetime.now(UTC) + timedelta(seconds=LIFETIME_S if lifetime_s is None else lifetime_s)


def _maker(access: Access) -> str | None:
    return access.principal.key if access.principal.kind == "api_key" else None


def stored_key(
    settings: Settings,
    key: ApiKey,
    name: str,
    permissions: Sequence[str],
    roles: Sequence[str],
    namespaces: Sequence[str] | None,
    expires_at: datetime | None,
) -> NewKey:
    """What the database is told of a key: its digest under the server's secret, never the key."""
    secret = secrets_of(settings)[0]
    return NewKey(
        key_id=key.key_id,
        name=name,
        digest=secret.digest(key),
        secret_name=secret.name,
        permissions=permissions,
        roles=roles,
        namespaces=namespaces,
        expires_at=expires_at,
    )
