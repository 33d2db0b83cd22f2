"""`tasker auth key create|list|rotate|revoke`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.acting import login_name
from tasker.cli.common import Common, duration_s, flag, many
from tasker.cli.database import Database, with_database
from tasker.cli.show import print_aside, print_json, print_line, print_table, time
from tasker.model.errors import SettingsError

if TYPE_CHECKING:
    from tasker.server.auth.keys import ApiKey, ServerSecret
    from tasker.store.access import ListedKey

KeyId = Annotated[str, Parameter(help="The key's id: what stands between tsk_ and the second _.")]
Permissions = Annotated[list[str] | None, many("What it may: tasks:create, steps:*, … (`tasker auth permissions`).")]
Roles = Annotated[list[str] | None, many("Roles that it has.")]
Namespaces = Annotated[list[str] | None, many("Namespaces that it sees and uses.")]
Everywhere = Annotated[bool, flag("All namespaces, also those of later.")]
Expires = Annotated[str, Parameter(help="After 90d, 12h, …, or never.")]


def create(
    name: Annotated[str, Parameter(help="Whose it is; histories name it.")],
    /,
    *,
    permission: Permissions = None,
    role: Roles = None,
    namespace: Namespaces = None,
    all_namespaces: Everywhere = False,
    expires: Expires = "365d",
    common: Common = Common(),  # noqa: B008
) -> int:
    """Makes a key."""
    from tasker.server.auth.keys import new_key
    from tasker.store.access import Access, NewKey

    if bool(namespace) == all_namespaces:
        raise exits.UsageError("say --namespace NAME (several may follow), or --all-namespaces")
    key, expires_at = new_key(), _moment_of(expires)

    async def work(database: Database) -> NewKey:
        secret = _secret(database)
        _check_grants(database, permission or [], role or [])
        stored = NewKey(
            key_id=key.key_id,
            name=name,
            digest=secret.digest(key),
            secret_name=secret.name,
            permissions=permission or [],
            roles=role or [],
            namespaces=None if all_namespaces else sorted(set(namespace or [])),
            expires_at=expires_at,
        )
        await Access(database.settings.schema_name).create_key(database.connection, stored, actor=login_name())
        return stored

    stored = with_database(common, work)
    _print_key(key, common, name=name, namespaces=stored.namespaces, expires_at=expires_at)
    return exits.OK


def list_keys(
    *,
    every: Annotated[bool, Parameter(name="--all", negative=(), show_default=False, help="Ended ones too.")] = False,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Lists keys."""
    from tasker.server.auth.wiring import secrets_of
    from tasker.store.access import Access

    async def work(database: Database) -> tuple[list[ListedKey], set[str]]:
        found = await Access(database.settings.schema_name).list_keys(database.connection, only_live=not every)
        return found, {secret.name for secret in secrets_of(database.settings)}

    found, secrets = with_database(common, work)
    if common.json:
        print_json({"keys": [{**_shown(key), "opens_here": key.secret_name in secrets} for key in found]})
        return exits.OK
    rows = [
        (
            key.key_id,
            key.name,
            key.state if key.secret_name in secrets else "other secret",
            ", ".join([*key.roles, *key.permissions]),
            "all" if key.namespaces is None else ", ".join(key.namespaces),
            None if key.expires_at is None else time(key.expires_at),
            None if key.last_used_at is None else time(key.last_used_at),
        )
        for key in found
    ]
    columns = ("id", "name", "state", "may", "namespaces", "expires", "last used")
    print_table(columns, rows, empty="no keys: make one with `tasker auth key create NAME --role viewer`")
    return exits.OK


def rotate(
    key_id: KeyId,
    /,
    *,
    grace: Annotated[str, Parameter(help="How long the older key works on: 1d, 12h, 0s.")] = "1d",
    expires: Expires = "365d",
    common: Common = Common(),  # noqa: B008
) -> int:
    """Makes a successor."""
    from tasker.server.auth.keys import new_key
    from tasker.store.access import Access

    key, grace_s, expires_at = new_key(), duration_s(grace, "--grace"), _moment_of(expires)

    async def work(database: Database) -> None:
        secret = _secret(database)
        await Access(database.settings.schema_name).rotate_key(
            database.connection,
            key_id,
            key_id=key.key_id,
            digest=secret.digest(key),
            secret_name=secret.name,
            expires_at=expires_at,
            grace_s=grace_s,
            actor=login_name(),
        )

    with_database(common, work)
    _print_key(key, common, replaces=key_id, expires_at=expires_at)
    return exits.OK


def revoke(
    key_id: KeyId,
    /,
    *,
    grace: Annotated[str, Parameter(help="How long it works on: 1d, 12h.")] = "0s",
    common: Common = Common(),  # noqa: B008
) -> int:
    """Ends a key."""
    from tasker.store.access import Access

    grace_s = duration_s(grace, "--grace")

    async def work(database: Database) -> None:
        access = Access(database.settings.schema_name)
        await access.revoke_key(database.connection, key_id, actor=login_name(), grace_s=grace_s)

    with_database(common, work)
    if common.json:
        print_json({"key_id": key_id, "grace_s": grace_s})
    else:
        print_line(f"{key_id} ends {f'in {grace}' if grace_s else 'now: within 5 seconds no server takes it'}")
    return exits.OK


def _check_grants(database: Database, permissions: list[str], roles: list[str]) -> None:
    from tasker.server.auth.roles import all_roles, checked, of_roles

    if not permissions and not roles:
        raise exits.UsageError("a key that may nothing opens nothing: say --permission or --role")
    checked(permissions, "--permission")
    of_roles(roles, all_roles(database.settings.auth_roles))


def _secret(database: Database) -> ServerSecret:
    from tasker.server.auth.wiring import secrets_of

    return secrets_of(database.settings)[0]


def _moment_of(expires: str) -> datetime | None:
    """When a key ends that is made now."""
    if expires == "never":
        return None
    lifetime_s = duration_s(expires, "--expires")
    if lifetime_s <= 0:
        raise exits.UsageError("--expires: a key that has ended already opens nothing")
    try:
        return datetime.now(UTC) + timedelta(seconds=lifetime_s)
    except OverflowError:
        raise SettingsError(f"--expires: {expires} is later than calendars go; say never") from None


def _print_key(key: ApiKey, common: Common, *, expires_at: datetime | None, **about: Any) -> None:
    """The key itself alone on stdout, so that a script can catch it; what is said about it on stderr."""
    if common.json:
        print_json({"key": key.text, "key_id": key.key_id, "expires_at": expires_at, **about})
        return
    until = "it does not expire" if expires_at is None else f"it expires {time(expires_at)}"
    print_aside(f"API key {key.key_id}, {until}. Keep it now: it is not shown again.")
    print(key.text)


def _shown(key: ListedKey) -> dict[str, Any]:
    from dataclasses import asdict

    return {name: value for name, value in asdict(key).items() if name != "secret_name"}
