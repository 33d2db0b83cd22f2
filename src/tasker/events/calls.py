"""Calling functions of users: subscribers and publishers."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from tasker.worker.threads import StepThreads


class Calls:
    """Async functions are awaited on the loop, plain ones run in daemon threads."""

    def __init__(self, threads: int) -> None:
        self._threads = StepThreads(threads)

    async def __call__(self, function: Any, *args: Any) -> Any:
        """What the function answers. Raises what it raises."""
        if inspect.iscoroutinefunction(function):
            return await function(*args)
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def run() -> tuple[Any, BaseException | None]:
            try:
                return function(*args), None
            except BaseException as error:
                # It is raised where the call is awaited: a thread of the pool must not end of it.
                return None, error

        def done(answer: tuple[Any, BaseException | None]) -> None:
            value, error = answer
            if answered.done():
                return
            if isinstance(error, Exception):
                answered.set_exception(error)
            elif error is not None:
                answered.set_exception(RuntimeError(f"it ended with {type(error).__name__}: {error}"))
            else:
                answered.set_result(value)

        self._threads.run(run, done)
        return await answered

    def close(self) -> None:
        """Lets the threads go; those that still run are not waited for."""
        self._threads.close()
