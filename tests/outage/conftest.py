"""A server of the test's own, which may be crashed and restarted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasker.embedded import PrivateServer, start_private
from tasker.store.connection import connect
from tasker.store.migrate import migrate


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[PrivateServer]:
    """A migrated PostgreSQL with its durability on."""

    async def prepare(dsn: str) -> None:
        connection = await connect(dsn)
        await migrate(connection)
        await connection.close()

    with start_private(tmp_path / "postgres") as server:
        asyncio.run(prepare(server.dsn))
        yield server
