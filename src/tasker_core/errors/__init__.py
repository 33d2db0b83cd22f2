"""What handlers raise: the class, or `retryable=`, says whether another try can help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasker.model import errors as engine


class TaskerError(engine.StepError):
    """A step failed.

    `error_code` is a word for programs, `retry_after` is in seconds; both are copied into `metadata`, into which
    `context` is merged.
    """

    def __init__(
        self,
        message: str,
        *,
        retryable: bool | None = None,
        metadata: Mapping[str, Any] | None = None,
        error_code: str | None = None,
        retry_after: float | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            message,
            retryable=retryable,
            metadata=metadata,
            error_code=error_code,
            retry_after=retry_after,
            context=context,
        )
        copied = {"error_code": error_code, "retry_after": retry_after}
        self.metadata.update({key: value for key, value in copied.items() if value is not None})

    def to_dict(self) -> dict[str, Any]:
        """As plain values: error_type (the class), message, retryable, metadata."""
        return {
            "error_type": type(self).__name__,
            "message": self.message,
            "retryable": self.retryable,
            "metadata": self.metadata,
        }


class RetryableError(TaskerError, engine.RetryableError):
    """It failed for a passing reason."""


class PermanentError(TaskerError, engine.PermanentError):
    """Trying again cannot help."""


class TimeoutError(RetryableError):
    """Something took too long."""


class NetworkError(RetryableError):
    """The network failed."""

    is_dependency_failure = True


class RateLimitError(RetryableError):
    """A service asks for fewer calls."""


class ServiceUnavailableError(RetryableError):
    """A service is down for now."""

    is_dependency_failure = True


class ResourceContentionError(RetryableError):
    """Something that the step needs is in use."""


class ValidationError(PermanentError):
    """The step's input is not valid."""


class NotFoundError(PermanentError):
    """What the step needs does not exist."""


class AuthenticationError(PermanentError):
    """The step's credentials were not accepted."""


class AuthorizationError(PermanentError):
    """The step may not do this."""


class ConfigurationError(PermanentError):
    """The step is not configured rightly."""


class BusinessLogicError(PermanentError):
    """A rule of the business forbids it."""


class FFIError(TaskerError):
    """A call into the engine failed; another try may help."""

    retryable = True


# The classifier knows the classes above.
from tasker_core.errors.error_classifier import (  # noqa: E402
    ErrorClassifier,
    get_classifier,
    is_permanent,
    is_retryable,
)

__all__ = [
    "AuthenticationError",
    "AuthorizationError",
    "BusinessLogicError",
    "ConfigurationError",
    "ErrorClassifier",
    "FFIError",
    "NetworkError",
    "NotFoundError",
    "PermanentError",
    "RateLimitError",
    "ResourceContentionError",
    "RetryableError",
    "ServiceUnavailableError",
    "TaskerError",
    "TimeoutError",
    "ValidationError",
    "get_classifier",
    "is_permanent",
    "is_retryable",
]
