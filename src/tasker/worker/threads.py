"""Threads for plain handlers. They end with the process, whatever they run: a handler that never returns must not keep
a stopped worker alive, as the threads of the standard library's executors would."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

_Job = tuple[Callable[[], Any], Callable[[Any], None]]


class StepThreads:
    """Up to `size` threads, started as they are needed."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._busy = 0
        self._started = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, call: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Calls `call` in a thread, and then `done` with its answer on the running loop. `call` raises nothing."""
        self._loop = asyncio.get_running_loop()
        self._busy += 1
        if self._busy > self._started and self._started < self._size:
            self._started += 1
            threading.Thread(target=self._work, name=f"tasker-step-{self._started}", daemon=True).start()
        self._jobs.put((call, done))

    def close(self) -> None:
        """Lets the threads go; those that run a handler are not waited for."""
        for _ in range(self._started):
            self._jobs.put(None)
        self._started = 0

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, done = job
            answer = call()
            assert self._loop is not None  # noqa: S101 - run() has set it
            with suppress(RuntimeError):  # the loop is closed: nobody wants the answer any more
                self._loop.call_soon_threadsafe(self._done, done, answer)

    def _done(self, done: Callable[[Any], None], answer: Any) -> None:
        self._busy -= 1
        done(answer)
