"""Fixtures of the reads' tests, which share a loop, and where they can a database and its first connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from support.engine import Engine
from support.warm_fixtures import engine, on_one_loop, the_loop, warm, warm_database

from tasker.store.reads import Reads

__all__ = ["engine", "the_loop", "warm", "warm_database"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All on one loop."""
    on_one_loop(items, Path(__file__).parent)


@pytest.fixture
def reads() -> Reads:
    """The reads of the default schema."""
    return Reads()


@pytest_asyncio.fixture(loop_scope="session")
async def reader(engine: Engine) -> Any:
    """A connection as readers have it: its plans may follow each query's arguments."""
    return (await engine.connect(pinned=False)).raw
