"""Slots for CPU-heavy handlers: one child process each, which imports the handler and can be killed."""

from __future__ import annotations

import asyncio
import multiprocessing
from multiprocessing.connection import Connection
from typing import Any

from tasker.handlers import StepContext, load_handler, outcome_of_error, outcome_of_result
from tasker.model.errors import RetryableError
from tasker.model.outcome import Outcome

_spawn = multiprocessing.get_context("spawn")


class ProcessSlots:
    """Child processes, started when they are first needed, at most as many as there are slots."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._idle: list[_Child] = []
        self._all: set[_Child] = set()

    async def run(self, import_path: str, context: StepContext, result_bytes_max: int) -> Outcome:
        """Runs the handler in a child. A cancelled run kills its child; a child that dies fails the step, retryably."""
        child = self._idle.pop() if self._idle else self._spawn_child()
        try:
            outcome = await child.call(import_path, context, result_bytes_max)
        except (EOFError, OSError):
            self._drop(child)
            code = child.exit_code()
            return outcome_of_error(RetryableError(f"the process that ran the step died (exit code {code})"))
        except asyncio.CancelledError:
            self._drop(child)
            raise
        self._idle.append(child)
        return outcome

    async def close(self) -> None:
        """Ends all children."""
        for child in list(self._all):
            self._drop(child)

    def _spawn_child(self) -> _Child:
        child = _Child()
        self._all.add(child)
        return child

    def _drop(self, child: _Child) -> None:
        self._all.discard(child)
        child.kill()


class _Child:
    def __init__(self) -> None:
        self._pipe, theirs = _spawn.Pipe()
        self._process = _spawn.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    async def call(self, *request: Any) -> Outcome:
        """Sends the request and waits for the outcome, without blocking the loop."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        self._pipe.send(request)
        loop.add_reader(self._pipe.fileno(), readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._pipe.fileno())
        return await loop.run_in_executor(None, self._pipe.recv)

    def kill(self) -> None:
        self._process.kill()
        self._process.join(5)
        self._pipe.close()

    def exit_code(self) -> int | None:
        return self._process.exitcode


def _serve(pipe: Connection) -> None:
    """In the child: one request after the other, until the parent is gone."""
    while True:
        try:
            import_path, context, result_bytes_max = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            outcome = outcome_of_result(load_handler(import_path).call(context), result_bytes_max)
        except Exception as error:
            outcome = outcome_of_error(error)
        pipe.send(outcome)
