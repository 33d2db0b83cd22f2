"""What handlers return, and what is reported of it."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field


class ErrorType(str, Enum):  # noqa: UP042 - str() gives what it always gave
    """The kinds of errors that a result may name; other words are allowed too."""

    PERMANENT_ERROR = "permanent_error"
    RETRYABLE_ERROR = "retryable_error"
    VALIDATION_ERROR = "validation_error"
    TIMEOUT = "timeout"
    HANDLER_ERROR = "handler_error"

    @classmethod
    def is_standard(cls, error_type: str) -> bool:
        """True for one of the words above."""
        return error_type in {one.value for one in cls}

    @classmethod
    def is_typically_retryable(cls, error_type: str) -> bool:
        """True for the words that mean a passing reason."""
        return error_type in (cls.RETRYABLE_ERROR.value, cls.TIMEOUT.value)


class ResultStatus(str, Enum):  # noqa: UP042 - str() gives what it always gave
    """How an execution ended."""

    SUCCESS = "completed"
    FAILURE = "error"
    RETRYABLE_ERROR = "retryable_error"
    PERMANENT_ERROR = "permanent_error"


class _Success:
    """`StepHandlerResult.success(...)` makes a result; `result.success` says whether it is one."""

    def __get__(self, result: StepHandlerResult | None, owner: type[StepHandlerResult]) -> Any:
        if result is not None:
            return result.is_success
        made: Callable[..., StepHandlerResult] = owner.success_handler_result
        return made


class StepHandlerResult(BaseModel):
    """What a handler returns: `StepHandlerResult.success({...})` or `.failure("why", retryable=False)`."""

    model_config = ConfigDict(populate_by_name=True)

    is_success: bool = Field(alias="success")
    result: dict[str, Any] | None = None
    error_message: str | None = None
    error_type: str | None = None
    error_code: str | None = None
    retryable: bool = True
    metadata: dict[str, Any] = Field(default_factory=dict)

    success: ClassVar[Any] = _Success()

    @classmethod
    def success_handler_result(
        cls, result: dict[str, Any], metadata: dict[str, Any] | None = None
    ) -> StepHandlerResult:
        """The step is done, and this is its result."""
        return cls(is_success=True, result=result, metadata=metadata or {})  # pyright: ignore[reportCallIssue]

    @classmethod
    def failure(
        cls,
        message: str,
        error_type: str | ErrorType = ErrorType.HANDLER_ERROR,
        retryable: bool = True,
        metadata: dict[str, Any] | None = None,
        error_code: str | None = None,
    ) -> StepHandlerResult:
        """The step failed; `retryable` says whether another try can help."""
        return cls(
            is_success=False,  # pyright: ignore[reportCallIssue] - the field's own name is accepted
            error_message=message,
            error_type=error_type.value if isinstance(error_type, ErrorType) else error_type,
            error_code=error_code,
            retryable=retryable,
            metadata=metadata or {},
        )

    def is_success_result(self) -> bool:
        """True for a success."""
        return self.is_success

    def is_failure_result(self) -> bool:
        """True for a failure."""
        return not self.is_success


class StepHandlerCallResult(BaseModel):
    """An older form of a handler's result."""

    success: bool
    result: dict[str, Any] = Field(default_factory=dict)
    error_message: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class StepError(BaseModel):
    """An error as it is reported."""

    error_type: str
    message: str
    stack_trace: str | None = None
    retryable: bool = True
    metadata: dict[str, Any] = Field(default_factory=dict)


class StepExecutionResult(BaseModel):
    """An execution as it is reported."""

    step_uuid: str
    task_uuid: str
    success: bool
    status: str
    execution_time_ms: int
    result: dict[str, Any] | None = None
    error: StepError | None = None
    worker_id: str | None = None
    correlation_id: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def success_result(
        cls, step_uuid: str, task_uuid: str, result: dict[str, Any], execution_time_ms: int, **rest: Any
    ) -> StepExecutionResult:
        """A completed execution."""
        return cls(
            step_uuid=step_uuid,
            task_uuid=task_uuid,
            success=True,
            status=ResultStatus.SUCCESS.value,
            execution_time_ms=execution_time_ms,
            result=result,
            **rest,
        )

    @classmethod
    def failure_result(
        cls, step_uuid: str, task_uuid: str, error: StepError, execution_time_ms: int, **rest: Any
    ) -> StepExecutionResult:
        """A failed execution; its status follows `error.retryable`."""
        status = ResultStatus.RETRYABLE_ERROR if error.retryable else ResultStatus.PERMANENT_ERROR
        return cls(
            step_uuid=step_uuid,
            task_uuid=task_uuid,
            success=False,
            status=status.value,
            execution_time_ms=execution_time_ms,
            error=error,
            **rest,
        )
