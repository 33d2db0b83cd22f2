"""The executor: a held step goes through claimed → resolved → ran → classified → done.

Everything that a handler may do wrong ends here as an outcome; nothing that it does reaches the turn loop as an
exception. Timeouts run from the real start, on one timer for all steps. What is told to stop and does not, as threads
cannot, is left: its outcome is settled without it, and it keeps its slot until it returns.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import orjson

from tasker.handlers import StepContext, classify, outcome_of_error, outcome_of_result
from tasker.model.errors import HandlerNotFound, InvalidInput, PermanentError, StepTimeoutError, StepValidationError
from tasker.model.outcome import Outcome, released
from tasker.templates import check_inputs, check_result
from tasker.worker.held import Held
from tasker.worker.processes import ProcessSlots
from tasker.worker.slots import Slots
from tasker.worker.threads import StepThreads

_TIMER_S = 0.05
_STOP_S = 1.0
"""How long a handler that is told to stop has for it."""


class Executor:
    """Runs held steps and hands each, with its outcome, to `done` on the loop's thread."""

    def __init__(
        self,
        slots: Slots,
        *,
        threads: int,
        result_bytes_max: int,
        done: Callable[[Held], None],
        save: Callable[[Held, str], Coroutine[Any, Any, None]],
    ) -> None:
        self._slots = slots
        self._threads = StepThreads(threads)
        self._processes = ProcessSlots()
        self._result_bytes_max = result_bytes_max
        self._done = done
        self._save = save
        self._tasks: dict[asyncio.Task[None], Held] = {}
        self._timed: set[Held] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, held: Held) -> None:
        """Begins to run the step, which has its slot."""
        held.started_at = held.alive_at = time.monotonic()
        self._loop = self._loop or asyncio.get_running_loop()
        handler = held.plan.handler
        try:
            context = held.context = self._context(held)
        except Exception as error:
            self._finish(held, outcome_of_error(error))
            return
        assert handler is not None  # noqa: S101 - _context refused it otherwise
        if handler.pool == "thread":
            self._start_clock(held)
            self._threads.run(partial(self._call, held, handler.call, context), partial(self._end, held))
            return
        if handler.pool == "async":
            self._start_clock(held)
            task = asyncio.create_task(self._run_async(held, handler.call, context))
        else:
            held.started_at = 0.0  # until its process is there
            task = asyncio.create_task(self._run_in_process(held, handler.import_path, context))
        held.cancel = task.cancel
        self._tasks[task] = held
        task.add_done_callback(self._ended)

    def stop(self, held: Held, *, is_released: bool = False) -> None:
        """The step was cancelled, taken away or is handed back: its handler is told, and stopped where possible."""
        was_told = held.is_told
        held.is_gone = held.is_gone or not is_released
        held.is_released = is_released
        if held.context is None:
            self._finish(held, self._outcome_of_stop(held))
        elif not was_told:
            self._tell(held)

    async def watch_timeouts(self) -> None:
        """Ends what has run for longer than its timeout, and leaves what was told to end and has not."""
        while True:
            await asyncio.sleep(_TIMER_S)
            now = time.monotonic()
            for held in [one for one in self._timed if one.deadline is not None and one.deadline <= now]:
                if held.is_told:
                    self._leave(held)
                else:
                    held.is_timed_out = True
                    self._tell(held)

    async def close(self) -> None:
        """Lets go of all handlers; those that run on are not waited for longer than a moment."""
        for task, held in self._tasks.items():
            held.is_gone = True
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_STOP_S)
        self._threads.close()
        self._processes.close()

    # Running ----------------------------------------------------------------------------------------------------------

    def _context(self, held: Held) -> StepContext:
        """Resolved: the handler is there, the input fits. Raises what becomes the step's error."""
        plan = held.plan
        if plan.handler is None:
            raise PermanentError(
                f'this worker has no handler "{plan.step.handler.callable}"', error_code=HandlerNotFound.code
            )
        if held.is_unchecked and plan.template.enforce_schemas:
            try:
                checked = check_inputs(plan.template, orjson.loads(held.inputs))
            except InvalidInput as error:
                raise StepValidationError(str(error), error_code=InvalidInput.code) from error
            held.inputs = orjson.dumps(checked).decode()
        return StepContext(
            held.task_id,
            None,
            held.name,
            held.number,
            held.attempt,
            held.tries,
            plan.step.retry.max_attempts,
            plan.template,
            held.inputs,
            held.results,
            held.correlation_id or held.task_id,
            None,
            held.checkpoint,
            None if held.member is None else (held.member.batch_id, held.member.cursor),
            held.live,
            partial(self._save_from_thread if plan.handler.pool == "thread" else self._save, held),
        )

    def _save_from_thread(self, held: Held, state: str) -> None:
        """In the thread: returns when it is saved."""
        assert self._loop is not None  # noqa: S101 - start() has set it
        asyncio.run_coroutine_threadsafe(self._save(held, state), self._loop).result()

    def _start_clock(self, held: Held) -> None:
        """The handler begins now."""
        timeout_s = held.plan.step.timeout_seconds
        if timeout_s is not None and held.context is not None:
            held.deadline = held.context.deadline = held.started_at + timeout_s
            self._timed.add(held)

    async def _run_async(self, held: Held, call: Callable[[StepContext], Any], context: StepContext) -> None:
        outcome = None
        try:
            outcome = self._classified(held, await call(context))
        except KeyboardInterrupt:
            self._end(held, released())
            raise
        except BaseException as error:
            # SystemExit and a cancellation that nobody here asked for are failures like any other.
            outcome = outcome_of_error(error)
        self._end(held, outcome)

    def _call(self, held: Held, call: Callable[[StepContext], Any], context: StepContext) -> Outcome:
        """In the thread."""
        try:
            return self._classified(held, call(context))
        except BaseException as error:
            return outcome_of_error(error)

    async def _run_in_process(self, held: Held, import_path: str, context: StepContext) -> None:
        def begin() -> None:
            held.started_at = held.alive_at = time.monotonic()
            self._start_clock(held)

        try:
            outcome = await self._processes.run(
                import_path,
                context,
                self._result_bytes_max,
                begin=begin,
                beat=held.live,
                save=partial(self._save, held),
            )
            outcome = self._checked(held, outcome)
        except (Exception, asyncio.CancelledError) as error:
            outcome = outcome_of_error(error)
        self._end(held, outcome)

    def _classified(self, held: Held, value: Any) -> Outcome:
        return self._checked(held, outcome_of_result(value, self._result_bytes_max))

    def _checked(self, held: Held, outcome: Outcome) -> Outcome:
        if outcome.kind in ("decided", "batched") or held.plan.step.type in ("decision", "batchable"):
            outcome = classify(held.plan.step, outcome)
        if held.plan.has_checks and outcome.is_success:
            try:
                check_result(held.plan.template, held.plan.step.name, orjson.loads(outcome.payload or "{}"))
            except StepValidationError as error:
                return outcome_of_error(error)
        return outcome

    # Ending -----------------------------------------------------------------------------------------------------------

    def _ended(self, task: asyncio.Task[None]) -> None:
        held = self._tasks.pop(task)
        if task.cancelled():  # before its first line ran
            self._end(held, self._outcome_of_stop(held))

    def _end(self, held: Held, outcome: Outcome | None) -> None:
        """The handler has ended, in its own time or because it was told to."""
        if held.is_left:
            self._slots.end_linger(held)
        elif held.is_told and not (held.is_released and outcome is not None and outcome.is_success):
            self._finish(held, self._outcome_of_stop(held))
        else:
            self._finish(held, outcome)

    def _tell(self, held: Held) -> None:
        """Tells a handler to stop. A thread cannot be stopped, others have a moment for it."""
        if held.context is not None:
            held.context.cancelled = True
        if held.cancel is None:
            self._leave(held)
            return
        held.deadline = time.monotonic() + _STOP_S
        self._timed.add(held)
        held.cancel()

    def _leave(self, held: Held) -> None:
        """Settles the step without its handler, which keeps its slot until it returns."""
        held.is_left = True
        self._slots.linger(held)
        self._finish(held, self._outcome_of_stop(held))

    def _outcome_of_stop(self, held: Held) -> Outcome | None:
        """What is reported of a step whose handler was told to stop; None where nobody wants to know."""
        if held.is_timed_out:
            return outcome_of_error(
                StepTimeoutError(f'step "{held.name}" ran past its timeout of {held.plan.step.timeout_seconds} s')
            )
        return None if held.is_gone else released()

    def _finish(self, held: Held, outcome: Outcome | None) -> None:
        held.run_s = time.monotonic() - held.started_at if held.started_at else 0.0
        held.outcome = outcome
        held.context = None  # it knows the step, for signs of life: only the garbage collector would break that circle
        self._timed.discard(held)
        self._slots.give_back(held)
        self._done(held)
