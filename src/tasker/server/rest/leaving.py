"""Who goes away while the server waits for them is waited for no longer."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tasker.server.rest.door import Handler
from tasker.server.rest.routes import Route

GONE = 499


def while_there(endpoint: Handler, route: Route) -> Handler:
    """The endpoint, ended when its caller goes away, where its operation may wait and comes with a body."""
    if not route.has_body or "wait" not in route.operation.given.model_fields:
        return endpoint

    async def attentive(request: Request) -> Response:
        line = _Line(request)
        working = asyncio.ensure_future(endpoint(Request(request.scope, line.receive)))
        leaving = asyncio.ensure_future(line.left())
        try:
            await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else Response(status_code=GONE)
        finally:
            for task in (working, leaving):
                task.cancel()
            await asyncio.gather(working, leaving, return_exceptions=True)

    return attentive


class _Line:
    """What comes of a request. Only when its body is there can the end of the connection be heard."""

    def __init__(self, request: Request) -> None:
        self._receive: Any = request.receive
        self._has_body = asyncio.Event()

    async def receive(self) -> Any:
        """The next part of the body."""
        message = await self._receive()
        if not message.get("more_body", False):
            self._has_body.set()
        return message

    async def left(self) -> None:
        """Returns when the caller has gone away."""
        await self._has_body.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
