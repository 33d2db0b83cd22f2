"""Slots for CPU-heavy handlers: one child process each, which imports the handler and can be killed."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from typing import Any

from tasker.handlers import StepContext, load_handler, outcome_of_error, outcome_of_result
from tasker.model.errors import RetryableError, StepError
from tasker.model.outcome import Outcome

IMPORT_MAX_S = 300.0
"""How long a child may take to start and to import a handler. It counts towards no timeout of a step."""
_BEAT = "beat"
_SAVE = "save"
Save = Callable[[str], Coroutine[Any, Any, None]]
"""Saves a checkpoint, and returns when it is recorded."""
_spawn = multiprocessing.get_context("spawn")


class ProcessSlots:
    """Child processes, started when they are first needed, as many as run at once."""

    def __init__(self) -> None:
        self._idle: list[_Child] = []
        self._all: set[_Child] = set()

    async def run(
        self,
        import_path: str,
        context: StepContext,
        result_bytes_max: int,
        *,
        begin: Callable[[], None],
        beat: Callable[[], None],
        save: Save,
    ) -> Outcome:
        """Runs the handler in a child. `begin` is called when it has been imported, `beat` at its signs of life, `save`
        with its checkpoints.

        A cancelled run kills its child; a child that dies fails the step, retryably.
        """
        child = self._take_child()
        try:
            async with asyncio.timeout(IMPORT_MAX_S):
                outcome = await child.load(import_path)
            if outcome is None:
                begin()
                outcome = await child.call(context, result_bytes_max, beat, save)
        except TimeoutError:
            self._drop(child)
            return outcome_of_error(RetryableError(f"{import_path} could not be imported within {IMPORT_MAX_S:.0f} s"))
        except (EOFError, OSError):
            self._drop(child)
            code = child.exit_code()
            return outcome_of_error(RetryableError(f"the process that ran the step died (exit code {code})"))
        except BaseException:
            self._drop(child)
            raise
        self._idle.append(child)
        return outcome

    def close(self) -> None:
        """Ends all children."""
        for child in list(self._all):
            self._drop(child)
        self._idle.clear()

    def _take_child(self) -> _Child:
        """An idle child, or a new one. One that died while it was idle costs no step a try."""
        while self._idle:
            child = self._idle.pop()
            if child.is_alive():
                return child
            self._drop(child)
        child = _Child()
        self._all.add(child)
        return child

    def _drop(self, child: _Child) -> None:
        if child in self._all:
            self._all.discard(child)
            child.kill()


class _Child:
    def __init__(self) -> None:
        self._pipe, theirs = _spawn.Pipe()
        self._process = _spawn.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        self._loaded: str | None = None
        theirs.close()

    async def load(self, import_path: str) -> Outcome | None:
        """Has the child import the handler; the step's outcome where it cannot."""
        if self._loaded == import_path:
            return None
        outcome = await self._ask(import_path)
        self._loaded = import_path if outcome is None else None
        return outcome

    async def call(self, context: StepContext, result_bytes_max: int, beat: Callable[[], None], save: Save) -> Outcome:
        """Runs the handler that was loaded last."""
        answer = await self._ask((context, result_bytes_max))
        while not isinstance(answer, Outcome):
            if answer == _BEAT:
                beat()
                answer = await self._receive()
            else:
                answer = await self._ask(await _saved(save, answer))
        return answer

    async def _ask(self, request: Any) -> Any:
        # In a thread: a pipe takes no more than it has room for until the child reads.
        await asyncio.get_running_loop().run_in_executor(None, self._pipe.send, request)
        return await self._receive()

    async def _receive(self) -> Any:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
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

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def exit_code(self) -> int | None:
        return self._process.exitcode


async def _saved(save: Save, request: tuple[str, str]) -> StepError | None:
    """The answer to a child that asked to save a checkpoint: what the handler is to be told, or nothing."""
    try:
        await save(request[1])
    except StepError as error:
        return type(error)(str(error), error_code=error.error_code)
    return None


def _serve(pipe: Connection) -> None:
    """In the child: one request after the other, until the parent is gone.

    Signals that a terminal or an init system sends to all processes of a worker are the worker's to handle.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sending = threading.Lock()

    def send(message: Any) -> None:
        with sending:  # handlers may say that they live from any thread
            pipe.send(message)

    def save(state: str) -> None:
        with saving:
            send((_SAVE, state))
            refusal = pipe.recv()
        if refusal is not None:
            raise refusal

    saving = threading.Lock()
    call: Callable[[StepContext], Any] | None = None
    answer: Outcome | None
    while True:
        try:
            request = pipe.recv()
            if isinstance(request, str):
                call, answer = _loaded(request)
            else:
                assert call is not None  # noqa: S101 - the worker has it loaded first
                context, result_bytes_max = request
                answer = _run(call, context, result_bytes_max, lambda: send(_BEAT), save)
            send(answer)
        except (EOFError, OSError):
            return


def _loaded(import_path: str) -> tuple[Callable[[StepContext], Any] | None, Outcome | None]:
    try:
        return load_handler(import_path).call, None
    except (Exception, SystemExit) as error:
        return None, outcome_of_error(error)


def _run(
    call: Callable[[StepContext], Any],
    context: StepContext,
    result_bytes_max: int,
    beat: Callable[[], None],
    save: Callable[[str], None],
) -> Outcome:
    timeout_s = context.step.timeout_seconds

    def live() -> None:
        if timeout_s is not None:
            ours.deadline = time.monotonic() + timeout_s
        beat()

    arguments: tuple[Any, ...] = context.__reduce__()[1]  # those of the constructor, which takes these two besides
    ours = StepContext(*arguments, beat=live, save=save)
    try:
        return outcome_of_result(call(ours), result_bytes_max)
    except (Exception, SystemExit) as error:
        return outcome_of_error(error)
