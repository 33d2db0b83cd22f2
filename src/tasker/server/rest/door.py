"""The way in: who calls, and the endpoint of every route whose operation answers once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from tasker.model.errors import RequestTimeout, Unauthenticated
from tasker.operations import ANYBODY, Engine, Principal, call
from tasker.server.auth import Authenticator
from tasker.server.rest.inputs import read_given
from tasker.server.rest.refusals import refusal
from tasker.server.rest.routes import Route

Handler = Callable[[Request], Awaitable[Response]]


class Door:
    """The engine behind a REST application, and who tells callers apart; None lets everybody in."""

    def __init__(self, engine: Engine, authenticator: Authenticator | None) -> None:
        self.engine = engine
        self.authenticator = authenticator

    async def caller(self, request: Request) -> Principal:
        """Who calls. Raises Unauthenticated."""
        if self.authenticator is None:
            return ANYBODY
        principal = await self.authenticator.authenticate(request.headers)
        if principal is None:
            raise Unauthenticated("no credentials came with the request", "missing")
        return principal

    def endpoint(self, route: Route) -> Handler:
        """The endpoint of a route whose operation answers once."""
        write = TypeAdapter[Any](route.operation.answer).dump_json

        async def endpoint(request: Request) -> Response:
            principal = await self.caller(request)
            async with asyncio.timeout(self.engine.settings.request_timeout_s) as limit:
                given = await read_given(request, route, self.engine)
                wait_s = getattr(given, "wait", None)
                if wait_s:
                    now, wait_s_max = asyncio.get_running_loop().time(), self.engine.settings.wait_s_max
                    limit.reschedule(now + min(wait_s, wait_s_max) + self.engine.settings.request_timeout_s)
                answer = await call(self.engine, route.operation, principal, given)
            return Response(write(answer), route.status, media_type="application/json")

        return endpoint


def guarded(endpoint: Handler) -> Handler:
    """An endpoint whose errors are answered in the one form that all errors have."""

    async def guarded_endpoint(request: Request) -> Response:
        try:
            return await endpoint(request)
        except TimeoutError:
            return refusal(RequestTimeout("the request took too long; what it asked for may happen yet"))
        except Exception as error:  # the edge: every error becomes an answer, and what is ours to mend is logged
            return refusal(error)

    return guarded_endpoint
