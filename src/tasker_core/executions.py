"""What this process hears and counts of the executions of its steps.

One record follows each execution. Listeners of the event bridge hear of it as it goes on; those who `watch` (domain
events) are told how it ended, before the engine has recorded that.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from tasker.handlers import StepContext as EngineContext
from tasker.model.errors import StepError as EngineError
from tasker_core.event_bridge import EventBridge, EventNames, is_heard
from tasker_core.types import StepContext, StepError, StepExecutionResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How one attempt of a step ended, as its handler said. `error`: message, error_type, error_code, retryable."""

    task_uuid: UUID
    number: int
    attempt: int
    template: str
    """`namespace/name@version`."""
    step_name: str
    """As the template has it, also for a member of a batch."""
    context: StepContext
    is_success: bool
    result: Any
    error: dict[str, Any] | None
    metadata: dict[str, Any]


Watcher = Callable[[Finished], None]


class Tally:
    """Counts of the process: processed, succeeded, failed, in_progress; safe from any thread."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, **changes: int) -> None:
        """Changes counts."""
        with self._lock:
            self._counts.update(changes)

    def read(self) -> dict[str, int]:
        """All of them."""
        with self._lock:
            return {name: self._counts[name] for name in ("processed", "succeeded", "failed", "in_progress")}

    def clear(self) -> None:
        """Begins anew."""
        with self._lock:
            self._counts.clear()


tally = Tally()
_watchers: list[Watcher] = []


def watch(watcher: Watcher) -> None:
    """Tells it of each execution that ends, in the thread where it ends; it must be quick and raise nothing."""
    _watchers.append(watcher)


def unwatch(watcher: Watcher) -> None:
    """Tells it no more."""
    if watcher in _watchers:
        _watchers.remove(watcher)


class Execution:
    """One execution: `with` it, the step is in progress. `tells` says whether the event bridge hears of it."""

    def __init__(self, context: EngineContext, *, tells: bool = True) -> None:
        self._engine = context
        self._tells = tells
        self._began = time.monotonic()
        self._shown: StepContext | None = None

    def __enter__(self) -> Execution:
        tally.add(in_progress=1)
        return self

    def __exit__(self, *_: object) -> None:
        tally.add(in_progress=-1)

    def begins(self, shown: StepContext) -> StepContext:
        """The handler is about to be called, the first time or from a checkpoint; answers the same context."""
        self._shown = shown
        self._tell(EventNames.STEP_EXECUTION_RECEIVED, lambda: (shown.event,))
        return shown

    def yielded(self, checkpoint: dict[str, Any]) -> None:
        """A checkpoint was saved."""
        said = {"step_uuid": str(self._engine.step_uuid), **checkpoint}
        self._tell(EventNames.STEP_CHECKPOINT_YIELD_SENT, lambda: (said,))

    def broke(self, error: Exception) -> None:
        """The handler raised."""
        shown = self._shown
        if shown is not None:
            self._tell(EventNames.HANDLER_ERROR, lambda: (shown.event, error))

    def ends(self, result: Any, metadata: dict[str, Any]) -> None:
        """It succeeded."""
        tally.add(processed=1, succeeded=1)
        self._told(result, None, metadata)

    def fails(self, failure: EngineError) -> None:
        """It failed."""
        tally.add(processed=1, failed=1)
        error = {
            "message": failure.message,
            "error_type": failure.error_type,
            "error_code": failure.error_code,
            "retryable": failure.retryable,
        }
        self._told(None, error, dict(failure.metadata))

    def _told(self, result: Any, error: dict[str, Any] | None, metadata: dict[str, Any]) -> None:
        self._tell(EventNames.STEP_COMPLETION_SENT, lambda: (self._record(result, error, metadata),))
        shown, engine = self._shown, self._engine
        if not _watchers or shown is None:
            return
        finished = Finished(
            task_uuid=engine.task_uuid,
            number=engine.number,
            attempt=engine.attempt,
            template=engine.template.full_name,
            step_name=engine.step.name,
            context=shown,
            is_success=error is None,
            result=result,
            error=error,
            metadata={**metadata, "execution_time_ms": self._elapsed_ms},
        )
        for watcher in tuple(_watchers):
            watcher(finished)

    def _record(self, result: Any, error: dict[str, Any] | None, metadata: dict[str, Any]) -> StepExecutionResult:
        known: dict[str, Any] = {
            "step_uuid": str(self._engine.step_uuid),
            "task_uuid": str(self._engine.task_uuid),
            "execution_time_ms": self._elapsed_ms,
            "correlation_id": str(self._engine.correlation_id or self._engine.task_uuid),
            "metadata": metadata,
        }
        if error is None:
            shaped = cast("dict[str, Any]", result) if isinstance(result, dict) else {"result": result}
            return StepExecutionResult.success_result(result=shaped, **known)
        failure = StepError(error_type=error["error_type"], message=error["message"], retryable=error["retryable"])
        return StepExecutionResult.failure_result(error=failure, **known)

    @property
    def _elapsed_ms(self) -> int:
        return int((time.monotonic() - self._began) * 1000)

    def _tell(self, event_name: str, arguments: Callable[[], tuple[Any, ...]]) -> None:
        if self._tells and is_heard(event_name):
            EventBridge.instance().publish(event_name, *arguments())
