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
from tasker.operations import ANYBODY, Engine, Principal, call
from tasker.server.auth import Authenticator
from tasker.server.callers import Callers
from tasker.server.rest.inputs import read_given
from tasker.server.rest.refusals import refusal
from tasker.server.rest.routes import Route

Handler = Callable[[Request], Awaitable[Response]]


class Door:
    """The engine behind a REST application, and who tells callers apart; None lets everybody in."""

    def __init__(
        self, engine: Engine, authenticator: Authenticator | None, *, hosts: frozenset[str] | None = None
    ) -> None:
        self.engine = engine
        per_minute = engine.settings.auth_failures_per_minute
        self._callers = None if authenticator is None else Callers(authenticator, per_minute)
        self._hosts = hosts

    @property
    def asks_who_calls(self) -> bool:
        """Whether callers have to say who they are."""
        return self._callers is not None

    async def caller(self, request: Request) -> Principal:
        """Who calls. Raises Unauthenticated, Forbidden, QuotaExceeded."""
        if self._callers is None:
            self._check_site(request)
            return ANYBODY
        return await self._callers.principal(request.headers, request.client.host if request.client else "")

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
