"""The types of the interface."""

from tasker_core.types.batch import (
    BatchAnalyzerOutcome,
    BatchWorkerOutcome,
    CursorConfig,
    FailureStrategy,
)
from tasker_core.types.context import FfiStepEvent, StepContext
from tasker_core.types.decision import DecisionPointOutcome, DecisionType
from tasker_core.types.results import (
    ErrorType,
    ResultStatus,
    StepError,
    StepExecutionResult,
    StepHandlerCallResult,
    StepHandlerResult,
)
from tasker_core.types.runtime import (
    BootstrapConfig,
    BootstrapResult,
    FfiDispatchMetrics,
    LogContext,
    StarvationWarning,
    WorkerState,
    WorkerStatus,
)

__all__ = [
    "BatchAnalyzerOutcome",
    "BatchWorkerOutcome",
    "BootstrapConfig",
    "BootstrapResult",
    "CursorConfig",
    "DecisionPointOutcome",
    "DecisionType",
    "ErrorType",
    "FailureStrategy",
    "FfiDispatchMetrics",
    "FfiStepEvent",
    "LogContext",
    "ResultStatus",
    "StarvationWarning",
    "StepContext",
    "StepError",
    "StepExecutionResult",
    "StepHandlerCallResult",
    "StepHandlerResult",
    "WorkerState",
    "WorkerStatus",
]
