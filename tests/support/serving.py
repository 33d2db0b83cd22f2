"""An ASGI application on loopback, in a thread of this process."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import uvicorn

STARTS_WITHIN_S = 60


class Serving:
    """A server that can be stopped, and started again at the same port by another one."""

    def __init__(self, make: Callable[[], Any], port: int = 0, **options: Any) -> None:
        self._listening = socket.socket()
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listening.bind(("127.0.0.1", port))
        self.port: int = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._make, self._options = make, {"log_level": "error", "timeout_graceful_shutdown": 1, **options}
        self._started, self._failed = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="serving", daemon=True)
        self._server: uvicorn.Server | None = None

    def start(self) -> Serving:
        """Returns when it serves."""
        self._thread.start()
        assert self._started.wait(STARTS_WITHIN_S) and not self._failed, "the server did not start"
        return self

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._failed = self._server is None or not self._server.started
            self._started.set()

    async def _serve(self) -> None:
        self._server = server = uvicorn.Server(uvicorn.Config(self._make(), **self._options))
        serving = asyncio.create_task(server.serve(sockets=[self._listening]))
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        self._started.set()
        await serving

    def stop(self) -> None:
        """Lets requests finish for a second, and returns when it is over."""
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(STARTS_WITHIN_S)
        assert not self._thread.is_alive(), "the server does not stop"
        self._listening.close()

    def __enter__(self) -> Serving:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextmanager
def served(make: Callable[[], Any], **options: Any) -> Generator[Serving]:
    """What `make` makes (on the server's own loop), served while the block lasts."""
    with Serving(make, **options) as serving:
        yield serving
