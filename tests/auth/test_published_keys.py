"""Keys that an issuer publishes: rotation, made-up names, an issuer that is away, and one that means harm."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from doors import Ticks
from joserfc import jwk
from mint import KEYS, Mint, public, tokens

from tasker.model.errors import KeysUnavailable, SettingsError, Unauthenticated
from tasker.server.auth import jwks
from tasker.server.auth.jwks import LOOK_AGAIN_S, PublishedKeys, checked_url, fetched

URL = "https://issuer.example/jwks"
OTHER = jwk.ECKey.generate_key("P-256", {"kid": "new"})


@dataclass
class Issuer:
    """What lies at the address, and how often somebody looked."""

    keys: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    looks: int = 0
    error: Exception | None = None
    body: bytes | None = None
    ticks: Ticks = field(default_factory=Ticks)

    async def fetch(self, url: str) -> bytes:
        assert url == URL
        self.looks += 1
        if self.error is not None:
            raise self.error
        return self.body if self.body is not None else json.dumps({"keys": self.keys}).encode()

    def published(self, *, refresh_s: float = 600, stale_s: float = 3600) -> PublishedKeys:
        return PublishedKeys(URL, refresh_s=refresh_s, stale_s=stale_s, fetch=self.fetch, clock=self.ticks)


@pytest.fixture
def issuer() -> Issuer:
    """Publishes the EC key."""
    return Issuer([public(KEYS["ES256"])])


async def test_keys_are_looked_at_once_and_then_again_in_time(issuer: Issuer) -> None:
    """A thousand tokens are one look; another comes when the keys are as old as the setting says."""
    door = tokens(issuer.published(refresh_s=600))
    for _ in range(1000):
        await door.principal(Mint("ES256").token())
    assert issuer.looks == 1
    issuer.ticks.now += 600
    await door.principal(Mint("ES256").token())
    assert issuer.looks == 2


async def test_a_new_key_counts_at_once_and_the_old_one_dies(issuer: Issuer) -> None:
    """A token of a key that is not known brings a look; what is no longer published opens nothing from then on."""
    door = tokens(issuer.published())
    await door.principal(Mint("ES256").token())
    issuer.keys, issuer.ticks.now = [public(OTHER)], issuer.ticks.now + LOOK_AGAIN_S
    await door.principal(Mint("ES256", key=OTHER).token())
    assert issuer.looks == 2
    with pytest.raises(Unauthenticated):
        await door.principal(Mint("ES256").token())


async def test_made_up_names_cost_the_issuer_one_look_in_half_a_minute(issuer: Issuer) -> None:
    """Ten thousand tokens of unknown keys within a minute are three looks at most."""
    keys = issuer.published()
    for number in range(10_000):
        issuer.ticks.now += 60 / 10_000
        assert await keys.keys(f"made up {number}") == []
    assert issuer.looks <= 3
    assert await keys.keys("ec")


async def test_an_issuer_that_is_away_is_bridged_for_a_while(issuer: Issuer) -> None:
    """Known keys serve on through the time for stale ones; then no token counts, and the answer is to try again."""
    door = tokens(issuer.published(refresh_s=600, stale_s=300))
    await door.principal(Mint("ES256").token())
    issuer.error = OSError("gone")
    for age in (600, 299.9):
        issuer.ticks.now += age
        await door.principal(Mint("ES256").token())
    issuer.ticks.now += 0.1
    with pytest.raises(KeysUnavailable):
        await door.principal(Mint("ES256").token())
    issuer.error, issuer.ticks.now = None, issuer.ticks.now + LOOK_AGAIN_S
    await door.principal(Mint("ES256").token())


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"keys": 7}', b"\xff", b'{"keys": [' + b"{}," * 200 + b"{}]}"]
)
async def test_an_answer_that_is_no_key_set_changes_nothing(issuer: Issuer, body: bytes) -> None:
    """An error page in place of the keys is as if the issuer were away."""
    door = tokens(issuer.published())
    await door.principal(Mint("ES256").token())
    issuer.body, issuer.ticks.now = body, issuer.ticks.now + 700
    await door.principal(Mint("ES256").token())
    assert issuer.looks == 2


async def test_keys_that_must_not_count_are_left_out_of_a_set(issuer: Issuer) -> None:
    """A set may hold symmetric, private and encrypting keys: none of them checks a token, the others do."""
    strange: Any = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "s"},
        KEYS["RS256"].as_dict(private=True),
        7,
        public(OTHER, use="enc"),
    ]
    issuer.keys += strange
    keys = issuer.published()
    assert [key.key_id for key in await keys.keys(None)] == ["ec"]


async def test_while_one_looks_the_others_go_on(issuer: Issuer) -> None:
    """A slow issuer holds up the one token that made the look, and no other while known keys serve."""
    keys = issuer.published()
    await keys.keys("ec")
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slow(url: str) -> bytes:
        asked.set()
        await answer.wait()
        return await issuer.fetch(url)

    keys._fetch = slow
    issuer.ticks.now += 601
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(keys.keys("ec"))
        await asked.wait()
        assert await keys.keys("ec")
        assert not looking.done()
        answer.set()
    assert looking.result()


@pytest.mark.parametrize(
    "url",
    ["http://issuer.example/jwks", "ftp://issuer.example", "file:///etc/passwd", "issuer.example", "", "https://",
     "https://user:secret@issuer.example/jwks", "http://169.254.169.254/", "http://127.0.0.1.evil.example/"],
)  # fmt: skip
def test_an_address_that_could_be_listened_to_is_refused(url: str) -> None:
    """Keys come by https, or from this machine; a password in the address is refused and not repeated."""
    with pytest.raises(SettingsError) as caught:
        checked_url(url)
    assert "secret" not in str(caught.value)
    assert checked_url("http://127.0.0.1:8000/jwks")


Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[str]:
    """An issuer on this machine that answers so; its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            await answer(writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/jwks"
    finally:
        listening.close()


async def test_keys_are_fetched_over_http() -> None:
    """What lies at the address is what comes."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\nconnection: close\r\n\r\n" + b'{"keys": []}')
        await writer.drain()

    async with server(answer) as url:
        assert await fetched(url) == b'{"keys": []}'


async def test_an_endless_answer_is_cut() -> None:
    """Of an answer without end no more than the limit is taken."""
    sent = 0

    async def answer(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
        while sent < 100_000_000:
            writer.write(b" " * 65_536)
            sent += 65_536
            await writer.drain()

    async with server(answer) as url:
        with pytest.raises(OSError, match="larger than"):
            await fetched(url)
    assert sent < 50_000_000


async def test_a_dripping_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that never ends, byte by byte, is given up when the time for all of it is over."""
    monkeypatch.setattr(jwks, "ANSWER_S_MAX", 0.2)
    over = asyncio.Event()

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n ")
        await writer.drain()
        await over.wait()

    async with server(answer) as url:
        with pytest.raises(TimeoutError):
            await fetched(url)
        over.set()


async def test_nobody_is_followed_elsewhere() -> None:
    """An answer that sends us to another address, and one that is an error, are no keys."""
    for status in (b"302 Found\r\nlocation: http://127.0.0.1:1/", b"500 Oh", b"404 No"):

        async def answer(writer: asyncio.StreamWriter, status: bytes = status) -> None:
            writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            await writer.drain()

        async with server(answer) as url:
            with pytest.raises(OSError, match="the answer was"):
                await fetched(url)
