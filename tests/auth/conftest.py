"""Fixtures of the tests of who may."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from doors import Door

from tasker.store.connection import connect


@pytest.fixture
async def door(database: str) -> AsyncIterator[Door]:
    """API keys on a database of the test's own."""
    connection = await connect(database)
    yield Door(connection)
    connection.terminate()
