"""Fixtures of the server's tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx2
import pytest
from api_support import HANDLERS, client_of, publish
from server_process import Served, serving

from tasker import Tasker


@pytest.fixture
async def idle(database: str) -> AsyncIterator[Tasker]:
    """A Tasker without a worker, with shop/order."""
    async with Tasker(database, worker=False) as tasker:
        await publish(tasker)
        yield tasker


@pytest.fixture
async def api(idle: Tasker) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a server whose tasks nobody works on."""
    async with client_of(idle.asgi()) as client:
        yield client


@pytest.fixture
async def working(database: str) -> AsyncIterator[Tasker]:
    """A Tasker that works on shop/order."""
    async with Tasker(database, handlers=HANDLERS) as tasker:
        await publish(tasker)
        yield tasker


@pytest.fixture
async def busy_api(working: Tasker) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a server whose tasks are worked on."""
    async with client_of(working.asgi()) as client:
        yield client


@pytest.fixture
async def serve(database: str) -> Callable[..., AbstractAsyncContextManager[Served]]:
    """Starts a server on the test's database, whose tasks a worker in this process works on."""

    @asynccontextmanager
    async def start(*words: str, **variables: str) -> AsyncGenerator[Served]:
        async with Tasker(database, handlers=HANDLERS) as tasker:
            await publish(tasker)
            async with serving(database, *words, **variables) as served:
                yield served

    return start
