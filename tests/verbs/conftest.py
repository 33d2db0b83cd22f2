"""The verbs' tests share a loop, and where they can a database and its first connection."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.warm_fixtures import engine, on_one_loop, the_loop, warm, warm_database

__all__ = ["engine", "the_loop", "warm", "warm_database"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All on one loop."""
    on_one_loop(items, Path(__file__).parent)
