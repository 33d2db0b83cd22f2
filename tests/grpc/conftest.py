"""Fixtures of the tests of gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from grpc_support import HANDLERS, Client, client_of, publish

from tasker import Tasker


@pytest.fixture
async def grpc_idle(database: str) -> AsyncIterator[Tasker]:
    """A Tasker without a worker, with shop/order."""
    async with Tasker(database, worker=False) as tasker:
        await publish(tasker)
        yield tasker


@pytest.fixture
async def grpc_working(database: str) -> AsyncIterator[Tasker]:
    """A Tasker that works on shop/order."""
    async with Tasker(database, handlers=HANDLERS) as tasker:
        await publish(tasker)
        yield tasker


@pytest.fixture
async def idle_client(grpc_idle: Tasker) -> AsyncIterator[Client]:
    """A client of a server whose tasks nobody works on."""
    async with client_of(grpc_idle) as client:
        yield client


@pytest.fixture
async def client(grpc_working: Tasker) -> AsyncIterator[Client]:
    """A client of a server whose tasks are worked on."""
    async with client_of(grpc_working) as client:
        yield client
