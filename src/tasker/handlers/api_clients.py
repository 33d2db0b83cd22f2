"""The HTTP clients of a process: one for each event loop, and one for all threads.

Their connections are reused by every step of every handler. A client keeps nothing else: no cookies, which would carry
one customer's session into another's step, and no proxies or passwords from the environment. A loop's client is closed
when the loop ends, or by `close_clients`; calls that are under way then come to their end first.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx2

from tasker import __version__
from tasker.handlers.egress import AsyncGuardedTransport, GuardedTransport


@asynccontextmanager
async def loop_client() -> AsyncGenerator[httpx2.AsyncClient]:
    """The client of the running loop, for one call."""
    loop = asyncio.get_running_loop()
    lent = _of_loops.get(loop)
    if lent is None:
        for ended in [other for other in _of_loops if other.is_closed()]:
            del _of_loops[ended]  # it ended without closing what was begun in it
        lent = _of_loops[loop] = _AsyncLent(loop)
        await anext(lent.end)
    lent.users += 1
    try:
        yield lent.client
    finally:
        lent.users -= 1
        await lent.close_if_done()


@contextmanager
def thread_client() -> Generator[httpx2.Client]:
    """The client that all threads of the process share, for one call."""
    lent = _borrow()
    try:
        yield lent.client
    finally:
        _give_back(lent)


async def close_clients() -> None:
    """Closes the running loop's client and the one of the process's threads. Later calls open new ones."""
    if (lent := _of_loops.pop(asyncio.get_running_loop(), None)) is not None:
        lent.is_retired = True
        await lent.close_if_done()
    _retire_thread_client()


def _client_options() -> dict[str, Any]:
    return {
        "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        "headers": {"user-agent": f"tasker/{__version__}", "accept": "*/*"},
        "follow_redirects": False,
        "trust_env": False,
    }


class _AsyncLent:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.client = httpx2.AsyncClient(transport=AsyncGuardedTransport(), **_client_options())
        self.users = 0
        self.is_retired = False
        self.end = self._until_the_loop_ends()

    async def close_if_done(self) -> None:
        if self.is_retired and self.users == 0:
            await self.end.aclose()

    async def _until_the_loop_ends(self) -> AsyncGenerator[None]:
        """A loop that ends closes the asynchronous generators that were begun in it."""
        try:
            yield
        finally:
            if _of_loops.get(self._loop) is self:
                del _of_loops[self._loop]
            await self.client.aclose()


class _Lent:
    def __init__(self) -> None:
        self.client = httpx2.Client(transport=GuardedTransport(), **_client_options())
        self.users = 0
        self.is_retired = False


_of_loops: dict[asyncio.AbstractEventLoop, _AsyncLent] = {}
_of_threads: dict[int, _Lent] = {}
"""By process: a fork must not write into its parent's connections."""
_lock = threading.Lock()


def _borrow() -> _Lent:
    with _lock:
        lent = _of_threads.get(os.getpid())
        if lent is None:
            lent = _of_threads[os.getpid()] = _Lent()
        lent.users += 1
        return lent


def _give_back(lent: _Lent) -> None:
    with _lock:
        lent.users -= 1
        is_done = lent.is_retired and lent.users == 0
    if is_done:
        lent.client.close()


def _retire_thread_client() -> None:
    with _lock:
        lent = _of_threads.pop(os.getpid(), None)
        if lent is None:
            return
        lent.is_retired = True
        is_done = lent.users == 0
    if is_done:
        lent.client.close()
