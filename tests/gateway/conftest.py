"""Fixtures of the gateway's tests: a server in this process, and workers that speak to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
from gateway_support import FLOW, SHORT_TIMES, PlainWorker
from over_stream import OverStream

from tasker import Tasker
from tasker.server.grpc import GrpcServer, Listening
from tasker.settings import Settings
from tasker.templates import load_text


@pytest.fixture
async def serving(database: str) -> AsyncIterator[Tasker]:
    """What a server serves, with shop/flow; it works on nothing itself."""
    async with Tasker(database, worker=False, settings=Settings(**SHORT_TIMES)) as tasker:
        await tasker.publish(load_text(FLOW).template)
        yield tasker


@pytest.fixture
async def address(serving: Tasker) -> AsyncIterator[str]:
    """Where the same is served over gRPC."""
    async with GrpcServer(serving.engine(), Listening(host="127.0.0.1", port=0)) as server:
        yield f"127.0.0.1:{server.port}"


@pytest.fixture(params=["over HTTP", "over a stream"])
async def client(request: pytest.FixtureRequest, serving: Tasker, address: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Calls the server directly; what workers call goes over HTTP, or over a stream."""
    transport: httpx2.AsyncBaseTransport = httpx2.ASGITransport(app=serving.asgi(), raise_app_exceptions=True)
    if request.param == "over a stream":
        transport = OverStream(transport, address)
    async with httpx2.AsyncClient(transport=transport, base_url="http://tasker", timeout=30) as made:
        yield made


@pytest.fixture
async def plain(client: httpx2.AsyncClient) -> PlainWorker:
    """A worker with an open session."""
    made = PlainWorker(client)
    answer = await made.open()
    assert answer.status_code == 200, answer.text
    return made
