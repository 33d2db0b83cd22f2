"""From a handler of `tasker_core` to the record that the worker runs.

The engine's own handlers differ in four things, which are all that happens here: the context is another, results come
in a StepHandlerResult, failures are returned and not only raised, and instances are made without arguments first.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, cast

import orjson
from pydantic import BaseModel

from tasker.handlers import Handler
from tasker.handlers import StepContext as EngineContext
from tasker.handlers.batch import BatchResults
from tasker.handlers.functional import place_of
from tasker.handlers.resolution_methods import step_method
from tasker.model.errors import InvalidHandler, StepError
from tasker_core.executions import Execution
from tasker_core.metadata import joined, parted
from tasker_core.types import FfiStepEvent, StepContext, StepHandlerResult


def adapt(obj: Any, name: str | None, method: str | None) -> Handler:
    """The record of a handler class, of an instance, or of a function with `_handler_class`.

    Raises InvalidHandler where it cannot be called.
    """
    is_instance = not isinstance(obj, type) and not hasattr(obj, "_handler_class")
    handler_class: Any = obj if isinstance(obj, type) else getattr(obj, "_handler_class", cast("Any", type(obj)))
    if inspect.isabstract(handler_class):
        raise InvalidHandler(f"{place_of(handler_class)} does not define call(self, context)")
    code: Callable[..., Any] = handler_class.call if method is None else step_method(handler_class, method)

    def make(context: EngineContext) -> Any:
        return obj if is_instance else _made(handler_class, context)

    known: str = name or getattr(handler_class, "handler_name", "") or handler_class.__name__
    is_async = inspect.iscoroutinefunction(code)
    return Handler(
        name=known,
        version=getattr(handler_class, "handler_version", "1.0.0"),
        call=_async_call(make, code, known) if is_async else _call(make, code, known),
        pool="async" if is_async else "thread",
        needs=None,
        source=obj,
        method=method,
        system_dependency=getattr(handler_class, "system_dependency", None),
    )


def _call(make: Callable[[EngineContext], Any], code: Callable[..., Any], name: str) -> Callable[[EngineContext], Any]:
    def call(context: EngineContext) -> Any:
        with Execution(context) as execution:
            while True:
                try:
                    result = code(make(context), execution.begins(context_of(context, name)))
                    if inspect.isawaitable(result):
                        result = asyncio.run(cast("Coroutine[Any, Any, Any]", result))
                except Exception as error:
                    raise broken(execution, error) from error
                if not is_yield(result):
                    return ended(execution, result)
                context.save_checkpoint(**_checkpoint(result))
                execution.yielded(checkpoint_of(result))

    return call


def _async_call(
    make: Callable[[EngineContext], Any], code: Callable[..., Any], name: str
) -> Callable[[EngineContext], Any]:
    async def call(context: EngineContext) -> Any:
        with Execution(context) as execution:
            while True:
                try:
                    result = await code(make(context), execution.begins(context_of(context, name)))
                except Exception as error:
                    raise broken(execution, error) from error
                if not is_yield(result):
                    return ended(execution, result)
                await context.save_checkpoint(**_checkpoint(result))
                execution.yielded(checkpoint_of(result))

    return call


def broken(execution: Execution, error: Exception) -> StepError:
    """The handler raised: what the engine is to be told."""
    execution.broke(error)
    failure = raised(error)
    execution.fails(failure)
    return failure


def ended(execution: Execution, result: Any) -> Any:
    """The handler returned: what the engine keeps. Raises the failure that a StepHandlerResult says."""
    try:
        value = kept(result)
    except StepError as failure:
        execution.fails(failure)
        raise
    execution.ends(*parted(value))
    return value


def _made(handler_class: Any, context: EngineContext) -> Any:
    """A fresh instance; the constructor gets the configuration only where it cannot do without."""
    try:
        return handler_class()
    except TypeError:
        return handler_class(config=context.configuration)


# What goes in ---------------------------------------------------------------------------------------------------------


def context_of(context: EngineContext, handler_name: str) -> StepContext:
    """The context that the older interface shows."""
    return StepContext.from_ffi_event(event_of(context), handler_name)


def event_of(context: EngineContext, event_id: str | None = None) -> FfiStepEvent:
    """The event that the older interface shows; without an id it has that of the attempt."""
    correlation_id = str(context.correlation_id or context.task_uuid)
    return FfiStepEvent(
        event_id=event_id or f"{context.step_uuid}:{context.attempt}",
        task_uuid=str(context.task_uuid),
        step_uuid=str(context.step_uuid),
        correlation_id=correlation_id,
        task_correlation_id=correlation_id,
        task_sequence_step=_sequence_of(context),
    )


def _sequence_of(context: EngineContext) -> dict[str, Any]:
    template, step = context.template, context.step
    return {
        "task": {
            "task": {"task_uuid": str(context.task_uuid), "context": context.inputs},
            "task_name": template.name,
            "task_version": template.version,
            "namespace_name": template.namespace,
        },
        "workflow_step": {
            "workflow_step_uuid": str(context.step_uuid),
            "name": context.step_name,
            "template_step_name": step.name,
            "attempts": context.tries,
            "max_attempts": context.max_attempts,
            "retryable": step.retry.retryable,
            "inputs": _inputs_of(context),
            "checkpoint": _checkpoint_of(context),
        },
        "dependency_results": _envelopes(context),
        "step_definition": {
            "name": step.name,
            "description": step.description,
            "dependencies": list(step.dependencies),
            "timeout_seconds": step.timeout_seconds,
            "handler": {
                "callable": step.handler.callable,
                "method": step.handler.method,
                "resolver": step.handler.resolver,
                "initialization": context.configuration,
            },
        },
    }


def _checkpoint_of(context: EngineContext) -> dict[str, Any] | None:
    if not context.has_checkpoint:
        return None
    return {
        "cursor": context.checkpoint_cursor,
        "items_processed": context.checkpoint_items_processed,
        "accumulated_results": context.accumulated_results,
    }


def _inputs_of(context: EngineContext) -> dict[str, Any] | None:
    """What a member of a batch works on: its cursor alone, or its item."""
    if context.item_index is not None:
        return {"item": context.item, "item_index": context.item_index}
    batch = context.batch
    if batch is None:
        return None
    nothing = {"start_cursor": 0, "end_cursor": 0, "batch_size": 0} if batch.is_no_op else {}
    return {
        "cursor": {"batch_id": batch.batch_id, **nothing, **batch.cursor},
        "batch_metadata": {"cursor_field": batch.cursor_field, "failure_strategy": batch.failure_strategy},
        "is_no_op": batch.is_no_op,
        "batch_index": max(batch.index - 1, 0),
        "total_batches": _worker_count(context),
    }


def _worker_count(context: EngineContext) -> int:
    """How many members the batch has, as the step said that cut the work."""
    types = {step.name: step.type for step in context.template.steps}
    cutter = next((name for name in context.step.dependencies if types.get(name) == "batchable"), "")
    return context.get_dependency_field(cutter, "batch_processing_outcome", "worker_count") or 1


def _envelopes(context: EngineContext) -> dict[str, Any]:
    """By the names of the steps; of a batch by the names of its members, as far as they have results."""
    envelopes: dict[str, Any] = {}
    for name in context.get_dependency_result_keys():
        result = context.get_dependency_result(name)
        if isinstance(result, BatchResults):
            envelopes.update({f"{name}_{key}": _envelope(value) for key, value in result.by_id.items()})
        else:
            envelopes[name] = _envelope(result)
    return envelopes


def _envelope(kept: Any) -> dict[str, Any]:
    result, metadata = parted(kept)
    return {
        "step_uuid": None,
        "success": True,
        "result": result,
        "metadata": {"custom": metadata} if metadata else {},
        "status": "completed",
        "error": None,
        "orchestration_metadata": None,
    }


# What comes out -------------------------------------------------------------------------------------------------------


def is_yield(result: Any) -> bool:
    """Whether the handler wants to go on from a checkpoint: it is called again, on the same attempt."""
    return isinstance(result, StepHandlerResult) and result.metadata.get("checkpoint_yield") is True


def checkpoint_of(result: StepHandlerResult) -> dict[str, Any]:
    """cursor, items_processed and accumulated_results of a result that yields."""
    said = result.result or {}
    return {
        "cursor": said.get("cursor"),
        "items_processed": said.get("items_processed") or 0,
        "accumulated_results": said.get("accumulated_results"),
    }


def engine_checkpoint(said: Mapping[str, Any]) -> dict[str, Any]:
    """The same, as the engine's contexts take it."""
    return {
        "cursor": said.get("cursor"),
        "items_processed": said.get("items_processed") or 0,
        "accumulated": said.get("accumulated_results"),
    }


