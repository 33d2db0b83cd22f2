"""Streams as server-sent events: each update with its cursor as the event's id, with which a browser comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import orjson
from sse_starlette import EventSourceResponse
from starlette.requests import Request
from starlette.responses import Response

from tasker.model.errors import Backpressure
from tasker.operations import stream, told
from tasker.operations.registry import Given, admit
from tasker.server.entrance import Attempt
from tasker.server.rest.door import Door, Handler
from tasker.server.rest.inputs import read_given
from tasker.server.rest.routes import Route
from tasker.server.streams import while_allowed

PING_S = 15
_RETRY_MS = 1000


class Streams:
    """The open streams of a process, which are bounded."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._open = 0

    def endpoint(self, route: Route) -> Handler:
        """The endpoint of a route whose operation is a stream."""

        async def endpoint(request: Request) -> Response:
            attempt = self._door.attempt(request, route)
            with self._door.entrance.watched(attempt):
                return await opened(request, attempt)

        async def opened(request: Request, attempt: Attempt) -> Response:
            principal = await self._door.caller(request, attempt)
            given = await read_given(request, route, self._door.engine, self._resumed(request))
            if self._open >= self._door.engine.settings.streams_max:
                raise Backpressure(f"{self._open} streams are open, and no more may be: try again later")
            items = await stream(self._door.engine, route.operation, principal, given)
            first = await anext(items)
            self._count(1)
            return EventSourceResponse(self._events(request, route, given, first, items), ping=PING_S)

        return endpoint

    def _count(self, change: int) -> None:
        self._open += change
        self._door.entrance.metrics.http.streams(change)

    @staticmethod
    def _resumed(request: Request) -> dict[str, str]:
        """Where a client that was cut off goes on."""
        last = request.headers.get("last-event-id")
        return {} if last is None else {"cursor": last}

    async def _events(
        self, request: Request, route: Route, given: Given, first: Any, items: AsyncIterator[Any]
    ) -> AsyncIterator[dict[str, Any]]:
        async def may_still() -> None:
            attempt = self._door.attempt(request, route)
            with self._door.entrance.watched(attempt):
                principal = await self._door.caller(request, attempt)
                await admit(self._door.engine, route.operation, principal, given)

        try:
            yield _event(first)
            async with aclosing(while_allowed(items, may_still)) as allowed:
                async for item in allowed:
                    yield _event(item)
        except Exception as error:  # the edge: the response has begun, so the error is an event
            yield {"event": "error", "data": orjson.dumps({"error": told(error)}).decode()}
        finally:
            self._count(-1)


def _event(item: Any) -> dict[str, Any]:
    return {"id": item.cursor, "event": item.update_type, "data": item.model_dump_json(), "retry": _RETRY_MS}
