"""Fixtures of the reads' tests."""

from __future__ import annotations

from typing import Any

import pytest
from support.engine import Engine

from tasker.store.reads import Reads


@pytest.fixture
def reads() -> Reads:
    """The reads of the default schema."""
    return Reads()


@pytest.fixture
async def reader(engine: Engine) -> Any:
    """A connection as readers have it: its plans may follow each query's arguments."""
    return (await engine.connect(pinned=False)).raw
