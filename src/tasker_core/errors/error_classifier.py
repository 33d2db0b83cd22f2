"""Guesses whether another try can help, for handlers that ask. The worker does not ask it."""

from __future__ import annotations

from functools import cache
from typing import Any

from tasker_core import errors

_PERMANENT: tuple[type[BaseException], ...] = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    AssertionError,
    SyntaxError,
    NameError,
    ImportError,
    NotImplementedError,
)
_RETRYABLE: tuple[type[BaseException], ...] = (OSError, BlockingIOError, InterruptedError)


class ErrorClassifier:
    """The exception's own `retryable` counts first, then what its class is known for, then the default."""

    def __init__(self, *, default_retryable: bool = True) -> None:
        self.default_retryable = default_retryable

    def retryable(self, exc: BaseException) -> bool:
        """True when another try may help."""
        return self.classify(exc)["retryable"]

    def permanent(self, exc: BaseException) -> bool:
        """True when it cannot."""
        return not self.retryable(exc)

    def classify(self, exc: BaseException) -> dict[str, Any]:
        """error_type (the class), retryable, and `classification`: what decided it."""
        retryable, reason = self._decide(exc)
        return {"error_type": type(exc).__name__, "retryable": retryable, "classification": reason}

    def _decide(self, exc: BaseException) -> tuple[bool, str]:
        explicit = getattr(exc, "retryable", None)
        if isinstance(explicit, bool):
            return explicit, "explicit_attribute"
        if isinstance(exc, (errors.PermanentError, *_PERMANENT)):
            return False, "permanent"
        if isinstance(exc, (errors.RetryableError, *_RETRYABLE)):
            return True, "retryable"
        return self.default_retryable, "default"


@cache
def get_classifier() -> ErrorClassifier:
    """The classifier of the process."""
    return ErrorClassifier()


def is_retryable(exc: BaseException) -> bool:
    """What the process's classifier says."""
    return get_classifier().retryable(exc)


def is_permanent(exc: BaseException) -> bool:
    """What the process's classifier says."""
    return get_classifier().permanent(exc)
