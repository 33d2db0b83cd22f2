"""What URLs from data may reach: the public internet, and what the handler allows."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from ipaddress import ip_address
from typing import Any

import httpx2
import pytest
from api_server import Answer, Server, serving
from support.contexts import build_context

from tasker import ApiHandler, ApiResponse
from tasker.handlers import egress
from tasker.handlers.api import AsyncApi
from tasker.handlers.egress import GuardedTransport, is_public
from tasker.model.errors import InvalidHandler, NetworkError, PermanentError, StepError

Fetch = Callable[..., Awaitable[ApiResponse]]


def words(text: str) -> list[str]:
    return text.split()


NOT_PUBLIC = words("""
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16
169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1
192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1
255.255.255.255
:: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:10.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b::7f00:1
64:ff9b:1::1 100::1 2001::1 2001:db8::1 2002:7f00:1:: 2002:a9fe:a9fe:: 3fff::1 5f00::1 fc00::1 fd00:ec2::254
fdff::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1
""")
PUBLIC = words("1.1.1.1 8.8.8.8 93.184.216.34 2606:4700:4700::1111 2a00:1450::8a ::ffff:8.8.8.8 64:ff9b::808:808")
# All of these are ways to write the address of the test's server, {port} being its port.
LOOPBACK_URLS = words("""
http://127.0.0.1:{port}/ http://127.1:{port}/ http://127.0.1:{port}/ http://2130706433:{port}/ http://0x7f000001:{port}/
http://0x7f.0.0.1:{port}/ http://0177.0.0.1:{port}/ http://017700000001:{port}/ http://0:{port}/ http://0.0.0.0:{port}/
http://localhost:{port}/ http://LOCALHOST:{port}/ http://localhost.:{port}/ http://127.0.0.1.:{port}/
http://[::1]:{port}/ http://[::]:{port}/ http://[::ffff:127.0.0.1]:{port}/ http://[::ffff:7f00:1]:{port}/
http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/ http://127.127.127.127:{port}/ http://public.example@127.0.0.1:{port}/
http://public.example:80@127.0.0.1:{port}/ http://127.0.0.1:{port}#@public.example/
http://127.0.0.1:{port}/?@public.example http://127.0.0.1:{port}\\@public.example/ http://①②⑦.⓪.⓪.①:{port}/
https://127.0.0.1:{port}/ HTTP://127.0.0.1:{port}/ http://127。0。0。1:{port}/ http://%31%32%37.0.0.1:{port}/
""")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


@pytest.fixture(params=["async", "sync"])
def fetch(request: pytest.FixtureRequest) -> Fetch:
    """GET a URL by a handler with these attributes, in async code and in a thread."""

    async def run(url: str, **attributes: Any) -> ApiResponse:
        handler = type("Fetch", (ApiHandler,), attributes)()
        if request.param == "async":
            return await handler.async_api(build_context()).get(url)
        return await asyncio.to_thread(handler.api(build_context()).get, url)

    return run


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What names resolve to, one answer after the other, the last one for ever."""
    known: dict[str, list[list[str]]] = {}

    def resolve(host: str, port: int) -> list[str]:
        answers = known[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    monkeypatch.setattr(egress, "resolve", resolve)
    return known


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_private_addresses_are_not_public(address: str) -> None:
    """Private, loopback, link-local, shared, documentation, multicast, metadata, and IPv6 that carries such IPv4."""
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address: str) -> None:
    """The internet stays reachable."""
    assert is_public(ip_address(address))


@pytest.mark.parametrize("url", LOOPBACK_URLS)
async def test_no_spelling_of_loopback_is_reached(server: Server, fetch: Fetch, url: str) -> None:
    """However the address is written, the step fails and the server sees no connection."""
    with pytest.raises(StepError):
        await fetch(url.format(port=server.port))
    assert server.connections == 0


