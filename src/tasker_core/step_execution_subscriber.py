"""From a step that the event bridge tells of to its completion: for those who wire poller, bridge and handlers."""

from __future__ import annotations

import asyncio
import inspect
import time
import traceback
from collections.abc import Coroutine
from typing import Any, cast

import structlog

from tasker_core import _tasker_core, runtime
from tasker_core.adapters import as_result, checkpoint_of, is_yield, raised
from tasker_core.event_bridge import EventBridge, EventNames
from tasker_core.registry import HandlerDefinition, HandlerRegistry
from tasker_core.types import (
    FfiStepEvent,
    StepContext,
    StepError,
    StepExecutionResult,
    StepHandlerResult,
)

MESSAGE_MAX = 500
_log = structlog.get_logger("tasker_core.step_execution_subscriber")


class StepExecutionError(Exception):
    """A step could not be executed."""

    def __init__(self, message: str, error_type: str = "handler_error", retryable: bool = True) -> None:
        super().__init__(message)
        self.message = message
        self.error_type = error_type
        self.retryable = retryable


class StepExecutionSubscriber:
    """Runs the handler of each step that the bridge tells of, in the thread that tells, and completes the step."""

    def __init__(self, event_bridge: EventBridge, handler_registry: HandlerRegistry, worker_id: str) -> None:
        self._bridge = event_bridge
        self._registry = handler_registry
        self._worker_id = worker_id
        self._is_active = False

    @property
    def worker_id(self) -> str:
        """The worker in whose name it completes."""
        return self._worker_id

    @property
    def is_active(self) -> bool:
        """Whether it listens."""
        return self._is_active

    def start(self) -> None:
        """Listens from now on."""
        if not self._is_active:
            self._bridge.subscribe(EventNames.STEP_EXECUTION_RECEIVED, self._run)
            self._is_active = True

    def stop(self) -> None:
        """Listens no more."""
        self._bridge.unsubscribe(EventNames.STEP_EXECUTION_RECEIVED, self._run)
        self._is_active = False

    def _run(self, event: FfiStepEvent) -> None:
        if runtime.is_serving():
            return  # Worker.start runs the steps of this process itself, and only tells of them
        began = time.monotonic()
        try:
            result = self._executed(event)
        except StepExecutionError as error:
            result = StepHandlerResult.failure(error.message, error.error_type, error.retryable)
        except Exception as error:
            self._publish(EventNames.HANDLER_ERROR, event, error)
            result = _failure(error)
        if is_yield(result):
            self._yield(event, result)
        else:
            self._complete(event, _record(event, result, int((time.monotonic() - began) * 1000), self._worker_id))

    def _executed(self, event: FfiStepEvent) -> StepHandlerResult:
        definition = _definition(event)
        handler = self._registry.resolve(definition)
        if handler is None:
            raise StepExecutionError(f'no handler "{definition.callable}"', "handler_not_found", retryable=False)
        value = handler.call(StepContext.from_ffi_event(event, definition.callable))
        if inspect.isawaitable(value):
            value = asyncio.run(cast("Coroutine[Any, Any, Any]", value))
        return as_result(value)

    def _yield(self, event: FfiStepEvent, result: StepHandlerResult) -> None:
        said = {"step_uuid": event.step_uuid, **checkpoint_of(result)}
        if _tasker_core.checkpoint_yield_step_event(event.event_id, said):
            self._publish(EventNames.STEP_CHECKPOINT_YIELD_SENT, said)
        else:
            _log.warning("a checkpoint came too late", step=event.step_uuid)

    def _complete(self, event: FfiStepEvent, record: StepExecutionResult) -> None:
        try:
            is_taken = _tasker_core.complete_step_event(event.event_id, record.model_dump(mode="json"))
        except Exception as error:
            # What cannot be written as JSON, or is no completion: the step must not wait for one that never comes.
            record = _fallback(record, error)
            is_taken = _tasker_core.complete_step_event(event.event_id, record.model_dump(mode="json"))
            if not is_taken:
                raise RuntimeError(f"step {event.step_uuid} is orphaned: its completion was refused") from error
        if is_taken:
            self._publish(EventNames.STEP_COMPLETION_SENT, record)
        else:
            _log.warning("a completion came too late", step=event.step_uuid)

    def _publish(self, event_name: str, *args: Any) -> None:
        if self._bridge.is_active:
            self._bridge.publish(event_name, *args)


def _definition(event: FfiStepEvent) -> HandlerDefinition:
    """The handler that the step wants: its definition's, else the step's own name."""
    sequence = event.task_sequence_step
    said = _mapping(_mapping(sequence.get("step_definition")).get("handler"))
    step = _mapping(sequence.get("workflow_step"))
    older = _mapping(sequence.get("step_template")).get("handler_class")
    name = said.get("callable") or step.get("template_step_name") or older or "unknown_handler"
    return HandlerDefinition.from_dict({**said, "callable": name})


def _mapping(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _failure(error: Exception) -> StepHandlerResult:
    meant = raised(error)
    wait = {} if meant.retry_after is None else {"retry_after": meant.retry_after}
    said = {**wait, **meant.metadata, "exception_type": type(error).__name__, "traceback": traceback.format_exc()}
    return StepHandlerResult.failure(meant.message, meant.error_type, meant.retryable, said, meant.error_code)


def _record(
    event: FfiStepEvent, result: StepHandlerResult, execution_time_ms: int, worker_id: str
) -> StepExecutionResult:
    known: dict[str, Any] = {
        "step_uuid": event.step_uuid,
        "task_uuid": event.task_uuid,
        "execution_time_ms": execution_time_ms,
        "worker_id": worker_id,
        "correlation_id": event.correlation_id,
    }
    if result.is_success:
        return StepExecutionResult.success_result(result=result.result or {}, metadata=result.metadata, **known)
    error = StepError(
        error_type=result.error_type or "handler_error",
        message=result.error_message or "the handler failed",
        stack_trace=result.metadata.get("traceback"),
        retryable=result.retryable,
        metadata=result.metadata,
    )
    said = {**result.metadata, "retryable": result.retryable, "error_code": result.error_code}
    return StepExecutionResult.failure_result(error=error, metadata=said, **known)


def _fallback(record: StepExecutionResult, problem: Exception) -> StepExecutionResult:
    """What can always be written."""
    error = StepError(error_type="FFI_SERIALIZATION_ERROR", message=str(problem)[:MESSAGE_MAX], retryable=False)
    said = {"ffi_serialization_error": str(problem)[:MESSAGE_MAX], "original_success": record.success}
    return StepExecutionResult.failure_result(
        step_uuid=record.step_uuid,
        task_uuid=record.task_uuid,
        error=error,
        execution_time_ms=record.execution_time_ms,
        worker_id=record.worker_id,
        correlation_id=record.correlation_id,
        metadata={"retryable": False, "custom": said},
    )
