"""Fixtures of the gateway's tests: a server in this process, and workers that speak to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
from gateway_support import FLOW, SHORT_TIMES, PlainWorker

from tasker import Tasker
from tasker.settings import Settings
from tasker.templates import load_text


@pytest.fixture
async def serving(database: str) -> AsyncIterator[Tasker]:
    """What a server serves, with shop/flow; it works on nothing itself."""
    async with Tasker(database, worker=False, settings=Settings(**SHORT_TIMES)) as tasker:
        await tasker.publish(load_text(FLOW).template)
        yield tasker


@pytest.fixture
async def client(serving: Tasker) -> AsyncIterator[httpx2.AsyncClient]:
    """Calls the server directly."""
    transport = httpx2.ASGITransport(app=serving.asgi(), raise_app_exceptions=True)
    async with httpx2.AsyncClient(transport=transport, base_url="http://tasker", timeout=30) as made:
        yield made


@pytest.fixture
async def plain(client: httpx2.AsyncClient) -> PlainWorker:
    """A worker with an open session."""
    made = PlainWorker(client)
    answer = await made.open()
    assert answer.status_code == 200, answer.text
    return made
