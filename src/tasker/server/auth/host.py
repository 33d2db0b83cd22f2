"""Callers whom the application that embeds Tasker knows: its users and their sessions.

The application gives a function from headers to a Principal, or vouches for the user of the current request where it
has a middleware of its own. Browsers send cookies on their own accord, also where another site's page asks them to: so
a request that a browser marks as another site's is let in for nobody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import isawaitable
from urllib.parse import urlsplit

from tasker.model.errors import Forbidden
from tasker.operations.principal import Principal
from tasker.server.auth import Authenticator
from tasker.server.auth.roles import all_roles, checked, of_roles

Identify = Callable[[Mapping[str, str]], Principal | Awaitable[Principal | None] | None]
_vouched_for: ContextVar[Principal | None] = ContextVar("tasker_principal", default=None)


def host_principal(
    subject: str,
    *,
    permissions: Iterable[str] = (),
    roles: Iterable[str] = (),
    namespaces: Iterable[str] | None = (),
) -> Principal:
    """A user of the application. `namespaces` None is all; nothing named is nothing seen.

    Raises SettingsError for a permission or a built-in role that does not exist.
    """
    granted = frozenset(checked(permissions, "host_principal")) | of_roles(roles, all_roles({}))
    return Principal(
        subject=subject,
        permissions=granted,
        namespaces=None if namespaces is None else frozenset(namespaces),
        kind="host",
    )


@contextmanager
def vouching_for(principal: Principal | None) -> Generator[None]:
    """For the request that is handled inside, the caller is this one: for middleware that knows the user already."""
    token = _vouched_for.set(principal)
    try:
        yield
    finally:
        _vouched_for.reset(token)


class HostAuthenticator:
    """Asks the application who calls, and `then` (API keys and tokens, say) where it knows nobody.

    `identify` gets the headers (names in lower case, the cookies among them); it may be a coroutine function. Without
    it only those count whom a middleware vouches for. `trusted_origins` are further sites, as `https://app.example`,
    whose pages may call with their users' cookies.
    """

    def __init__(
        self,
        identify: Identify | None = None,
        *,
        then: Authenticator | None = None,
        trusted_origins: Collection[str] = (),
    ) -> None:
        self._identify, self._then, self._trusted = identify, then, frozenset(trusted_origins)

    async def authenticate(self, headers: Mapping[str, str]) -> Principal | None:
        """The caller; see `Authenticator`. Raises Forbidden for a request of another site's page."""
        principal = _vouched_for.get()
        if principal is None and self._identify is not None:
            found = self._identify(headers)
            principal = await found if isawaitable(found) else found
        if principal is None:
            return None if self._then is None else await self._then.authenticate(headers)
        self._check_site(headers)
        return principal

    def _check_site(self, headers: Mapping[str, str]) -> None:
        origin = headers.get("origin")
        if origin in self._trusted:
            return
        is_foreign = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        if is_foreign or (origin is not None and urlsplit(origin).netloc != headers.get("host")):
            raise Forbidden(
                "the request comes from another site's page: only pages of this site may send its users' cookies"
            )
