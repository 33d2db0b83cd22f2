"""Tasker in applications of FastAPI and Starlette, which serve on loopback."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx2
import pytest
from embedding_support import a_tasker, run_an_order
from fastapi import Depends, FastAPI, Header, HTTPException
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from support.serving import served

from tasker.client import TaskerClient
from tasker.contrib.fastapi import TaskerRouter
from tasker.model.errors import Forbidden, TaskerError
from tasker.server.auth.host import HostAuthenticator, host_principal


@pytest.mark.parametrize("at", ["/tasker", "/internal/flows/v2"])
def test_fastapi_with_a_router(database: str, tmp_path: Path, at: str) -> None:
    """With TaskerRouter the application starts and stops the Tasker, and a task runs end to end below the prefix."""
    tasker = a_tasker(database, tmp_path)

    def host() -> FastAPI:
        app = FastAPI()
        app.include_router(TaskerRouter(tasker, authenticator=None), prefix=at)
        app.add_api_route("/", lambda: "the shop")
        return app

    with served(host) as serving:
        run_an_order(f"{serving.url}{at}")
        assert httpx2.get(serving.url).json() == "the shop"
        assert list(httpx2.get(f"{serving.url}/openapi.json").json()["paths"]) == ["/"]
    with pytest.raises(TaskerError, match="not started"):
        tasker._connections  # noqa: B018


def test_a_router_of_its_own_prefix(database: str, tmp_path: Path) -> None:
    """The prefix may be the router's own."""

    def host() -> FastAPI:
        app = FastAPI()
        app.include_router(TaskerRouter(a_tasker(database, tmp_path), authenticator=None, prefix="/tasker"))
        return app

    with served(host) as serving:
        run_an_order(f"{serving.url}/tasker")


def test_dependencies_of_the_host_guard_the_router(database: str, tmp_path: Path) -> None:
    """What the host demands of its own routes, it may demand of Tasker's; else nobody comes in."""

    def only_ann(x_user: Annotated[str, Header()] = "") -> None:
        if x_user != "ann":
            raise HTTPException(403, "only ann may")

    def host() -> FastAPI:
        app = FastAPI()
        router = TaskerRouter(a_tasker(database, tmp_path), authenticator=None)
        app.include_router(router, prefix="/tasker", dependencies=[Depends(only_ann)])
        return app

    with served(host) as serving:
        with TaskerClient(f"{serving.url}/tasker") as stranger, pytest.raises(Forbidden):
            stranger.list_tasks()
        with TaskerClient(f"{serving.url}/tasker", headers={"x-user": "ann"}) as ann:
            assert ann.list_tasks().tasks == []


def test_the_hosts_users_are_tasker_s(database: str, tmp_path: Path) -> None:
    """An authenticator of the host's tells who calls; histories name the user."""

    def identify(headers: Any) -> Any:
        user = headers.get("x-user")
        return host_principal(user, permissions=["tasks:*"], namespaces=["shop"]) if user else None

    def host() -> FastAPI:
        app = FastAPI()
        router = TaskerRouter(a_tasker(database, tmp_path), authenticator=HostAuthenticator(identify))
        app.include_router(router, prefix="/tasker")
        return app

    with served(host) as serving, TaskerClient(f"{serving.url}/tasker", headers={"x-user": "ann"}) as ann:
        assert ann.create_task("order", namespace="shop").initiator == "ann"
        with pytest.raises(Forbidden):
            ann.list_workers()
        assert httpx2.get(f"{serving.url}/tasker/v1/tasks").status_code == 401


def test_fastapi_and_starlette_with_a_mount(database: str, tmp_path: Path) -> None:
    """An application may mount the whole API and start the Tasker in its own lifespan."""
    for kind in (FastAPI, Starlette):
        tasker = a_tasker(database, tmp_path)

        @asynccontextmanager
        async def lifespan(_: Any, tasker: Any = tasker) -> AsyncGenerator[None]:
            async with tasker:
                yield

        async def shop(_: Request) -> PlainTextResponse:
            return PlainTextResponse("the shop")

        def host(kind: Any = kind, tasker: Any = tasker, lifespan: Any = lifespan, shop: Any = shop) -> Any:
            return kind(routes=[Mount("/tasker", tasker.asgi()), Route("/", shop)], lifespan=lifespan)

        with served(host) as serving:
            run_an_order(f"{serving.url}/tasker")
            assert httpx2.get(serving.url).text == "the shop"
