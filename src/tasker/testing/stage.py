"""The worker's executor, for one step at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

from tasker.model.errors import TaskerError
from tasker.worker.executor import Executor
from tasker.worker.held import POOLS, Held
from tasker.worker.slots import Slots

T = TypeVar("T")
_THREADS = 32
"""A plain handler that is past its timeout keeps its thread until it returns; the next one needs another."""


class Stage:
    """Runs a held step as a worker does, its real timeout included, and waits for its outcome.

    `save` is awaited with each checkpoint (JSON) that the step saves.
    """

    def __init__(self, result_bytes_max: int, save: Callable[[Held, str], Coroutine[Any, Any, None]]) -> None:
        self._slots = Slots([1] * len(POOLS))
        self._executor = Executor(
            self._slots, threads=_THREADS, result_bytes_max=result_bytes_max, done=self._done, save=save
        )
        self._ended = asyncio.Event()
        self._timer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Stage:
        self._timer = asyncio.create_task(self._executor.watch_timeouts())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._executor.close()

    async def run(self, held: Held) -> None:
        """Runs the step: `held.outcome` is then what the worker would report."""
        self._ended.clear()
        self._slots.take(held)
        self._executor.start(held)
        await self._ended.wait()

    def _done(self, _: Held) -> None:
        self._ended.set()


def run_here(work: Coroutine[Any, Any, T], instead: str) -> T:
    """The answer of a coroutine where no loop runs yet. `instead` is what to use where one does."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    work.close()
    raise TaskerError(f"an event loop runs here already: use `await {instead}`")
