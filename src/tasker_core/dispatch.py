"""Steps and events for those who poll by themselves. With Worker.start the steps of the process are run for you.

All raise WorkerNotInitializedError, a RuntimeError, before bootstrap_worker; events can be polled for at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasker_core import _tasker_core
from tasker_core.types import FfiDispatchMetrics, FfiStepEvent, StarvationWarning, StepExecutionResult
from tasker_core.types.events import InProcessDomainEvent


def poll_step_events() -> FfiStepEvent | None:
    """A step to run, handed out once; None where there is none. End it with complete_step_event."""
    event = _tasker_core.poll_step_events()
    return None if event is None else FfiStepEvent.model_validate(event)


def complete_step_event(event_id: str, result: StepExecutionResult | Mapping[str, Any]) -> bool:
    """Ends a step. False where nobody waits for it any more."""
    said = result.model_dump(mode="json") if isinstance(result, StepExecutionResult) else dict(result)
    return _tasker_core.complete_step_event(event_id, said)


def get_ffi_dispatch_metrics() -> FfiDispatchMetrics:
    """How many steps wait for a poller, and for how long."""
    return FfiDispatchMetrics.model_validate(_tasker_core.get_ffi_dispatch_metrics())


def check_starvation_warnings() -> list[StarvationWarning]:
    """The steps that wait for a poller too long; each is logged."""
    return [StarvationWarning.model_validate(one) for one in _tasker_core.check_starvation_warnings() or ()]


def cleanup_timeouts() -> None:
    """Nothing is to be done: the engine ends what has run out of time by itself."""
    _tasker_core.cleanup_timeouts()


def poll_in_process_events() -> InProcessDomainEvent | None:
    """The oldest domain event of this process, handed out once; None where there is none."""
    event = _tasker_core.poll_in_process_events()
    return None if event is None else InProcessDomainEvent.model_validate(event)
