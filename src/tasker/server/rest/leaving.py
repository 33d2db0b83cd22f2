"""Who goes away while the server waits for them is waited for no longer; nor is anybody by a server that stops."""

from __future__ import annotations

import asyncio
from typing import Any

from sse_starlette.sse import AppStatus
from starlette.requests import Request
from starlette.responses import Response

from tasker.model.errors import NotStarted
from tasker.server.rest.door import Handler
from tasker.server.rest.refusals import refusal
from tasker.server.rest.routes import Route

GONE = 499
STOP_SEEN_S = 0.5


def while_there(endpoint: Handler, route: Route) -> Handler:
    """The endpoint, ended when its caller goes away, where its operation may wait and comes with a body."""
    if not route.has_body or "wait" not in route.operation.given.model_fields:
        return endpoint

    async def attentive(request: Request) -> Response:
        line = _Line(request)
        working = asyncio.ensure_future(endpoint(Request(request.scope, line.receive)))
        leaving, stopping = asyncio.ensure_future(line.left()), asyncio.ensure_future(_stopping())
        every = working, leaving, stopping
        try:
            await asyncio.wait(every, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            return Response(status_code=GONE) if leaving.done() else refusal(NotStarted())
        finally:
            for task in every:
                task.cancel()
            await asyncio.gather(*every, return_exceptions=True)

    return attentive


async def _stopping() -> None:
    """Returns when this process was told to stop, not at once: what does not wait ends by itself."""
    await asyncio.sleep(STOP_SEEN_S)
    while not AppStatus.should_exit:  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(STOP_SEEN_S)


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