def _checkpoint(result: StepHandlerResult) -> dict[str, Any]:
    return engine_checkpoint(checkpoint_of(result))


def as_result(value: Any) -> StepHandlerResult:
    """What a handler returned, as a result: mappings and models as they are, anything else as `{"result": value}`."""
    if isinstance(value, StepHandlerResult):
        return value
    if value is None:
        return StepHandlerResult.success({})
    if isinstance(value, dict):
        return StepHandlerResult.success(cast("dict[str, Any]", value))
    if isinstance(value, BaseModel):
        return StepHandlerResult.success(value.model_dump(mode="json"))
    return StepHandlerResult.success({"result": value})


def kept(result: Any) -> Any:
    """What the engine keeps of a returned value. Raises the failure that a StepHandlerResult says."""
    if isinstance(result, StepHandlerResult):
        if not result.is_success:
            raise failed(result)
        result = joined(result.result or {}, result.metadata)
    if not isinstance(result, dict):
        return result
    return _plain(cast("dict[str, Any]", result))


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """Like the JSON mode of pydantic, in which the published package wrote results: NaN and infinity are null.

    What has no such form is left to the engine, which says where it lies.
    """
    try:
        return _as_json(value)
    except TypeError:
        pass
    try:
        return _as_json(StepHandlerResult.success(value).model_dump(mode="json")["result"])
    except (TypeError, ValueError):
        return value


def _as_json(value: dict[str, Any]) -> dict[str, Any]:
    return orjson.loads(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS))


def failed(result: StepHandlerResult) -> StepError:
    """The error that a failure means. `retry_after` and `is_dependency_failure` in its metadata are honoured."""
    metadata = dict(result.metadata)
    wait = metadata.get("retry_after", metadata.get("retry_after_seconds"))
    error = StepError(
        result.error_message or "the handler failed",
        retryable=result.retryable,
        error_code=result.error_code,
        retry_after=wait,
        metadata=metadata,
        is_dependency_failure=metadata.get("is_dependency_failure") is True,
    )
    error.error_type = result.error_type or "handler_error"
    return error


def raised(error: Exception) -> StepError:
    """The error that an exception means: its own `retryable` counts, without one it is tried again."""
    known = error if isinstance(error, StepError) else None
    retryable = getattr(error, "retryable", True)
    meant = StepError(
        str(error) or type(error).__name__,
        retryable=retryable if isinstance(retryable, bool) else True,
        error_code=known and known.error_code,
        retry_after=known and known.retry_after,
        metadata=known and known.metadata,
        is_dependency_failure=known and known.is_dependency_failure,
    )
    meant.error_type = type(error).__name__
    return meant
