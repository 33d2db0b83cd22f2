"""Tasker: multi-step business processes as reliable as database transactions.

The names below are the whole public face; each is imported when it is first used, so that `import tasker` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasker.app import Tasker as Tasker
    from tasker.handlers import Batch as Batch
    from tasker.handlers import Batches as Batches
    from tasker.handlers import BatchResults as BatchResults
    from tasker.handlers import Decision as Decision
    from tasker.handlers import DomainEventPublisher as DomainEventPublisher
    from tasker.handlers import StepContext as StepContext
    from tasker.handlers import StepHandler as StepHandler
    from tasker.handlers import depends_on as depends_on
    from tasker.handlers import inputs as inputs
    from tasker.handlers import on_event as on_event
    from tasker.handlers import step_handler as step_handler
    from tasker.handlers.api import ApiHandler as ApiHandler
    from tasker.handlers.api import ApiResponse as ApiResponse
    from tasker.handlers.api import api_handler as api_handler
    from tasker.model.errors import AuthenticationError as AuthenticationError
    from tasker.model.errors import AuthorizationError as AuthorizationError
    from tasker.model.errors import BusinessLogicError as BusinessLogicError
    from tasker.model.errors import ConfigurationError as ConfigurationError
    from tasker.model.errors import NetworkError as NetworkError
    from tasker.model.errors import NotFoundError as NotFoundError
    from tasker.model.errors import PermanentError as PermanentError
    from tasker.model.errors import RateLimitError as RateLimitError
    from tasker.model.errors import ResourceContentionError as ResourceContentionError
    from tasker.model.errors import RetryableError as RetryableError
    from tasker.model.errors import ServiceUnavailableError as ServiceUnavailableError
    from tasker.model.errors import StepError as StepError
    from tasker.model.errors import StepTimeoutError as StepTimeoutError
    from tasker.model.errors import StepValidationError as StepValidationError
    from tasker.model.errors import TaskerError as TaskerError
    from tasker.model.event import DomainEvent as DomainEvent
    from tasker.model.event import Occurrence as Occurrence
    from tasker.model.states import StepState as StepState
    from tasker.model.states import TaskState as TaskState
    from tasker.settings import Settings as Settings
    from tasker.submission import SubmitCall as SubmitCall
    from tasker.submission import SubmittedTask as SubmittedTask
    from tasker.submission import TaskRequest as TaskRequest
    from tasker.submission import submit_call as submit_call
    from tasker.sync import SyncTasker as SyncTasker

__version__ = "0.1.0"

_ERRORS = (
    "AuthenticationError",
    "AuthorizationError",
    "BusinessLogicError",
    "ConfigurationError",
    "NetworkError",
    "NotFoundError",
    "PermanentError",
    "RateLimitError",
    "ResourceContentionError",
    "RetryableError",
    "ServiceUnavailableError",
    "StepError",
    "StepTimeoutError",
    "StepValidationError",
    "TaskerError",
)
_HOMES = {
    "Tasker": "tasker.app",
    "SyncTasker": "tasker.sync",
    **dict.fromkeys(("StepContext", "StepHandler", "depends_on", "inputs", "step_handler"), "tasker.handlers"),
    **dict.fromkeys(("DomainEventPublisher", "on_event"), "tasker.handlers.events"),
    **dict.fromkeys(("DomainEvent", "Occurrence"), "tasker.model.event"),
    **dict.fromkeys(("Batch", "BatchResults", "Batches"), "tasker.handlers.batch"),
    "Decision": "tasker.handlers.decision",
    **dict.fromkeys(("ApiHandler", "ApiResponse", "api_handler"), "tasker.handlers.api"),
    **dict.fromkeys(_ERRORS, "tasker.model.errors"),
    **dict.fromkeys(("StepState", "TaskState"), "tasker.model.states"),
    "Settings": "tasker.settings",
    **dict.fromkeys(("SubmitCall", "SubmittedTask", "TaskRequest", "submit_call"), "tasker.submission"),
}
__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll] - the names above, each at home elsewhere


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tasker' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
