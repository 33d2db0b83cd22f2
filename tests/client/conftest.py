"""A server on loopback, whose tasks a worker works on, and both clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from client_support import HANDLERS, ORDER, Awaited, Making
from support.serving import Serving, served

from tasker import Tasker
from tasker.client import AsyncTaskerClient, TaskerClient


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees a server of whoever runs it."""
    for name in ("TASKER_URL", "TASKER_PROFILE", "TASKER_API_KEY", "TASKER_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def server(database: str, tmp_path: Path) -> Iterator[Serving]:
    """A server with a worker."""
    file = tmp_path / "order.yaml"
    file.write_text(ORDER)
    with served(lambda: Tasker(database, templates=file, handlers=HANDLERS).asgi()) as serving:
        yield serving


@pytest.fixture(params=["with await", "without await"])
def make(request: pytest.FixtureRequest) -> Making:
    """Makes a client, of either kind."""
    if request.param == "with await":
        return AsyncTaskerClient
    return lambda *words, **named: Awaited(TaskerClient(*words, **named))


@pytest.fixture
async def client(server: Serving, make: Making) -> AsyncIterator[AsyncTaskerClient]:
    """A client of the server."""
    made = make(server.url)
    yield made
    await made.aclose()
