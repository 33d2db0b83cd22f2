"""Tasker's API as a router of a FastAPI application."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.params import Depends
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tasker.app import Tasker
from tasker.server.auth import Authenticator


class TaskerRouter(APIRouter):
    """All routes of Tasker's API; give it to `app.include_router`.

    The router's lifespan is the Tasker's: it starts and stops with the application. `authenticator` tells who calls, or
    is None where `dependencies` (here, or at include_router) decide who comes this far: then whoever does may do
    everything. The routes do not show in the application's own OpenAPI document; `/v1/docs` below the prefix has them.
    """

    def __init__(
        self,
        tasker: Tasker,
        *,
        authenticator: Authenticator | None,
        prefix: str = "",
        dependencies: Sequence[Depends] | None = None,
    ) -> None:
        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
            async with tasker:
                yield

        super().__init__(prefix=prefix, dependencies=dependencies, lifespan=lifespan, include_in_schema=False)
        for route in tasker.asgi(authenticator=authenticator).routes:
            if isinstance(route, Route):
                self.add_api_route(route.path, _below_prefix(route), methods=sorted(route.methods or ()))


def _below_prefix(route: Route) -> Any:
    """The route's endpoint, told the prefix under which it is reached, as a mounted application would be."""
    endpoint: Any = route.endpoint
    depth = route.path.count("/")

    async def below_prefix(request: Request) -> Response:
        prefix = "/".join(request.scope["path"].split("/")[:-depth])
        return await endpoint(Request({**request.scope, "root_path": prefix}, request.receive))

    return below_prefix
