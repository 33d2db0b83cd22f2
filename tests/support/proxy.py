"""A proxy between clients and PostgreSQL that cuts, holds and loses, on command or by chance.

It lives in a thread with a loop of its own, so that nothing that a test does delays it. Clients reach it over TCP; the
server may listen on a Unix socket.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit, urlunsplit

T = TypeVar("T")
_CHUNK = 65536


class Proxy:
    """One address in front of one server. `chance_of_cut` is that of each message that passes, in either direction."""

    def __init__(self, server_dsn: str, *, seed: int = 0, host: str = "127.0.0.1") -> None:
        self._server_dsn = server_dsn
        self._host = host
        self._random = random.Random(seed)
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self.chance_of_cut = 0.0
        self.cuts = 0
        self.replies_lost = 0
        self._to_lose: dict[bytes, int] = {}
        self._listener: Any = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._port = self._call(self._listen)
        self._call(self._flowing.set)

    @property
    def dsn(self) -> str:
        """The server's DSN, by way of the proxy."""
        parts = urlsplit(self._server_dsn)
        where = f"{parts.netloc.rpartition('@')[0]}@{self._host}:{self._port}"
        return urlunsplit(parts._replace(netloc=where, query="sslmode=disable"))

    def cut(self) -> int:
        """Cuts every connection; how many there were."""
        return self._call(self._cut)

    def refuse(self) -> None:
        """Cuts every connection, and lets no new one in."""
        self._call(self._refuse)

    def accept(self) -> None:
        """Lets clients in again."""
        self._call(lambda: self._listen(self._port))

    def hold(self) -> None:
        """From now on nothing arrives any more, on connections old and new, and nobody is told: half-open."""
        self._call(self._flowing.clear)

    def release(self, *, cut: bool = True) -> None:
        """Lets bytes flow again. Connections that were held are cut, as by a router that has forgotten them."""
        self._call(lambda: self._release(cut))

    def forget(self) -> None:
        """Nothing passes any more on the connections that there are, and nobody is told; new ones work."""
        self._call(self._forget)

    def lose_replies_to(self, text: str, count: int) -> None:
        """Cuts the connection of the next so many calls of a statement with this text, when the server has answered.

        A driver sends the text once a connection, to have the statement parsed, and the call after that.
        """
        self._to_lose[text.encode()] = count

    def close(self) -> None:
        """Ends everything."""
        self._call(self._refuse)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # In the thread ----------------------------------------------------------------------------------------------------

    def _call(self, work: Callable[[], T | Any]) -> Any:
        async def run() -> Any:
            answer = work()
            return await answer if asyncio.iscoroutine(answer) else answer

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(60)

    async def _listen(self, port: int = 0) -> int:
        self._listener = await asyncio.start_server(self._connected, self._host, port)
        return int(self._listener.sockets[0].getsockname()[1])

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server = await self._open_server()
        except OSError:
            writer.transport.abort()
            return
        link = _Link(self, (reader, writer), server)
        self._links.add(link)
        await link.run()
        self._links.discard(link)

    async def _open_server(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self._server_dsn)
        query = parse_qs(parts.query)
        if folder := query.get("host"):
            port = query.get("port", [str(parts.port or 5432)])[0]
            return await asyncio.open_unix_connection(f"{folder[0]}/.s.PGSQL.{port}")
        return await asyncio.open_connection(parts.hostname, parts.port)

    def _cut(self) -> int:
        links = list(self._links)
        for link in links:
            link.cut()
        return len(links)

    def _forget(self) -> None:
        for link in self._links:
            link.is_forgotten = True

    def _refuse(self) -> None:
        self._listener.close()
        self._cut()

    def _release(self, cut: bool) -> None:
        if cut:
            self._cut()
        self._flowing.set()

    def look(self, link: _Link, request: bytes) -> None:
        """Finds out whether the reply to this is to be lost: it calls what was parsed before."""
        link.is_doomed = link.is_marked and request.startswith(b"B")
        if any(count and text in request for text, count in self._to_lose.items()):
            link.is_marked = True
            self._to_lose = {text: count - (text in request) for text, count in self._to_lose.items()}

    async def passes(self, link: _Link, *, is_reply: bool) -> bool:
        """Whether a message may go on; where it may not, its connection is cut."""
        await self._flowing.wait()
        if link.is_forgotten:
            await link.is_cut.wait()
            return False
        if is_reply and link.is_doomed:
            self.cuts += 1
            self.replies_lost += 1
            return False
        if self.chance_of_cut and self._random.random() < self.chance_of_cut:
            self.cuts += 1
            self.replies_lost += is_reply
            return False
        return True


class _Link:
    """One client's connection and its twin to the server."""

    def __init__(
        self,
        proxy: Proxy,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._proxy = proxy
        self._client, self._server = client, server
        self.is_forgotten = False
        self.is_cut = asyncio.Event()
        self.is_marked = self.is_doomed = False

    async def run(self) -> None:
        pumps = [
            asyncio.create_task(self._pump(self._client[0], self._server[1], is_reply=False)),
            asyncio.create_task(self._pump(self._server[0], self._client[1], is_reply=True)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        self.cut()

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, is_reply: bool) -> None:
        try:
            while (data := await source.read(_CHUNK)) and await self._proxy.passes(self, is_reply=is_reply):
                if not is_reply:
                    self._proxy.look(self, data)
                target.write(data)
                await target.drain()
        except OSError:
            return

    def cut(self) -> None:
        """Ends both halves; the client gets a reset, as from a machine that knows nothing of the connection."""
        self.is_cut.set()
        taken = self._client[1].get_extra_info("socket")
        if taken is not None and taken.fileno() >= 0:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for _, writer in (self._client, self._server):
            writer.transport.abort()
