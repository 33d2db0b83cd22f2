"""Handlers as classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from tasker.handlers import StepHandler as EngineStepHandler
from tasker_core.adapters import adapt
from tasker_core.types import ErrorType, StepContext, StepHandlerResult


class StepHandler(EngineStepHandler, ABC):
    """A handler as a class: give it a `handler_name` and `call(self, context)`, sync or async.

    Each execution gets a fresh instance, made without arguments where that is possible.
    """

    __tasker_adapt__: ClassVar[Any] = staticmethod(adapt)

    @abstractmethod
    def call(self, context: StepContext) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - its own context
        """Run the step; return a StepHandlerResult."""

    @property
    def capabilities(self) -> list[str]:
        """What the handler can do."""
        return ["process"]

    def config_schema(self) -> dict[str, Any] | None:
        """A JSON Schema of its configuration, for people; None where it has none."""
        return None

    def success(
        self, result: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None
    ) -> StepHandlerResult:
        """The step is done."""
        return StepHandlerResult.success(result or {}, metadata)

    def failure(
        self,
        message: str,
        error_type: str | ErrorType = "handler_error",
        retryable: bool = True,
        metadata: dict[str, Any] | None = None,
        error_code: str | None = None,
    ) -> StepHandlerResult:
        """The step failed."""
        return StepHandlerResult.failure(message, error_type, retryable, metadata, error_code)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name='{self.name}', version='{self.version}')"
