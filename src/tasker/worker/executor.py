"""The executor: a held step goes through claimed → resolved → ran → classified → done.

Everything that a handler may do wrong ends here as an outcome; nothing that it does reaches the turn loop as an
exception. Timeouts run from the real start, on one timer for all steps.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson

from tasker.handlers import StepContext, outcome_of_error, outcome_of_result
from tasker.model.errors import HandlerNotFound, InvalidInput, PermanentError, StepTimeoutError, StepValidationError
from tasker.model.ids import step_uuid
from tasker.model.outcome import Outcome, released
from tasker.templates import check_inputs, check_result
from tasker.worker.held import Held
from tasker.worker.processes import ProcessSlots
from tasker.worker.slots import Slots

_TIMER_S = 0.05


class Executor:
    """Runs held steps and hands each, with its outcome, to `done` on the loop's thread."""

    def __init__(
        self,
        slots: Slots,
        *,
        threads: int,
        processes: ProcessSlots,
        result_bytes_max: int,
        done: Callable[[Held], None],
    ) -> None:
        self._slots = slots
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="tasker-step")
        self._processes = processes
        self._result_bytes_max = result_bytes_max
        self._done = done
        self._tasks: dict[asyncio.Task[None], Held] = {}
        self._timed: set[Held] = set()

    def start(self, held: Held) -> None:
        """Begins to run the step, which has its slot."""
        held.started_at = time.monotonic()
        handler = held.plan.handler
        try:
            context = self._context(held)
        except Exception as error:
            self._finish(held, outcome_of_error(error))
            return
        assert handler is not None  # noqa: S101 - _context refused it otherwise
        if held.deadline is not None:
            self._timed.add(held)
        if handler.pool == "async":
            task = asyncio.create_task(self._run_async(held, handler.call, context))
            held.cancel = task.cancel
        elif handler.pool == "thread":
            task = asyncio.create_task(self._run_in_thread(held, handler.call, context))
        else:
            task = asyncio.create_task(self._run_in_process(held, handler.import_path, context))
            held.cancel = task.cancel
        self._tasks[task] = held
        task.add_done_callback(self._ended)

    def stop(self, held: Held, *, is_released: bool = False) -> None:
        """The step was cancelled, taken away or is handed back: its handler is told, and stopped where possible."""
        held.is_gone = held.is_gone or not is_released
        held.is_released = is_released
        if held.context is not None:
            held.context.cancelled = True
        if held.cancel is not None:
            held.cancel()
        elif held.started_at == 0:
            self._finish(held, released())
        else:
            self._leave_thread(held, released() if is_released else None)

    async def watch_timeouts(self) -> None:
        """Ends what has run for longer than its timeout."""
        while True:
            await asyncio.sleep(_TIMER_S)
            now = time.monotonic()
            for held in [one for one in self._timed if one.deadline is not None and one.deadline <= now]:
                self._timed.discard(held)
                held.is_timed_out = True
                if held.context is not None:
                    held.context.cancelled = True
                if held.cancel is not None:
                    held.cancel()
                else:
                    self._leave_thread(held, self._timeout(held))

    async def close(self) -> None:
        """Lets go of threads and processes; running threads are not waited for."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._processes.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        held = self._tasks.pop(task)
        if task.cancelled():  # before its first line ran
            self._finish(held, self._outcome_of_cancellation(held))

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
        timeout_s = plan.step.timeout_seconds
        held.deadline = None if timeout_s is None else held.started_at + timeout_s
        context = StepContext(
            held.task_id,
            step_uuid(held.task_id, held.number),
            plan.step.name,
            held.number,
            held.attempt,
            held.tries,
            plan.step.retry.max_attempts,
            plan.template,
            held.inputs,
            held.results,
            held.correlation_id or held.task_id,
            held.deadline,
        )
        held.context = context
        return context

    async def _run_async(self, held: Held, call: Callable[[StepContext], Any], context: StepContext) -> None:
        try:
            value = await call(context)
        except asyncio.CancelledError:
            self._finish(held, self._outcome_of_cancellation(held))
        except BaseException as error:
            self._finish(held, outcome_of_error(error))
            if not isinstance(error, Exception):
                raise
        else:
            self._finish(held, self._classified(held, value))

    async def _run_in_thread(self, held: Held, call: Callable[[StepContext], Any], context: StepContext) -> None:
        outcome = await asyncio.get_running_loop().run_in_executor(self._threads, self._call, held, call, context)
        if held.outcome is not None or held.is_gone:
            self._slots.end_linger(held)
            self._slots.give_back(held)
        else:
            self._finish(held, outcome)

    def _call(self, held: Held, call: Callable[[StepContext], Any], context: StepContext) -> Outcome:
        """In the thread."""
        try:
            return self._classified(held, call(context))
        except Exception as error:
            return outcome_of_error(error)

    async def _run_in_process(self, held: Held, import_path: str, context: StepContext) -> None:
        try:
            outcome = await self._processes.run(import_path, context, self._result_bytes_max)
        except asyncio.CancelledError:
            self._finish(held, self._outcome_of_cancellation(held))
        else:
            if outcome.kind == "succeeded" and held.plan.has_checks:
                outcome = self._classified(held, orjson.loads(outcome.payload or "{}"))
            self._finish(held, outcome)

    def _classified(self, held: Held, value: Any) -> Outcome:
        outcome = outcome_of_result(value, self._result_bytes_max)
        if held.plan.has_checks and outcome.kind == "succeeded":
            try:
                check_result(held.plan.template, held.plan.step.name, orjson.loads(outcome.payload or "{}"))
            except StepValidationError as error:
                return outcome_of_error(error)
        return outcome

    def _outcome_of_cancellation(self, held: Held) -> Outcome | None:
        if held.is_timed_out:
            return self._timeout(held)
        return None if held.is_gone else released()

    def _timeout(self, held: Held) -> Outcome:
        return outcome_of_error(
            StepTimeoutError(f'step "{held.plan.step.name}" ran past its timeout of {held.plan.step.timeout_seconds} s')
        )

    def _leave_thread(self, held: Held, outcome: Outcome | None) -> None:
        """A thread cannot be stopped: it keeps its slot, but what it returns does not count any more."""
        self._slots.linger(held)
        self._finish(held, outcome)

    def _finish(self, held: Held, outcome: Outcome | None) -> None:
        held.run_s = time.monotonic() - held.started_at if held.started_at else 0.0
        held.outcome = outcome
        self._timed.discard(held)
        self._slots.give_back(held)
        self._done(held)
