"""Counting statements: each is a round trip. For benchmarks, and for tests of what something costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tasker.store.connection import on_open


def count_statements(count: Callable[[], None]) -> None:
    """Calls `count` for each statement on the connections that this process opens from now on."""

    def sent(_: object) -> None:
        count()

    def watch(connection: Any) -> None:
        connection.add_query_logger(sent)

    on_open.append(watch)
