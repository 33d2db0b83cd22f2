"""Handlers as functions: the decorators leave the function callable and give it `_handler_class`.

`@step_handler` and its kin come outermost: what stands outside of them is not seen.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from tasker.handlers.handler import ADAPT
from tasker.model.errors import PermanentError, RetryableError, StepError
from tasker_core.adapters import adapt, as_result
from tasker_core.batch_processing import Batchable
from tasker_core.step_handler.api import APIMixin
from tasker_core.step_handler.base import StepHandler
from tasker_core.step_handler.decision_mixin import DecisionMixin
from tasker_core.types import BatchWorkerContext, ErrorType, StepContext, StepHandlerResult

F = TypeVar("F", bound=Callable[..., Any])
HandlerDecorator = Callable[[F], F]
FunctionalHandler = Callable[..., Any]

_DEPENDENCIES, _INPUTS, _MODEL = "_tasker_dependencies", "_tasker_inputs", "_tasker_inputs_model"
_CONTEXT_NAMES = ("context", "_context")


@dataclass(frozen=True)
class Decision:
    """What a decision handler returns: `Decision.route(["a"], key=…)`, or `Decision.skip("why")`."""

    steps: list[str] = field(default_factory=list[str])
    reason: str | None = None
    routing_context: dict[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def route(cls, steps: list[str], **routing_context: Any) -> Decision:
        """These steps run."""
        return cls(list(steps), None, routing_context)

    @classmethod
    def skip(cls, reason: str, **routing_context: Any) -> Decision:
        """None runs."""
        return cls([], reason, routing_context)


@dataclass(frozen=True)
class BatchConfig:
    """What a batch analyzer returns."""

    total_items: int
    batch_size: int
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])


def depends_on(**dependencies: str | tuple[str, Any]) -> HandlerDecorator[Any]:
    """Pass results of steps before this one: `cart="validate_cart"`, or `cart=("validate_cart", Cart)`."""

    def decorate(function: Any) -> Any:
        setattr(function, _DEPENDENCIES, {**getattr(function, _DEPENDENCIES, {}), **dependencies})
        return function

    return decorate


def inputs(*keys: Any) -> HandlerDecorator[Any]:
    """Pass fields of the task's context, one argument each, or a model of them as the argument `inputs`."""
    names = [key for key in keys if isinstance(key, str)]
    models = [key for key in keys if not isinstance(key, str)]

    def decorate(function: Any) -> Any:
        setattr(function, _INPUTS, [*getattr(function, _INPUTS, []), *names])
        if models:
            setattr(function, _MODEL, models[0])
        return function

    return decorate


def step_handler(name: str, version: str = "1.0.0") -> HandlerDecorator[Any]:
    """Make a function the handler `name`."""
    return _decorator(name, version, _wrapped)


def decision_handler(name: str, version: str = "1.0.0") -> HandlerDecorator[Any]:
    """Make a function, which returns a Decision, the handler of a decision."""
    return _decorator(name, version, _decided, DecisionMixin)


def batch_analyzer(name: str, worker_template: str, version: str = "1.0.0") -> HandlerDecorator[Any]:
    """Make a function, which returns a BatchConfig, the handler of a batchable step; no items mean no batches."""

    def analysed(handler: StepHandler, value: Any) -> StepHandlerResult:
        if not isinstance(value, BatchConfig):
            return as_result(value)
        batches = cast("Batchable", handler)
        outcome = batches.create_batch_outcome(value.total_items, value.batch_size, batch_metadata=value.metadata)
        return batches.batch_analyzer_success(outcome, worker_template_name=worker_template)

    return _decorator(name, version, analysed, Batchable)


def batch_worker(name: str, version: str = "1.0.0") -> HandlerDecorator[Any]:
    """Make a function the handler of a part of a batch; `batch_context` is None outside of a batch."""
    read = BatchWorkerContext.from_step_context
    return _decorator(name, version, _wrapped, extra={"batch_context": lambda handler, context: read(context)})


def api_handler(
    name: str,
    base_url: str,
    version: str = "1.0.0",
    timeout: float = 30.0,
    default_headers: dict[str, str] | None = None,
) -> HandlerDecorator[Any]:
    """Make a function the handler `name`; its argument `api` is the handler, with `get`, `post`, `api_success`, …"""
    attributes = {"base_url": base_url, "default_timeout": timeout, "default_headers": default_headers or {}}
    client = type("FunctionApi", (APIMixin,), attributes)
    return _decorator(name, version, _wrapped, client, extra={"api": lambda handler, context: handler})


