"""Where a handler may connect to: the guard against requests that are forged by data.

A step's input may hold a URL, and whoever wrote it must not reach what only the worker can: services on loopback and in
private networks, and the metadata of a cloud. Looking at the URL cannot tell (a name resolves to what its owner likes,
and to something else a moment later), so the guard sits where connections are made: a name is resolved once, all of its
addresses are looked at, and the connection goes to one of those that were looked at. TLS still checks the name. Each
new connection, after a redirect too, goes the same way, and connections are shared only under the same policy.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any

import httpcore2
import httpx2

from tasker.model.errors import InvalidHandler, PermanentError

if TYPE_CHECKING:
    import ssl

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

EXTENSION = "tasker_egress"
"""The extension of a request that carries its policy. A request without one is held to the strictest."""
CONNECTIONS_MAX = 1000
IDLE_CONNECTIONS_MAX = 100
IDLE_S = 20.0
ADDRESSES_MAX = 8
_CODE = "EGRESS_REFUSED"
# What `is_global` of some Python versions lets through, and global addresses that answer only inside a cloud.
_REFUSED: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "100.64.0.0/10",
        "168.63.129.16/32",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
    )
)
_CARRIES_IPV4_AT_END = (ip_network("64:ff9b::/96"), ip_network("::/96"))


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """Which hosts may be connected to. Without anything: the public internet only.

    `hosts` are names that may resolve to any address, `networks` further addresses. `is_trusted` is for a host that the
    handler's own code names: nothing is looked at.
    """

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()
    is_trusted: bool = False

    def check_url(self, url: httpx2.URL) -> None:
        """Raises PermanentError for a URL that is not http or https, has no host, or carries credentials."""
        if url.scheme not in ("http", "https") or not url.host or b"%" in url.raw_host:
            raise PermanentError(
                f"{shown_url(url)} cannot be called: give an http or https URL with a host", error_code="INVALID_URL"
            )
        if not self.is_trusted and url.userinfo:
            raise PermanentError(
                f"{shown_url(url)} carries credentials, which a URL from data must not: give them as a header",
                error_code=_CODE,
            )

    def check_address(self, host: str, address: str) -> None:
        """Raises PermanentError where the host may not be called at this address."""
        if self.is_trusted or host.lower().rstrip(".") in self.hosts:
            return
        found = ip_address(address)
        if is_public(found) or any(found.version == one.version and found in one for one in self.networks):
            return
        raise PermanentError(
            f"{host} is at {address}, which is not on the public internet, and its URL came from data: if the handler "
            "is meant to call it, name the host or its network in the handler's allowed_hosts",
            error_code=_CODE,
            metadata={"host": host, "address": address},
        )


TRUSTED = EgressPolicy(is_trusted=True)
PUBLIC_ONLY = EgressPolicy()


@cache
def egress_policy(allowed_hosts: tuple[str, ...]) -> EgressPolicy:
    """The policy that allows these besides the public internet: names, addresses, and networks as `10.1.0.0/16`.

    Raises InvalidHandler for what is none of them.
    """
    hosts: set[str] = set()
    networks: list[Network] = []
    for text in allowed_hosts:
        try:
            networks.append(ip_network(text))
        except ValueError as error:
            if not text or set(text) & set("/:@* ") or not set(text) - set("0123456789."):
                raise InvalidHandler(
                    f"allowed_hosts: {text!r} is no host name, address or network: {error}; "
                    'write "billing.internal", "10.1.2.3" or "10.1.0.0/16", without scheme and port'
                ) from None
            hosts.add(text.lower().rstrip("."))
    return EgressPolicy(frozenset(hosts), tuple(networks))


def is_public(address: Address) -> bool:
    """True for an address on the public internet. What counts of an IPv6 address with an IPv4 one inside is that."""
    if isinstance(address, IPv6Address) and (inner := _carried(address)) is not None:
        return is_public(inner)
    if any(address.version == network.version and address in network for network in _REFUSED):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _carried(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None or address.sixtofour is not None:
        return address.ipv4_mapped or address.sixtofour
    if any(address in network for network in _CARRIES_IPV4_AT_END):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def shown_url(url: httpx2.URL) -> str:
    """The URL for messages and records: without credentials, query and fragment, which hold secrets."""
    port = "" if url.port is None else f":{url.port}"
    shown = f"{url.scheme or '?'}://{url.host or '?'}{port}{url.path}" if url.scheme or url.host else url.path
    return shown if len(shown) <= 500 else shown[:499] + "…"


# Connections to addresses that were looked at -------------------------------------------------------------------------


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, as text, in the order of the system. OSError where there are none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _checked(policy: EgressPolicy, host: str, addresses: Sequence[str]) -> list[str]:
    """The addresses, if all of them may be connected to: a name with public and private ones is a trap."""
    for address in addresses:
        policy.check_address(host, address)
    return list(addresses[:ADDRESSES_MAX])


def _shares(count: int, timeout_s: float | None) -> Iterator[float | None]:
    """How long to try each of so many addresses, so that all together take no longer than the timeout."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    for left in range(count, 0, -1):
        yield None if deadline is None else max(0.001, (deadline - time.monotonic()) / left)


