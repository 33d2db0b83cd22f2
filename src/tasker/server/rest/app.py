"""The ASGI application: routes around operations, and what every answer has in common."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tasker.operations import Engine
from tasker.server.auth import Authenticator
from tasker.server.entrance import Entrance
from tasker.server.metrics import Figures
from tasker.server.rest.door import Door, Handler, guarded
from tasker.server.rest.events import Streams
from tasker.server.rest.leaving import while_there
from tasker.server.rest.refusals import refused
from tasker.server.rest.routes import ROUTES, Route
from tasker.server.rest.system import add_system_routes
from tasker.settings import Settings


def create_app(
    engine: Engine,
    *,
    authenticator: Authenticator | None = None,
    entrance: Entrance | None = None,
    running: AbstractAsyncContextManager[object] | None = None,
    hosts: frozenset[str] | None = None,
) -> FastAPI:
    """The API of an engine. Without an authenticator every caller may do everything: keep it on loopback then.

    `entrance` is given where the process has other faces, which share it; it knows the authenticator then.
    `running` is entered while the application is served by itself; a host that mounts it enters its own. `hosts` are
    the names by which it may be called where nobody is asked who calls: None is any.
    """
    entrance = entrance or Entrance(engine, authenticator)
    door, figures = Door(entrance, hosts=hosts), entrance.metrics.http
    streams = Streams(door)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        if running is None:
            yield
            return
        async with running:
            try:
                yield
            finally:
                await entrance.refused.close()

    app = FastAPI(title="Tasker", lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    for route in routes_of(engine.settings):
        endpoint = guarded(while_there((streams if route.operation.is_stream else door).endpoint(route), route))
        app.add_route(route.path, _measured(endpoint, route, figures), methods=[route.method])
    add_system_routes(app, door)
    app.add_exception_handler(HTTPException, _not_routed)
    return app


def routes_of(settings: Settings) -> list[Route]:
    """The routes that these settings allow."""
    return [route for route in ROUTES if route.path != "/config" or settings.config_endpoint]


def _measured(endpoint: Handler, route: Route, figures: Figures) -> Handler:
    """The endpoint, counted and timed."""

    async def measured_endpoint(request: Request) -> Response:
        began = time.perf_counter()
        figures.began()
        status = 0
        try:
            answer = await endpoint(request)
            status = answer.status_code
        finally:
            figures.answered(route.method, route.path, str(status), time.perf_counter() - began)
        return answer

    return measured_endpoint


async def _not_routed(request: Request, error: Exception) -> Response:
    """A path or a method that there is not."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    allowed = (error.headers or {}) if isinstance(error, HTTPException) else {}
    if status == 405:
        return refused("METHOD_NOT_ALLOWED", f"{request.url.path} does not answer {request.method}", 405, allowed)
    return refused("NOT_FOUND", f"there is nothing at {request.url.path}", status)
