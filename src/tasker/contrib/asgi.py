"""Tasker's API beside any ASGI application, under a prefix, for hosts that cannot mount others themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from tasker.model.errors import SettingsError

if TYPE_CHECKING:
    from tasker.app import Tasker

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Beside:
    """An ASGI application: what is below `at` goes to Tasker's API, all else to the host.

    It starts `tasker` with the server (ASGI's lifespan), or with the first request below `at` where the server has no
    lifespan, and stops it with the server. The host itself is told nothing of the lifespan: use this for hosts that
    know none, such as Django, and mount `tasker.asgi()` in the others.
    """

    def __init__(self, host: Application, tasker: Tasker, api: Application, *, at: str = "/tasker") -> None:
        if not at.startswith("/") or at.endswith("/"):
            raise SettingsError(f'"{at}" is no prefix: it begins with / and does not end with one, such as /tasker')
        self._host, self._tasker, self._api, self._at = host, tasker, api, at
        self._starting = asyncio.Lock()
        self._is_started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if not self._is_below(scope):
            await self._host(scope, receive, send)
            return
        await self._start()
        await self._api({**scope, "root_path": f"{scope.get('root_path', '')}{self._at}"}, receive, send)

    def _is_below(self, scope: Scope) -> bool:
        place = f"{scope.get('root_path', '')}{self._at}"
        path: str = scope.get("path", "")
        return scope["type"] == "http" and (path == place or path.startswith(f"{place}/"))

    async def _start(self) -> None:
        async with self._starting:
            if not self._is_started:
                await self._tasker.start()
                self._is_started = True

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._start()
        except Exception as error:  # the server ends with what it is told here
            await send({"type": "lifespan.startup.failed", "message": f"Tasker cannot start: {error}"})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._tasker.stop()
        self._is_started = False
        await send({"type": "lifespan.shutdown.complete"})
