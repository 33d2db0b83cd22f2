"""Streams as server-sent events: each update with its cursor as the event's id, with which a browser comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
from sse_starlette import EventSourceResponse
from starlette.requests import Request
from starlette.responses import Response

from tasker.model.errors import Backpressure
from tasker.operations import Operation, Principal, stream, told
from tasker.operations.registry import Given, admit
from tasker.server.rest.door import Door, Handler
from tasker.server.rest.inputs import read_given
from tasker.server.rest.metrics import Metrics
from tasker.server.rest.routes import Route

RECHECK_S = 2.0
"""How often it is looked whether the caller may still watch."""
PING_S = 15
_RETRY_MS = 1000


class Streams:
    """The open streams of a process, which are bounded."""

    def __init__(self, door: Door, metrics: Metrics) -> None:
        self._door = door
        self._metrics = metrics
        self._open = 0

    def endpoint(self, route: Route) -> Handler:
        """The endpoint of a route whose operation is a stream."""

        async def endpoint(request: Request) -> Response:
            principal = await self._door.caller(request)
            given = await read_given(request, route, self._door.engine, self._resumed(request))
            if self._open >= self._door.engine.settings.streams_max:
                raise Backpressure(f"{self._open} streams are open, and no more may be: try again later")
            items = await stream(self._door.engine, route.operation, principal, given)
            first = await anext(items)
            self._count(1)
            return EventSourceResponse(self._events(request, route.operation, given, first, items), ping=PING_S)

        return endpoint

    def _count(self, change: int) -> None:
        self._open += change
        self._metrics.streams(change)

    @staticmethod
    def _resumed(request: Request) -> dict[str, str]:
        """Where a client that was cut off goes on."""
        last = request.headers.get("last-event-id")
        return {} if last is None else {"cursor": last}

    async def _events(
        self, request: Request, operation: Operation[Any], given: Given, first: Any, items: AsyncIterator[Any]
    ) -> AsyncIterator[dict[str, Any]]:
        try:
            yield _event(first)
            async for item in self._while_allowed(request, operation, given, items):
                yield _event(item)
        except Exception as error:  # the edge: the response has begun, so the error is an event
            yield {"event": "error", "data": orjson.dumps({"error": told(error)}).decode()}
        finally:
            self._count(-1)

    async def _while_allowed(
        self, request: Request, operation: Operation[Any], given: Given, items: AsyncIterator[Any]
    ) -> AsyncIterator[Any]:
        """The items, as long as the caller may see them: a key may be revoked while its stream is open."""
        loop = asyncio.get_running_loop()
        check_at = loop.time() + RECHECK_S
        coming = asyncio.ensure_future(_next(items))
        try:
            while True:
                await asyncio.wait([coming], timeout=max(0.0, check_at - loop.time()))
                if loop.time() >= check_at:
                    principal: Principal = await self._door.caller(request)
                    await admit(self._door.engine, operation, principal, given)
                    check_at = loop.time() + RECHECK_S
                if not coming.done():
                    continue
                if (item := coming.result()) is None:
                    return
                yield item
                coming = asyncio.ensure_future(_next(items))
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


async def _next(items: AsyncIterator[Any]) -> Any:
    """The next item; None at the end."""
    return await anext(items, None)


def _event(item: Any) -> dict[str, Any]:
    return {"id": item.cursor, "event": item.update_type, "data": item.model_dump_json(), "retry": _RETRY_MS}
