"""`tasker auth check|permissions`."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.common import Output, Where
from tasker.cli.database import Database, read_settings
from tasker.cli.doors import names_server
from tasker.cli.either import on_either
from tasker.cli.show import print_json, print_line, print_table
from tasker.model.errors import Unauthenticated

if TYPE_CHECKING:
    from tasker.client import AsyncTaskerClient
    from tasker.operations.principal import Principal
    from tasker.store.connection import Connection

T = TypeVar("T")
_ENVIRONMENT = ("TASKER_API_KEY", "TASKER_AUTH_TOKEN")
_KINDS = {
    "api_key": "an API key",
    "jwt": "a token",
    "host": "the embedding application",
    "none": "nothing: this server does not ask who calls",
}


class Knows(Protocol):
    """Whoever can tell callers apart."""

    async def tell(self, proof: str | None) -> Principal:
        """Who shows this. Raises Unauthenticated."""
        ...


class DatabaseKnows:
    """As a server would with the settings of this process, and the keys of this database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def tell(self, proof: str | None) -> Principal:
        """By a server's own authenticator."""
        from tasker.server.auth.wiring import authenticator

        async def ask(work: Callable[[Connection], Awaitable[T]], /) -> T:
            return await work(self._database.connection)

        asks = authenticator(self._database.settings, ask)
        found = await asks.authenticate({"authorization": f"Bearer {proof}"})
        if found is None:
            raise Unauthenticated("there is nothing in it: a key or a token was expected", "missing")
        return found


class ServerKnows:
    """A server itself, which is shown the proof with the request."""

    def __init__(self, client: AsyncTaskerClient) -> None:
        self._client = client

    async def tell(self, proof: str | None) -> Principal:
        """One request."""
        from tasker.operations.principal import Principal

        found = await self._client.get_caller()
        return Principal(
            subject=found.subject,
            permissions=frozenset(found.permissions),
            namespaces=None if found.namespaces is None else frozenset(found.namespaces),
            kind=found.kind,
        )


def check(
    proof: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True,
            help="A file with a key or token, or - for stdin; else the profile, TASKER_API_KEY or TASKER_AUTH_TOKEN.",
        ),
    ] = None,
    /,
    *,
    permission: Annotated[str | None, Parameter(help="Whether it may do this.")] = None,
    namespace: Annotated[str | None, Parameter(help="Whether it sees and uses this namespace.")] = None,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Tells who somebody is. A key or token is never an argument: others on the machine could read it."""
    is_of_client = proof is None and names_server(common)  # then the client shows what its profile has
    text = None if is_of_client else _proof(proof)

    async def work(knows: Knows) -> Principal:
        return await knows.tell(text)

    principal = on_either(common, DatabaseKnows, ServerKnows, work, token=text)
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
    print_line(f"subject      {principal.subject}, by {_KINDS.get(principal.kind, principal.kind)}")
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