def _decorator(
    name: str,
    version: str,
    wrap: Callable[[StepHandler, Any], StepHandlerResult],
    *mixins: type,
    extra: dict[str, Callable[[StepHandler, StepContext], Any]] | None = None,
) -> HandlerDecorator[Any]:
    def decorate(function: Any) -> Any:
        arguments = _Arguments(function, extra or {})
        attributes = {
            "handler_name": name,
            "handler_version": version,
            "__doc__": function.__doc__,
            "__module__": function.__module__,
            "call": _method(function, arguments, wrap),
        }
        bases = (*mixins, StepHandler)
        function._handler_class = type(function.__name__, bases, attributes)
        setattr(function, ADAPT, adapt)
        return function

    return decorate


class _Arguments:
    """What a function is called with, as its decorators said when `@step_handler` was applied."""

    def __init__(self, function: Any, extra: dict[str, Callable[[StepHandler, StepContext], Any]]) -> None:
        self._dependencies: dict[str, Any] = dict(getattr(function, _DEPENDENCIES, {}))
        self._inputs: list[str] = list(getattr(function, _INPUTS, []))
        self._model: Any = getattr(function, _MODEL, None)
        self._extra = extra
        parameters = inspect.signature(function).parameters
        self._context_name = next((name for name in _CONTEXT_NAMES if name in parameters), None)

    def of(self, handler: StepHandler, context: StepContext) -> dict[str, Any]:
        """By parameter."""
        values: dict[str, Any] = {name: self._result(context, wanted) for name, wanted in self._dependencies.items()}
        values.update({key: context.get_input(key) for key in self._inputs})
        if self._model is not None:
            known: dict[str, Any] = self._model.model_fields
            keys = {name: one.alias or name for name, one in known.items()}
            data = _inputs_of(context, [*keys.values(), *keys])
            values["inputs"] = self._model(**{key: data[key] for key in _present(keys, data)})
        values.update({name: read(handler, context) for name, read in self._extra.items()})
        if self._context_name is not None:
            values[self._context_name] = context
        return values

    def _result(self, context: StepContext, wanted: Any) -> Any:
        if not isinstance(wanted, tuple):
            return context.get_dependency_result(wanted)
        step, model = cast("tuple[str, Any]", wanted)
        raw = context.get_dependency_result(step)
        return model.model_validate(raw) if isinstance(raw, dict) else raw


def _inputs_of(context: StepContext, keys: list[str]) -> dict[str, Any]:
    """The task's context. Tests of applications stand in for ours with contexts that only know `get_input`."""
    data: Any = getattr(context, "input_data", None)
    if isinstance(data, dict):
        return cast("dict[str, Any]", data)
    return {key: value for key in keys if (value := context.get_input(key)) is not None}


def _present(keys: dict[str, str], data: dict[str, Any]) -> list[str]:
    """The names and aliases under which the fields of a model are there."""
    return [key for key in dict.fromkeys([*keys.values(), *keys]) if key in data]


def _method(
    function: Any, arguments: _Arguments, wrap: Callable[[StepHandler, Any], StepHandlerResult]
) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        async def call_async(self: StepHandler, context: StepContext) -> StepHandlerResult:
            try:
                return wrap(self, await function(**arguments.of(self, context)))
            except Exception as error:
                return _failure(error)

        return call_async

    def call(self: StepHandler, context: StepContext) -> StepHandlerResult:
        try:
            return wrap(self, function(**arguments.of(self, context)))
        except Exception as error:
            return _failure(error)

    return call


def _wrapped(_: StepHandler, value: Any) -> StepHandlerResult:
    return as_result(value)


def _decided(handler: StepHandler, value: Any) -> StepHandlerResult:
    if not isinstance(value, Decision):
        return _wrapped(handler, value)
    mixin = cast("DecisionMixin", handler)
    if value.steps:
        return mixin.decision_success(value.steps, routing_context=value.routing_context)
    return mixin.skip_branches(value.reason or "", routing_context=value.routing_context)


def _failure(error: Exception) -> StepHandlerResult:
    if isinstance(error, StepError):
        kind = ErrorType.HANDLER_ERROR
        if isinstance(error, PermanentError):
            kind = ErrorType.PERMANENT_ERROR
        elif isinstance(error, RetryableError):
            kind = ErrorType.RETRYABLE_ERROR
        wait = {} if error.retry_after is None else {"retry_after": error.retry_after}
        down = {"is_dependency_failure": True} if error.is_dependency_failure else {}
        metadata = {**wait, **down, **error.metadata}
        return StepHandlerResult.failure(error.message, kind, error.retryable, metadata, error.error_code)
    metadata = {"exception_type": type(error).__name__, "traceback": traceback.format_exc()}
    return StepHandlerResult.failure(str(error), ErrorType.HANDLER_ERROR, True, metadata)
