"""The ASGI application: routes around operations, and what every answer has in common."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tasker.operations import Engine
from tasker.server.auth import Authenticator
from tasker.server.rest.door import Door, guarded
from tasker.server.rest.events import Streams
from tasker.server.rest.refusals import refused
from tasker.server.rest.routes import ROUTES


def create_app(
    engine: Engine,
    *,
    authenticator: Authenticator | None = None,
    running: AbstractAsyncContextManager[object] | None = None,
) -> FastAPI:
    """The API of an engine. Without an authenticator every caller may do everything: keep it on loopback then.

    `running` is entered while the application is served by itself; a host that mounts it enters its own.
    """
    door = Door(engine, authenticator)
    streams = Streams(door)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        if running is None:
            yield
            return
        async with running:
            yield

    app = FastAPI(title="Tasker", lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    for route in ROUTES:
        endpoint = (streams if route.operation.is_stream else door).endpoint(route)
        app.add_route(route.path, guarded(endpoint), methods=[route.method])
    app.add_exception_handler(HTTPException, _not_routed)
    return app


async def _not_routed(request: Request, error: Exception) -> Response:
    """A path or a method that there is not."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    allowed = (error.headers or {}) if isinstance(error, HTTPException) else {}
    if status == 405:
        return refused("METHOD_NOT_ALLOWED", f"{request.url.path} does not answer {request.method}", 405, allowed)
    return refused("NOT_FOUND", f"there is nothing at {request.url.path}", status)
