"""The interface of existing handlers, on Tasker's engine: docs/compatibility.md says what is here.

The decorators are in `tasker_core.step_handler.functional`.
"""

from __future__ import annotations

from typing import Any

from tasker import __version__
from tasker_core.batch_processing import Batchable, BatchAggregationScenario
from tasker_core.bootstrap import (
    bootstrap_worker,
    get_worker_status,
    is_worker_running,
    stop_worker,
    transition_to_graceful_shutdown,
)
from tasker_core.client import HealthResponse as ClientHealthResponse
from tasker_core.client import PaginationInfo as ClientPaginationInfo
from tasker_core.client import StepAuditResponse as ClientStepAuditResponse
from tasker_core.client import StepResponse as ClientStepResponse
from tasker_core.client import TaskerClient
from tasker_core.client import TaskListResponse as ClientTaskListResponse
from tasker_core.client import TaskResponse as ClientTaskResponse
from tasker_core.errors import (
    AuthenticationError,
    AuthorizationError,
    BusinessLogicError,
    ConfigurationError,
    ErrorClassifier,
    NetworkError,
    NotFoundError,
    PermanentError,
    RateLimitError,
    ResourceContentionError,
    RetryableError,
    ServiceUnavailableError,
    get_classifier,
    is_permanent,
    is_retryable,
)
from tasker_core.errors import TimeoutError as StepTimeoutError
from tasker_core.errors import ValidationError as StepValidationError
from tasker_core.exceptions import (
    ConversionError,
    FFIError,
    NotAvailableError,
    TaskerError,
    WorkerAlreadyRunningError,
    WorkerBootstrapError,
    WorkerNotInitializedError,
)
from tasker_core.logging import log_debug, log_error, log_info, log_trace, log_warn
from tasker_core.models import (
    DependencyResultsWrapper,
    HandlerWrapper,
    StepDefinitionWrapper,
    TaskSequenceStepWrapper,
    TaskWrapper,
    WorkflowStepWrapper,
)
from tasker_core.registry import (
    BaseResolver,
    ClassLookupResolver,
    ExplicitMappingResolver,
    HandlerDefinition,
    HandlerRegistry,
    MethodDispatchWrapper,
    RegistryResolver,
    ResolutionError,
    ResolverChain,
    ResolverNotFoundError,
)
from tasker_core.step_handler import ApiHandler, ApiResponse, DecisionHandler, StepHandler
from tasker_core.template_discovery import HandlerDiscovery, TemplateParser, TemplatePath
from tasker_core.types import (
    BatchAnalyzerOutcome,
    BatchWorkerConfig,
    BatchWorkerContext,
    BatchWorkerOutcome,
    BootstrapConfig,
    BootstrapResult,
    CursorConfig,
    DecisionPointOutcome,
    DecisionType,
    ErrorType,
    FfiDispatchMetrics,
    FfiStepEvent,
    LogContext,
    ResultStatus,
    StarvationWarning,
    StepContext,
    StepError,
    StepExecutionResult,
    StepHandlerCallResult,
    StepHandlerResult,
    WorkerState,
    WorkerStatus,
)
from tasker_core.worker import Worker

LATER = frozenset(
    {
        "BasePublisher",
        "BaseSubscriber",
        "ComponentHealth",
        "DomainEventMetadata",
        "EventBridge",
        "EventDeclaration",
        "EventNames",
        "EventPoller",
        "ExecutionResult",
        "HealthCheck",
        "InProcessDomainEvent",
        "InProcessDomainEventPoller",
        "PublishContext",
        "StepEventContext",
        "StepExecutionError",
        "StepExecutionSubscriber",
        "StepResult",
        "WorkerConfig",
        "WorkerMetrics",
        "check_starvation_warnings",
        "cleanup_timeouts",
        "complete_step_event",
        "get_ffi_dispatch_metrics",
        "get_health_check",
        "get_metrics",
        "get_worker_config",
        "poll_in_process_events",
        "poll_step_events",
    }
)
"""Names of the published interface that a later version brings."""


def version() -> str:
    """Tasker's version."""
    return __version__


def get_version() -> str:
    """Tasker's version."""
    return __version__


def get_rust_version() -> str:
    """Tasker's version too: nothing here is Rust."""
    return f"python {__version__}"


def health_check() -> bool:
    """True: the package works."""
    return True


def __getattr__(name: str) -> Any:
    if name in LATER:
        # An ImportError, because `from tasker_core import …` would hide the words of an AttributeError.
        raise ImportError(f"tasker_core.{name} is not in this version of Tasker: see docs/compatibility.md")
    raise AttributeError(f"module 'tasker_core' has no attribute {name!r}")


__all__ = [
    "ApiHandler",
    "ApiResponse",
    "AuthenticationError",
    "AuthorizationError",
    "BaseResolver",
    "BatchAggregationScenario",
    "BatchAnalyzerOutcome",
    "BatchWorkerConfig",
    "BatchWorkerContext",
    "BatchWorkerOutcome",
    "Batchable",
    "BootstrapConfig",
    "BootstrapResult",
    "BusinessLogicError",
    "ClassLookupResolver",
    "ClientHealthResponse",
    "ClientPaginationInfo",
    "ClientStepAuditResponse",
    "ClientStepResponse",
    "ClientTaskListResponse",
    "ClientTaskResponse",
    "ConfigurationError",
    "ConversionError",
    "CursorConfig",
    "DecisionHandler",
    "DecisionPointOutcome",
    "DecisionType",
    "DependencyResultsWrapper",
    "ErrorClassifier",
    "ErrorType",
    "ExplicitMappingResolver",
    "FFIError",
    "FfiDispatchMetrics",
    "FfiStepEvent",
    "HandlerDefinition",
    "HandlerDiscovery",
    "HandlerRegistry",
    "HandlerWrapper",
    "LogContext",
    "MethodDispatchWrapper",
    "NetworkError",
    "NotAvailableError",
    "NotFoundError",
    "PermanentError",
    "RateLimitError",
    "RegistryResolver",
    "ResolutionError",
    "ResolverChain",
    "ResolverNotFoundError",
    "ResourceContentionError",
    "ResultStatus",
    "RetryableError",
    "ServiceUnavailableError",
    "StarvationWarning",
    "StepContext",
    "StepDefinitionWrapper",
    "StepError",
    "StepExecutionResult",
    "StepHandler",
    "StepHandlerCallResult",
    "StepHandlerResult",
    "StepTimeoutError",
    "StepValidationError",
    "TaskSequenceStepWrapper",
    "TaskWrapper",
    "TaskerClient",
    "TaskerError",
    "TemplateParser",
    "TemplatePath",
    "Worker",
    "WorkerAlreadyRunningError",
    "WorkerBootstrapError",
    "WorkerNotInitializedError",
    "WorkerState",
    "WorkerStatus",
    "WorkflowStepWrapper",
    "__version__",
    "bootstrap_worker",
    "get_classifier",
    "get_rust_version",
    "get_version",
    "get_worker_status",
    "health_check",
    "is_permanent",
    "is_retryable",
    "is_worker_running",
    "log_debug",
    "log_error",
    "log_info",
    "log_trace",
    "log_warn",
    "stop_worker",
    "transition_to_graceful_shutdown",
    "version",
]
