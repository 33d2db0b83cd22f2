"""Connections that mean no good: each is answered or closed, none makes others wait, and none is remembered."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import signal
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
import pytest_asyncio
from server_process import Served, serving
from support.databases import Databases
from support.until import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEAD = b"GET /health HTTP/1.1\r\nhost: localhost\r\n"
POST = b"POST /v1/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
BOUNDS = {
    "TASKER_REQUEST_HEAD_BYTES_MAX": "1000",
    "TASKER_REQUEST_HEADERS_MAX": "20",
    "TASKER_REQUEST_HEAD_TIMEOUT_S": "0.5",
    "TASKER_REQUEST_TIMEOUT_S": "0.5",
    "TASKER_REQUEST_BYTES_MAX": "1000",
}


@pytest.fixture(scope="module")
def one_database(databases: Databases) -> Iterator[str]:
    """The DSN of the database of all these tests."""
    with databases.migrated() as dsn:
        yield dsn


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one_for_all(one_database: str) -> AsyncIterator[Served]:
    """A server with narrow bounds."""
    async with serving(one_database, **BOUNDS) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="module")
async def bounded(one_for_all: Served) -> AsyncIterator[Served]:
    """A server with narrow bounds, which serves as before when the test is over."""
    yield one_for_all
    assert (await one_for_all.api.get("/health")).status_code == 200


async def answer_to(served: Served, *parts: bytes) -> bytes:
    """All that comes back until the server closes the connection."""
    reader, writer = await connected(served)
    with contextlib.suppress(ConnectionError):  # it may be closed while we send
        for part in parts:
            writer.write(part)
            await writer.drain()
    found = b""
    with contextlib.suppress(ConnectionError):
        while part := await asyncio.wait_for(reader.read(65_536), 60):
            found += part
    writer.close()
    return found


async def connected(served: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    url = httpx2.URL(served.url)
    assert url.port is not None
    return await asyncio.open_connection(url.host, url.port)


def status(answer: bytes) -> bytes:
    return answer.split(b" ", 2)[1] if answer else b""


async def test_the_length_of_a_head(bounded: Served) -> None:
    """Address and headers of as many bytes as the setting says are taken, one more is refused."""
    names = len(b"/health") + len(b"hostlocalhost") + len(b"connectionclose") + len(b"x")
    for size, expected in ((1000 - names, b"200"), (1001 - names, b"431")):
        head = HEAD + b"connection: close\r\nx: " + b"a" * size + b"\r\n\r\n"
        assert status(await answer_to(bounded, head)) == expected, size
    assert status(await answer_to(bounded, b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\n\r\n")) == b"431"


async def test_the_number_of_headers(bounded: Served) -> None:
    """The host and the connection count."""
    for count, expected in ((18, b"200"), (19, b"431"), (10_000, b"431")):
        more = b"".join(b"x%d: y\r\n" % n for n in range(count))
        found = await answer_to(bounded, HEAD + b"connection: close\r\n" + more + b"\r\n")
        assert status(found) in (expected, b"" if count > 1000 else expected), count


async def test_a_header_without_end(bounded: Served) -> None:
    """The connection is closed as soon as it is too long, and the rest is not taken: 50 MB are never held."""
    _, writer = await connected(bounded)
    writer.write(HEAD + b"x: ")
    sent = 0
    with contextlib.suppress(ConnectionError):
        for _ in range(50):
            writer.write(b"a" * 1_000_000)
            await writer.drain()
            sent += 1
    assert sent < 50
    writer.close()


async def test_who_says_nothing_is_sent_away(bounded: Served) -> None:
    """A silent connection, half a head, one that drips, and a second head on a kept connection: each ends in time."""
    ok = HEAD + b"\r\n"
    assert status(await answer_to(bounded)) == b"408"
    assert status(await answer_to(bounded, HEAD)) == b"408"
    found = await answer_to(bounded, ok, HEAD)
    assert found.startswith(b"HTTP/1.1 200") and b"HTTP/1.1 408" in found
    reader, writer = await connected(bounded)

    async def drip() -> None:
        writer.write(HEAD)
        while True:
            writer.write(b"x: y\r\n")
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    assert status(await asyncio.wait_for(reader.read(), 60)) in (b"408", b"431")
    dripping.cancel()


async def test_half_a_body_is_not_awaited_for_long(bounded: Served) -> None:
    """It is answered with a timeout, and the connection closes though its client does not."""
    assert status(await answer_to(bounded, POST + b"content-length: 100\r\n\r\n{")) == b"408"


async def test_many_slow_clients_starve_nobody(bounded: Served) -> None:
    """While 200 connections drip, health answers; when they are sent away, none is left open."""
    slow = [await connected(bounded) for _ in range(200)]
    for _, writer in slow:
        writer.write(HEAD[:-5])
    for _ in range(5):
        assert (await bounded.api.get("/health")).status_code == 200
    ended = await asyncio.gather(*(asyncio.wait_for(reader.read(), 60) for reader, _ in slow))
    assert {status(one) for one in ended} == {b"408"}
    for _, writer in slow:
        writer.close()


async def test_pipelined_requests_are_answered_in_order(bounded: Served) -> None:
    """Fifty at once are answered one after the other; ten thousand are not held in memory, and the connection ends."""
    other = b"GET /nothing HTTP/1.1\r\nhost: localhost\r\n\r\n"
    last = HEAD + b"connection: close\r\n\r\n"
    found = await answer_to(bounded, (HEAD + b"\r\n" + other) * 25 + last)
    statuses = [part.split(b" ")[1] for part in found.split(b"HTTP/1.1")[1:]]
    assert [one[:3] for one in (part.strip()[:3] for part in found.split(b"HTTP/1.1 ")[1:])] == [
        b"200",
        b"404",
    ] * 25 + [b"200"]
    assert len(statuses) == 51
    assert (await answer_to(bounded, (HEAD + b"\r\n") * 10_000)).count(b"HTTP/1.1 ") < 10_000


TWO_THINGS_AT_ONCE = {
    "length and chunks": POST + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"content-length: 4\r\ncontent-length: 5\r\n\r\nabcde",
    "a length below zero": POST + b"content-length: -4\r\n\r\nabcd",
    "a length beyond all": POST + b"content-length: 99999999999999999999\r\n\r\n{}",
    "a chunk that is none": POST + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    "two hosts": POST.replace(b"host: localhost", b"host: localhost\r\nhost: elsewhere") + b"\r\n",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
    "a space in a name": HEAD + b"x : y\r\n\r\n",
    "a NUL": HEAD + b"x: a\0b\r\n\r\n",
    "another protocol": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "noise": bytes(range(256)) * 4,
}


async def test_what_two_readers_could_read_differently_is_refused(bounded: Served) -> None:
    """Requests that are no HTTP, or two things at once, are 400, and the connection is closed: nothing is smuggled."""
    found = {what: status(await answer_to(bounded, sent)) for what, sent in TWO_THINGS_AT_ONCE.items()}
    assert found == dict.fromkeys(TWO_THINGS_AT_ONCE, b"400")


async def test_a_bomb_is_not_unpacked(bounded: Served) -> None:
    """A compressed body is refused as it is, whatever its size would be."""
    bomb = gzip.compress(b" " * 500_000)
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert (await bounded.api.post("/v1/tasks", content=bomb, headers=headers)).status_code == 400
    head = POST + b"content-encoding: gzip\r\ncontent-length: 1000000000\r\n\r\n"
    assert status(await answer_to(bounded, head)) == b"413"


async def test_who_is_killed_is_replaced(database: str) -> None:
    """When server processes are killed in the middle of a request, new ones take their place, and what they had under
    way is not counted as open for ever."""
    async with serving(database, "--processes", "2") as served:
        pids: set[int] = set()

        async def ask() -> int:
            async with httpx2.AsyncClient(base_url=served.url, timeout=60) as own:
                return (await own.get("/health/detailed")).json()["info"]["process_id"]

        async def both() -> bool:
            pids.update(await asyncio.gather(*(ask() for _ in range(8))))
            return len(pids) >= 2

        await until(both, "both serve", within_s=120)
        _, writer = await connected(served)
        writer.write(POST + b"content-length: 100\r\n\r\n{")

        async def is_open() -> bool:
            return "tasker_http_requests_open 1.0" in (await served.api.get("/metrics")).text

        await until(is_open, "a request is under way")
        known = set(pids)
        for pid in known:  # whichever has the request is among them
            os.kill(pid, signal.SIGKILL)

        async def is_replaced() -> bool:
            with contextlib.suppress(httpx2.TransportError):
                pids.update(await asyncio.gather(*(ask() for _ in range(4))))
            return bool(pids - known)

        await until(is_replaced, "another serves", within_s=120)

        async def none_open() -> bool:
            with contextlib.suppress(httpx2.TransportError):
                async with httpx2.AsyncClient(base_url=served.url, timeout=60) as own:
                    return "tasker_http_requests_open 0.0" in (await own.get("/metrics")).text
            return False

        await until(none_open, "nothing is under way any more", within_s=120)
        writer.close()
