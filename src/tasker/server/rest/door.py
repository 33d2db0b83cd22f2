"""The way in: who calls, and the endpoint of every route whose operation answers once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from tasker.model.errors import Forbidden, RequestTimeout
from tasker.operations import Principal, call
from tasker.server.entrance import Attempt, Entrance
from tasker.server.rest.inputs import read_given
from tasker.server.rest.refusals import refusal
from tasker.server.rest.routes import Route

Handler = Callable[[Request], Awaitable[Response]]


class Door:
    """The way from a process's entrance to the operations, over HTTP."""

    def __init__(self, entrance: Entrance, *, hosts: frozenset[str] | None = None) -> None:
        self.entrance, self.engine = entrance, entrance.engine
        self._hosts = hosts

    def attempt(self, request: Request, route: Route) -> Attempt:
        """The request, as the record of refused calls would have it."""
        made = Attempt("http", "", request.client.host if request.client else "")
        made.seeks(route.operation)
        return made

    async def caller(self, request: Request, attempt: Attempt) -> Principal:
        """Who calls. Raises Unauthenticated, Forbidden, GuessingRefused."""
        if not self.entrance.asks_who_calls:
            self._check_site(request)
        return await self.entrance.caller(request.headers, attempt)

    def _check_site(self, request: Request) -> None:
        """Where nobody is asked who calls, a page of another site could call through its reader's browser."""
        host = request.headers.get("host", "")
        origin = request.headers.get("origin")
        is_foreign = request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        if is_foreign or (origin is not None and urlsplit(origin).netloc != host):
            raise Forbidden("the request comes from another site's page")
        if self._hosts is not None and urlsplit(f"//{host}").hostname not in self._hosts:
            raise Forbidden(f"this server is called by one of the names {', '.join(sorted(self._hosts))}")

    def endpoint(self, route: Route) -> Handler:
        """The endpoint of a route whose operation answers once."""
        write = TypeAdapter[Any](route.operation.answer).dump_json

        async def endpoint(request: Request) -> Response:
            attempt = self.attempt(request, route)
            with self.entrance.watched(attempt):
                return await admitted(request, await self.caller(request, attempt))

        async def admitted(request: Request, principal: Principal) -> Response:
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
