"""`tasker auth check|permissions`."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.common import Common, Output
from tasker.cli.database import Database, read_settings, with_database
from tasker.cli.show import print_json, print_line, print_table
from tasker.model.errors import Unauthenticated

if TYPE_CHECKING:
    from tasker.operations.principal import Principal
    from tasker.store.connection import Connection

T = TypeVar("T")
_ENVIRONMENT = ("TASKER_API_KEY", "TASKER_AUTH_TOKEN")


def check(
    proof: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True,
            help="A file with a key or token, or - for stdin; else TASKER_API_KEY or TASKER_AUTH_TOKEN.",
        ),
    ] = None,
    /,
    *,
    permission: Annotated[str | None, Parameter(help="Whether it may do this.")] = None,
    namespace: Annotated[str | None, Parameter(help="Whether it sees and uses this namespace.")] = None,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Tells who somebody is. A key or token is never an argument: others on the machine could read it."""
    text = _proof(proof)

    async def work(database: Database) -> Principal:
        from tasker.server.auth.wiring import authenticator

        async def ask(work: Callable[[Connection], Awaitable[T]], /) -> T:
            return await work(database.connection)

        found = await authenticator(database.settings, ask).authenticate({"authorization": f"Bearer {text}"})
        if found is None:
            raise Unauthenticated("there is nothing in it: a key or a token was expected", "missing")
        return found

    principal = with_database(common, work)
    may = _may(principal, permission, namespace)
    if common.json:
        print_json(_shown(principal, may))
    else:
        _print(principal, may, permission, namespace)
    return exits.OK if may is not False else exits.FAILED


def _proof(source: str | None) -> str:
    if source is None:
        found = next((os.environ[name] for name in _ENVIRONMENT if os.environ.get(name)), None)
        if found is None:
            raise exits.UsageError(
                f"name a file with the key or token, - for stdin, or set {' or '.join(_ENVIRONMENT)}"
            )
        return found.strip()
    if source == "-":
        return sys.stdin.read().strip()
    try:
        return Path(source).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise exits.UsageError("this names no file that can be read; a key or token itself is no argument") from error


def _may(principal: Principal, permission: str | None, namespace: str | None) -> bool | None:
    """Whether it may what was asked; None where nothing was."""
    from tasker.server.auth.roles import checked

    if permission is None and namespace is None:
        return None
    if permission is not None and not principal.holds(checked([permission], "--permission")[0]):
        return False
    return namespace is None or principal.reaches(namespace)


def _shown(principal: Principal, may: bool | None) -> dict[str, Any]:
    return {
        "subject": principal.subject,
        "kind": principal.kind,
        "permissions": sorted(principal.permissions),
        "namespaces": None if principal.namespaces is None else sorted(principal.namespaces),
        **({} if may is None else {"may": may}),
    }


def _print(principal: Principal, may: bool | None, permission: str | None, namespace: str | None) -> None:
    kind = {"api_key": "an API key", "jwt": "a token"}.get(principal.kind, principal.kind)
    print_line(f"subject      {principal.subject}, by {kind}")
    print_line(f"may          {', '.join(sorted(principal.permissions)) or 'nothing'}")
    namespaces = "all" if principal.namespaces is None else ", ".join(sorted(principal.namespaces)) or "none"
    print_line(f"namespaces   {namespaces}")
    if may is not None:
        asked = f"{permission or 'something'}{f' in {namespace}' if namespace else ''}"
        print_line(f"{asked}: {'yes' if may else 'no'}", style="green" if may else "red")


def permissions(*, output: Output = Output()) -> int:  # noqa: B008
    """Lists permissions and roles."""
    from tasker.operations import OPERATIONS, PERMISSIONS
    from tasker.server.auth.roles import all_roles

    roles = {name: sorted(words) for name, words in all_roles(read_settings().auth_roles).items()}
    used = {one: sorted(o.name for o in OPERATIONS.values() if o.permission == one) for one in PERMISSIONS}
    if output.json:
        print_json({"permissions": used, "roles": roles})
        return exits.OK
    print_table(("permission", "for"), [(one, ", ".join(names)) for one, names in used.items()], empty="")
    print_table(("role", "may"), [(name, ", ".join(words)) for name, words in roles.items()], empty="")
    return exits.OK
