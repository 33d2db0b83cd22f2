"""`tasker auth key create|list|rotate|revoke`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.common import Where, duration_s, flag, many
from tasker.cli.either import on_either
from tasker.cli.key_ways import Asked, DatabaseKeys, KeyWay, Lifetime, Made, ServerKeys
from tasker.cli.show import print_aside, print_json, print_line, print_table, time

T = TypeVar("T")
KeyId = Annotated[str, Parameter(help="The key's id: what stands between tsk_ and the second _.")]
Permissions = Annotated[list[str] | None, many("What it may: tasks:create, steps:*, … (`tasker auth permissions`).")]
Roles = Annotated[list[str] | None, many("Roles that it has.")]
Namespaces = Annotated[list[str] | None, many("Namespaces that it sees and uses.")]
Everywhere = Annotated[bool, flag("All namespaces, also those of later.")]
Expires = Annotated[str | None, Parameter(help="After 90d, 12h, …, or never; else a year.")]


def create(
    name: Annotated[str, Parameter(help="Whose it is; histories name it.")],
    /,
    *,
    permission: Permissions = None,
    role: Roles = None,
    namespace: Namespaces = None,
    all_namespaces: Everywhere = False,
    expires: Expires = None,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Makes a key."""
    if bool(namespace) == all_namespaces:
        raise exits.UsageError("say --namespace NAME (several may follow), or --all-namespaces")
    lifetime = _lifetime(expires)
    asked = Asked(
        name=name,
        permissions=permission or [],
        roles=role or [],
        namespaces=None if all_namespaces else sorted(set(namespace or [])),
    )

    async def work(way: KeyWay) -> Made:
        return await way.create(asked, lifetime)

    made = _on(common, work)
    _print_key(made, common, name=name, namespaces=made.namespaces)
    return exits.OK


def list_keys(
    *,
    every: Annotated[bool, Parameter(name="--all", negative=(), show_default=False, help="Ended ones too.")] = False,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Lists keys."""

    async def work(way: KeyWay) -> list[dict[str, Any]]:
        return await way.list(every=every)

    found = _on(common, work)
    if common.json:
        print_json({"keys": found})
        return exits.OK
    rows = [
        (
            key["key_id"],
            key["name"],
            key["state"] if key["opens_here"] else "other secret",
            ", ".join([*key["roles"], *key["permissions"]]),
            "all" if key["namespaces"] is None else ", ".join(key["namespaces"]),
            time(key["expires_at"]),
            time(key["last_used_at"]),
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
    expires: Expires = None,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Makes a successor."""
    grace_s, lifetime = duration_s(grace, "--grace"), _lifetime(expires)

    async def work(way: KeyWay) -> Made:
        return await way.rotate(key_id, grace_s, lifetime)

    _print_key(_on(common, work), common, replaces=key_id)
    return exits.OK


def revoke(
    key_id: KeyId,
    /,
    *,
    grace: Annotated[str, Parameter(help="How long it works on: 1d, 12h.")] = "0s",
    common: Where = Where(),  # noqa: B008
) -> int:
    """Ends a key."""
    grace_s = duration_s(grace, "--grace")

    async def work(way: KeyWay) -> None:
        await way.revoke(key_id, grace_s)

    _on(common, work)
    if common.json:
        print_json({"key_id": key_id, "grace_s": grace_s})
    else:
        print_line(f"{key_id} ends {f'in {grace}' if grace_s else 'now: within 5 seconds no server takes it'}")
    return exits.OK


def _on(where: Where, work: Callable[[KeyWay], Awaitable[T]]) -> T:
    return on_either(where, DatabaseKeys, ServerKeys, work)


def _lifetime(expires: str | None) -> Lifetime:
    """Raises UsageError."""
    if expires is None:
        return Lifetime()
    if expires == "never":
        return Lifetime(is_endless=True)
    lifetime_s = duration_s(expires, "--expires")
    if lifetime_s <= 0:
        raise exits.UsageError("--expires: a key that has ended already opens nothing")
    return Lifetime(lifetime_s)


def _print_key(made: Made, where: Where, **about: Any) -> None:
    """The key itself alone on stdout, so that a script can catch it; what is said about it on stderr."""
    if where.json:
        print_json({"key": made.text, "key_id": made.key_id, "expires_at": made.expires_at, **about})
        return
    until = "it does not expire" if made.expires_at is None else f"it expires {time(made.expires_at)}"
    print_aside(f"API key {made.key_id}, {until}. Keep it now: it is not shown again.")
    print(made.text)