async def test_without_the_guard_loopback_is_reached(
    server: Server, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests above can fail: with a guard that refuses no address, most spellings reach the server."""
    monkeypatch.setattr(egress, "_checked", lambda policy, host, addresses: addresses)
    for url in LOOPBACK_URLS:
        with suppress(StepError):
            await fetch(url.format(port=server.port))
    assert len(server.asked) >= 12


async def test_a_refusal_is_permanent_and_says_what_to_do(server: Server, fetch: Fetch) -> None:
    """The step is not tried again, and the message names host, address and the way to allow it."""
    with pytest.raises(PermanentError, match=r"127\.0\.0\.1 is at 127\.0\.0\.1.*allowed_hosts") as caught:
        await fetch(server.url)
    assert caught.value.error_code == "EGRESS_REFUSED"


async def test_the_base_url_is_trusted_and_absolute_urls_are_not(server: Server, fetch: Fetch) -> None:
    """A path below the handler's own base URL is called; the same host as an absolute URL, from data, is not."""
    assert (await fetch("/x", base_url=server.url)).status == 200
    with pytest.raises(PermanentError):
        await fetch(server.url + "/x", base_url=server.url)
    assert len(server.asked) == 1


@pytest.mark.parametrize("allowed", ["127.0.0.1", "127.0.0.0/8"])
async def test_a_handler_allows_addresses_and_networks(server: Server, fetch: Fetch, allowed: str) -> None:
    """What `allowed_hosts` names is reached."""
    assert (await fetch(server.url, allowed_hosts=[allowed])).status == 200


async def test_a_handler_allows_names(server: Server, fetch: Fetch, names: dict[str, list[list[str]]]) -> None:
    """An allowed name may be at any address; another name at the same address may not."""
    names.update({"billing.internal": [["127.0.0.1"]], "other.internal": [["127.0.0.1"]]})
    url = f"http://{{}}:{server.port}/"
    assert (await fetch(url.format("Billing.Internal"), allowed_hosts="billing.internal")).status == 200
    with pytest.raises(PermanentError):
        await fetch(url.format("other.internal"), allowed_hosts="billing.internal")
    assert server.asked[0].headers["Host"] == f"billing.internal:{server.port}"


async def test_connections_are_not_shared_with_stricter_handlers(server: Server, fetch: Fetch) -> None:
    """A connection that one handler was allowed to open serves no handler that was not."""
    await fetch(server.url, allowed_hosts=["127.0.0.1"])
    with pytest.raises(PermanentError):
        await fetch(server.url)
    assert len(server.asked) == 1


async def test_a_name_that_changes_its_mind_reaches_nothing(
    server: Server, fetch: Fetch, names: dict[str, list[list[str]]]
) -> None:
    """The name is resolved once for each connection, and the connection goes to what was looked at."""
    names["rebind.example"] = [["127.0.0.9"], ["127.0.0.1"]]
    with pytest.raises(NetworkError):  # nobody listens at the address that was looked at, and the other is never used
        await fetch(f"http://rebind.example:{server.port}/", allowed_hosts=["127.0.0.9"])
    assert server.connections == 0
    assert names["rebind.example"] == [["127.0.0.1"]]


async def test_one_private_address_among_public_ones_refuses_the_name(
    server: Server, fetch: Fetch, names: dict[str, list[list[str]]]
) -> None:
    """A name that is at a public and a private address is a trap, whichever comes first."""
    for addresses in (["93.184.216.34", "127.0.0.1"], ["127.0.0.1", "93.184.216.34"]):
        names["mixed.example"] = [addresses]
        with pytest.raises(PermanentError, match=r"mixed\.example is at 127\.0\.0\.1"):
            await fetch(f"http://mixed.example:{server.port}/")
    assert server.connections == 0


async def test_the_next_address_is_tried(server: Server, fetch: Fetch, names: dict[str, list[list[str]]]) -> None:
    """Where nobody listens at the first address of a name, the second is called."""
    names["two.example"] = [["127.0.0.9", "127.0.0.1"]]
    response = await fetch(f"http://two.example:{server.port}/", allowed_hosts=["127.0.0.0/8"])
    assert response.status == 200


async def test_redirects_are_not_followed_unasked(server: Server, fetch: Fetch) -> None:
    """A redirect is an answer like another, and no success."""
    server.says(Answer(302, headers={"Location": "/y"}), Answer())
    with pytest.raises(PermanentError) as caught:
        await fetch("/x", base_url=server.url)
    assert caught.value.error_code == "HTTP_302"
    assert len(server.asked) == 1


async def test_redirects_are_followed_if_asked(server: Server, fetch: Fetch) -> None:
    """Within the handler's own host a redirect is followed, with its headers."""
    server.says(Answer(302, headers={"Location": "/y"}), Answer(body={"at": "y"}))
    response = await fetch("/x", base_url=server.url, follows_redirects=True, headers={"X-Key": "k"})
    assert response.json() == {"at": "y"}
    assert [(asked.path, asked.headers["X-Key"]) for asked in server.asked] == [("/x", "k"), ("/y", "k")]


async def test_a_redirect_is_held_against_the_guard(server: Server, fetch: Fetch) -> None:
    """A trusted host that sends the step to another one inside is not obeyed."""
    with serving() as inside:
        server.says(Answer(302, headers={"Location": inside.url + "/secret"}))
        with pytest.raises(PermanentError) as caught:
            await fetch("/x", base_url=server.url, follows_redirects=True)
    assert caught.value.error_code == "EGRESS_REFUSED"
    assert inside.connections == 0


async def test_a_redirect_back_to_the_base_url_is_not_trusted(server: Server, fetch: Fetch) -> None:
    """A foreign host cannot lead the step to a path of its choice on the handler's own host."""
    with serving("127.0.0.2") as foreign:
        foreign.says(Answer(302, headers={"Location": server.url + "/admin"}))
        with pytest.raises(PermanentError):
            await fetch(foreign.url, base_url=server.url, follows_redirects=True, allowed_hosts=["127.0.0.2"])
    assert len(foreign.asked) == 1
    assert server.connections == 0


async def test_a_redirect_to_another_host_takes_no_credentials_along(server: Server, fetch: Fetch) -> None:
    """Only what describes the request goes to the host that a redirect names."""
    with serving() as other:
        server.says(Answer(307, headers={"Location": other.url + "/y"}))
        headers = {"Authorization": "Bearer secret", "X-Api-Key": "secret"}
        options = {"headers": headers, "follows_redirects": True, "allowed_hosts": ["127.0.0.1"]}
        await fetch("/x", base_url=server.url, **options)
    [asked] = other.asked
    assert "secret" not in str(asked.headers)
    assert asked.headers["X-Correlation-ID"] is None
    assert asked.headers["Host"] == f"127.0.0.1:{other.port}"


def following(server: Server) -> AsyncApi:
    """The API of a handler that follows redirects."""
    handler = type("Charge", (ApiHandler,), {"base_url": server.url, "follows_redirects": True})()
    return handler.async_api(build_context())


@pytest.mark.parametrize("status", [301, 302])
async def test_a_redirect_that_would_lose_a_write_is_not_followed(server: Server, status: int) -> None:
    """What turns a POST into a GET would look as if it had been done: it is a permanent error."""
    server.says(Answer(status, headers={"Location": "/y"}), Answer())
    with pytest.raises(PermanentError) as caught:
        await following(server).post("/x", json={"amount": 5})
    assert caught.value.error_code == f"HTTP_{status}"
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_that_keeps_the_write_is_followed(server: Server, status: int) -> None:
    """The method, the body and the idempotency key go along within the host."""
    server.says(Answer(status, headers={"Location": "/y"}), Answer())
    await following(server).post("/x", json={"amount": 5})
    sent = {(asked.method, asked.body, asked.headers["Idempotency-Key"]) for asked in server.asked}
    assert sent == {("POST", b'{"amount":5}', build_context().idempotency_key)}
    assert [asked.path for asked in server.asked] == ["/x", "/y"]


async def test_see_other_leads_from_a_write_to_its_result(server: Server) -> None:
    """A 303 says that the write was done and where its result is read."""
    server.says(Answer(303, headers={"Location": "/result"}), Answer(body={"id": 1}))
    api = type("Charge", (ApiHandler,), {"base_url": server.url, "follows_redirects": True})().async_api(
        build_context()
    )
    assert (await api.post("/x", json={"amount": 5})).json() == {"id": 1}
    assert [(asked.method, asked.path, asked.body) for asked in server.asked][1] == ("GET", "/result", b"")


async def test_redirects_in_a_circle_end(server: Server, fetch: Fetch) -> None:
    """After five redirects the next one is the answer, and a permanent error."""
    server.says(Answer(302, headers={"Location": "/x"}))
    with pytest.raises(PermanentError) as caught:
        await fetch("/x", base_url=server.url, follows_redirects=True)
    assert caught.value.error_code == "HTTP_302"
    assert len(server.asked) == 6


async def test_a_proxy_of_the_environment_is_not_used(
    server: Server, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would connect to what the guard never saw."""
    with serving() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        await fetch("/x", base_url=server.url)
    assert proxy.connections == 0


@pytest.mark.parametrize("allowed", ["http://billing", "10.0.0.5/8", "billing:443", "*.internal", "", "10.1.2.300"])
def test_an_allowed_host_that_is_none_stops_the_start(allowed: str) -> None:
    """What is no name, address or network is refused when the handler is defined."""
    with pytest.raises(InvalidHandler, match="allowed_hosts"):
        type("Fetch", (ApiHandler,), {"allowed_hosts": [allowed]})


def test_a_request_without_a_policy_is_held_to_the_strictest(server: Server) -> None:
    """Whoever uses the transport and forgets the policy reaches the public internet only."""
    with closing(GuardedTransport()) as transport, pytest.raises(PermanentError):
        transport.handle_request(httpx2.Request("GET", server.url))
    assert server.connections == 0


async def test_tls_is_asked_for_the_name_and_not_the_address(fetch: Fetch, names: dict[str, list[list[str]]]) -> None:
    """A pinned connection greets the server by its name, so that the certificate is held against that."""
    names["shop.example"] = [["127.0.0.1"]]
    greetings: list[bytes] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                greetings.append(connection.recv(65536))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(NetworkError, match=r"shop\.example"):
            await fetch(f"https://shop.example:{listener.getsockname()[1]}/", allowed_hosts="shop.example")
        thread.join(5)
    assert b"shop.example" in greetings[0]
