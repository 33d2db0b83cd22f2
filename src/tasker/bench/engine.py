"""What is measured: two engines of one face."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from tasker.bench import bare, product
from tasker.bench.shapes import Shape

Submit = Callable[[Sequence[dict[str, Any]]], Awaitable[None]]
"""Creates one task for each context, in one call."""
RunAlone = Callable[[dict[str, Any]], Awaitable[float]]
"""Submits one task; milliseconds until this process knows that it is complete."""


class Engine(Protocol):
    """A module with these functions; tasks lie in `SCHEMA`, in a table `tasks` with `finished_at`."""

    SCHEMA: str

    async def create(self, dsn: str, shape: Shape) -> None:
        """Makes the schema anew, for tasks of one shape."""
        ...

    def submitting(self, dsn: str, shape: Shape) -> AbstractAsyncContextManager[Submit]:
        """A client that only submits."""
        ...

    def alone(self, dsn: str, shape: Shape) -> AbstractAsyncContextManager[RunAlone]:
        """A client and worker in one process."""
        ...

    async def work(
        self, dsn: str, shape: Shape, number: int, is_over: Callable[[], bool], count: Callable[[int], None]
    ) -> None:
        """A worker, until `is_over`. `count` is told of steps as they are reported."""
        ...


ENGINES: dict[str, Engine] = {"tasker": product, "bare": bare}
