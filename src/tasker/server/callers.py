"""Who calls, for every face."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv6Address, IPv6Network, ip_address

from tasker.model.errors import QuotaExceeded, Unauthenticated
from tasker.operations import Principal
from tasker.operations.limits import Quota
from tasker.server.auth import Authenticator


class GuessingRefused(QuotaExceeded):
    """Too many requests with bad credentials came from one address; for callers a quota as others."""


class Callers:
    """Tells callers apart, and tells those who guess to wait."""

    def __init__(self, authenticator: Authenticator, failures_per_minute: int) -> None:
        self._authenticator = authenticator
        self._failures = Quota(failures_per_minute, "address")

    async def principal(self, headers: Mapping[str, str], address: str) -> Principal:
        """Who calls from this address. Raises Unauthenticated, Forbidden, GuessingRefused."""
        try:
            principal = await self._authenticator.authenticate(headers)
        except Unauthenticated as error:
            self._count_failure(network_of(address), error)
            raise
        if principal is None:
            raise Unauthenticated("no credentials came with the request", "missing")
        return principal

    def _count_failure(self, address: str, error: Unauthenticated) -> None:
        """Good credentials from the same address, which may be a proxy's, still open."""
        wait_s = self._failures.lacks_s(address, 1)
        if wait_s > 0:
            raise GuessingRefused(
                "too many requests with bad credentials came from here: try again later", wait_s
            ) from error
        self._failures.take(address, 1)


def network_of(address: str) -> str:
    """What one guesser has at hand: its address; of IPv6 the network of 64 bits that a single machine is given."""
    try:
        known = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(known, IPv6Address):
        return str(known)
    return str(known.ipv4_mapped or IPv6Network((known, 64), strict=False))
