"""Steps that this process has taken and that wait for whoever polls: the worker under `poll_step_events`.

The engine's worker runs a handler of ours for every step of the process's templates. It runs nothing: it puts the step
into a queue, and waits until somebody completes it. So timeouts, cancellations and lost sessions are the engine's here
as everywhere.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast
from uuid import uuid4

from tasker.handlers import Handler, Registry
from tasker.handlers import StepContext as EngineContext
from tasker.model.template import HandlerRef, Template
from tasker_core.adapters import as_result, ended, engine_checkpoint, event_of
from tasker_core.executions import Execution
from tasker_core.types import FfiDispatchMetrics, FfiStepEvent, StarvationWarning, StepContext, StepHandlerResult

STARVING_MS = 10_000
"""How long a step may wait for a poller until it counts as starving."""


class _Step:
    """One step that waits: first for a poller, then for its completion."""

    def __init__(self, event: FfiStepEvent) -> None:
        self.event = event
        self.since = time.monotonic()
        self.loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[StepHandlerResult | dict[str, Any]] = self.loop.create_future()

    def settle(self, answer: StepHandlerResult | dict[str, Any]) -> None:
        """From any thread: a result, or a mapping of a checkpoint."""
        self.loop.call_soon_threadsafe(self._settle, answer)

    def _settle(self, answer: StepHandlerResult | dict[str, Any]) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    @property
    def age_ms(self) -> int:
        """How long it waits."""
        return int((time.monotonic() - self.since) * 1000)


class PendingSteps:
    """The steps that wait, by the ids of their events."""

    def __init__(self) -> None:
        self._steps: dict[str, _Step] = {}
        self._unpolled: deque[str] = deque()
        self._lock = threading.Lock()

    def handlers(self, templates: Iterable[Template]) -> Registry:
        """What the engine's worker runs: for each step of these templates, its place in the queue."""
        refs = {step.handler.key: step.handler for template in templates for step in template.steps}
        return _Everything({key: self._handler(ref) for key, ref in refs.items()})

    def poll(self) -> FfiStepEvent | None:
        """The step that has waited longest; None where none does. Each is handed out once."""
        with self._lock:
            while self._unpolled:
                step = self._steps.get(self._unpolled.popleft())
                if step is not None:
                    return step.event
        return None

    def complete(self, event_id: str, completion: Mapping[str, Any]) -> bool:
        """Ends a step. False where it waits no more: it was ended, cancelled, or ran out of time."""
        return self._answer(event_id, result_of(completion))

    def checkpoint(self, event_id: str, said: Mapping[str, Any]) -> bool:
        """Saves how far a step is; it is handed out again. False where it waits no more."""
        return self._answer(event_id, dict(said))

    @property
    def has_polled(self) -> bool:
        """Whether a step was handed out that has not ended."""
        with self._lock:
            return len(self._steps) > sum(event_id in self._steps for event_id in self._unpolled)

    def metrics(self) -> FfiDispatchMetrics:
        """How many wait, and for how long."""
        steps = sorted(self._all(), key=lambda step: step.since)
        starving = sum(step.age_ms > STARVING_MS for step in steps)
        return FfiDispatchMetrics(
            pending_count=len(steps),
            oldest_pending_age_ms=steps[0].age_ms if steps else None,
            newest_pending_age_ms=steps[-1].age_ms if steps else None,
            oldest_event_id=steps[0].event.event_id if steps else None,
            starvation_detected=starving > 0,
            starving_event_count=starving,
        )

    def starving(self) -> list[StarvationWarning]:
        """Those that wait for too long."""
        return [
            StarvationWarning(
                event_id=step.event.event_id,
                step_uuid=step.event.step_uuid,
                pending_duration_ms=step.age_ms,
                threshold_ms=STARVING_MS,
            )
            for step in self._all()
            if step.age_ms > STARVING_MS
        ]

    def _all(self) -> list[_Step]:
        with self._lock:
            return list(self._steps.values())

    def _answer(self, event_id: str, answer: StepHandlerResult | dict[str, Any]) -> bool:
        with self._lock:
            step = self._steps.pop(event_id, None)
        if step is not None:
            step.settle(answer)
        return step is not None

    def _handler(self, ref: HandlerRef) -> Handler:
        return Handler(
            name=ref.key,
            version="1.0.0",
            call=self._waiting(ref.callable),
            pool="async",
            needs=None,
            source=PendingSteps,
        )

    def _waiting(self, callable_name: str) -> Callable[[EngineContext], Any]:
        async def call(context: EngineContext) -> Any:
            with Execution(context, tells=False) as execution:
                while True:
                    event = event_of(context, str(uuid4()))
                    execution.begins(StepContext.from_ffi_event(event, callable_name))
                    answer = await self._put(event)
                    if isinstance(answer, StepHandlerResult):
                        return ended(execution, answer)
                    await context.save_checkpoint(**engine_checkpoint(answer))

        return call

    async def _put(self, event: FfiStepEvent) -> StepHandlerResult | dict[str, Any]:
        step = _Step(event)
        with self._lock:
            self._steps[event.event_id] = step
            self._unpolled.append(event.event_id)
        try:
            return await step.answer
        finally:
            with self._lock:
                self._steps.pop(event.event_id, None)


class _Everything(Registry):
    """Handlers by the keys of steps, whatever their methods and resolvers: those are for the poller to know."""

    def resolve(self, ref: HandlerRef) -> Handler:
        """The one of the step."""
        return self[ref.key]

    def offers(self) -> list[str]:
        """All keys."""
        return list(self)


def result_of(completion: Mapping[str, Any]) -> StepHandlerResult:
    """The result that a completion says. `metadata.retryable`, else `error.retryable`, says whether it is tried again;
    unknown keys are left out, missing ones have their defaults."""
    metadata = _mapping(completion.get("metadata"))
    if completion.get("success"):
        kept = {key: value for key, value in metadata.items() if value is not None}
        return StepHandlerResult.success(as_result(completion.get("result")).result, kept)
    error = _mapping(completion.get("error"))
    is_retryable = metadata.get("retryable", error.get("retryable"))
    return StepHandlerResult.failure(
        str(error.get("message") or "the step failed, and its completion does not say why"),
        str(error.get("error_type") or "handler_error"),
        is_retryable if isinstance(is_retryable, bool) else True,
        {**_mapping(error.get("metadata")), **metadata},
        metadata.get("error_code"),
    )


def _mapping(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