class PinnedBackend(httpcore2.NetworkBackend):
    """Connects to the addresses that the policy allows, as `resolve` gave them."""

    def __init__(self, policy: EgressPolicy) -> None:
        self._policy = policy
        self._inner = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """A connection to the first address that answers."""
        options = list(socket_options or ())
        try:
            addresses = _checked(self._policy, host, resolve(host, port))
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(f"{host} cannot be resolved: {error}") from error
        failure: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address, share_s in zip(addresses, _shares(len(addresses), timeout), strict=True):
            try:
                return self._inner.connect_tcp(address, port, share_s, local_address, options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure


class AsyncPinnedBackend(httpcore2.AsyncNetworkBackend):
    """The same on an event loop."""

    def __init__(self, policy: EgressPolicy) -> None:
        self._policy = policy
        self._inner: Any = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is the library's
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection to the first address that answers."""
        options = list(socket_options or ())
        try:
            async with asyncio.timeout(timeout):
                found = await asyncio.get_running_loop().run_in_executor(None, resolve, host, port)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(f"{host} was not resolved in {timeout} s") from error
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(f"{host} cannot be resolved: {error}") from error
        addresses = _checked(self._policy, host, found)
        failure: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address, share_s in zip(addresses, _shares(len(addresses), timeout), strict=True):
            try:
                return await self._inner.connect_tcp(address, port, share_s, local_address, options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure


# Transports: a pool of connections for each policy --------------------------------------------------------------------


@cache
def _tls() -> ssl.SSLContext:
    """One for the process: reading the certificates takes tens of milliseconds."""
    return httpx2.create_ssl_context()


def _pool_options() -> dict[str, Any]:
    return {
        "ssl_context": _tls(),
        "max_connections": CONNECTIONS_MAX,
        "max_keepalive_connections": IDLE_CONNECTIONS_MAX,
        "keepalive_expiry": IDLE_S,
    }


def _policy_of(request: httpx2.Request) -> EgressPolicy:
    policy = request.extensions.get(EXTENSION, PUBLIC_ONLY)
    policy.check_url(request.url)
    return policy


def _core_request(request: httpx2.Request) -> httpcore2.Request:
    url = request.url
    return httpcore2.Request(
        request.method,
        httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


@contextmanager
def _mapped(request: httpx2.Request) -> Generator[None]:
    """The client's errors for those of its core; they have the same names."""
    try:
        yield
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        raise _twin(type(error))(str(error) or type(error).__name__, request=request) from error
    except httpcore2.UnsupportedProtocol as error:
        raise httpx2.UnsupportedProtocol(str(error), request=request) from error


@cache
def _twin(kind: type[Exception]) -> Callable[..., httpx2.TransportError]:
    return getattr(httpx2, kind.__name__, httpx2.TransportError)


class _Body(httpx2.SyncByteStream):
    def __init__(self, request: httpx2.Request, stream: Any) -> None:
        self._request, self._stream = request, stream

    def __iter__(self) -> Iterator[bytes]:
        with _mapped(self._request):
            yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _AsyncBody(httpx2.AsyncByteStream):
    def __init__(self, request: httpx2.Request, stream: Any) -> None:
        self._request, self._stream = request, stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _mapped(self._request):
            async for chunk in self._stream:
                yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class GuardedTransport(httpx2.BaseTransport):
    """Sends each request over connections that its policy allows. Safe to use from several threads."""

    def __init__(self) -> None:
        self._pools: dict[EgressPolicy, httpcore2.ConnectionPool] = {}

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises httpx2's errors, and PermanentError where the policy refuses."""
        policy = _policy_of(request)
        pool = self._pools.get(policy)
        if pool is None:
            backend = None if policy.is_trusted else PinnedBackend(policy)
            # Of two threads that come here at once one finds the other's pool.
            pool = self._pools.setdefault(policy, httpcore2.ConnectionPool(**_pool_options(), network_backend=backend))
        with _mapped(request):
            answer: Any = pool.handle_request(_core_request(request))
        body = _Body(request, answer.stream)
        return httpx2.Response(answer.status, headers=answer.headers, stream=body, extensions=answer.extensions)

    def close(self) -> None:
        """Closes all connections."""
        for pool in self._pools.values():
            pool.close()


class AsyncGuardedTransport(httpx2.AsyncBaseTransport):
    """The same for one event loop."""

    def __init__(self) -> None:
        self._pools: dict[EgressPolicy, httpcore2.AsyncConnectionPool] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises httpx2's errors, and PermanentError where the policy refuses."""
        policy = _policy_of(request)
        pool = self._pools.get(policy)
        if pool is None:
            backend = None if policy.is_trusted else AsyncPinnedBackend(policy)
            pool = self._pools[policy] = httpcore2.AsyncConnectionPool(**_pool_options(), network_backend=backend)
        with _mapped(request):
            answer: Any = await pool.handle_async_request(_core_request(request))
        body = _AsyncBody(request, answer.stream)
        return httpx2.Response(answer.status, headers=answer.headers, stream=body, extensions=answer.extensions)

    async def aclose(self) -> None:
        """Closes all connections."""
        for pool in self._pools.values():
            await pool.aclose()
