"""A server on loopback, whose tasks a worker works on, and both clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from client_support import HANDLERS, ORDER, AnyServing, Making, making, serving_over

from tasker import Tasker
from tasker.client import AsyncTaskerClient


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees a server of whoever runs it."""
    for name in ("TASKER_URL", "TASKER_PROFILE", "TASKER_API_KEY", "TASKER_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture(params=["over HTTP, with await", "over gRPC, without await"])
def way(request: pytest.FixtureRequest) -> str:
    """How the server is spoken to, and by which client: each way and each client once, not each pair."""
    return request.param


@pytest.fixture
def server(way: str, database: str, tmp_path: Path) -> Iterator[AnyServing]:
    """A server with a worker."""
    file = tmp_path / "order.yaml"
    file.write_text(ORDER)
    with serving_over(way, lambda: Tasker(database, templates=file, handlers=HANDLERS)) as serving:
        yield serving


@pytest.fixture(params=["with await", "without await"])
def make(request: pytest.FixtureRequest) -> Making:
    """Makes a client, of either kind."""
    return making(request.param)


@pytest.fixture
async def client(server: AnyServing, way: str) -> AsyncIterator[AsyncTaskerClient]:
    """A client of the server."""
    made = making(way)(server.url)
    yield made
    await made.aclose()
