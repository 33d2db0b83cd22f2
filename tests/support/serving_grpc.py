"""A server of gRPC on loopback, in a thread of this process: as `serving` is for HTTP."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from tasker import Tasker
from tasker.server.grpc import GrpcServer, Listening

STARTS_WITHIN_S = 60


class ServingGrpc:
    """A server that can be stopped, and started again at the same port by another one."""

    def __init__(self, make: Callable[[], Tasker], port: int = 0, **options: Any) -> None:
        self._make, self._options = make, options
        self.port = port
        self._began, self._failure = threading.Event(), ""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="serving gRPC", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"grpc://127.0.0.1:{self.port}"

    def start(self) -> ServingGrpc:
        """Returns when it serves."""
        self._thread.start()
        assert self._began.wait(STARTS_WITHIN_S), "the server did not start"
        assert not self._failure, self._failure
        return self

    async def _serve(self) -> None:
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with self._make() as tasker:
                listening = Listening(host="127.0.0.1", port=self.port, **self._options)
                async with GrpcServer(tasker.engine(), listening) as server:
                    self.port = server.port
                    self._began.set()
                    await self._ending.wait()
        except Exception as error:
            self._failure = repr(error)
            raise
        finally:
            self._began.set()

    def stop(self) -> None:
        """Lets calls finish for as long as the setting says, and returns when it is over."""
        if self._loop is not None and self._ending is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(STARTS_WITHIN_S)
        assert not self._thread.is_alive(), "the server does not stop"

    def __enter__(self) -> ServingGrpc:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()
