"""From what a server answers to the typed errors of Tasker; and which of them may pass by themselves."""

from __future__ import annotations

from functools import cache
from inspect import getmembers, isclass
from typing import Any, cast
from uuid import UUID

import orjson

from tasker.model import errors
from tasker.model.errors import (
    Backpressure,
    DatabaseUnavailable,
    IdentityConflict,
    InvalidInput,
    KeyInFlight,
    KeysUnavailable,
    RequestTimeout,
    ServerFault,
    ServerUnavailable,
    TaskerError,
    Unauthenticated,
)

RETRY_AFTER_MAX_S = 60.0
"""A server that asks for more patience than this is not asked again by itself."""
_PASSING = (Backpressure, DatabaseUnavailable, KeyInFlight, KeysUnavailable, RequestTimeout, ServerUnavailable)
_BY_STATUS: dict[int, type[TaskerError]] = {
    400: InvalidInput,
    401: Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    408: RequestTimeout,
    409: IdentityConflict,
    413: errors.PayloadTooLarge,
    422: InvalidInput,
    429: errors.QuotaExceeded,
    502: ServerUnavailable,
    503: ServerUnavailable,
    504: ServerUnavailable,
}


@cache
def _by_kind() -> dict[str, type[TaskerError]]:
    """Every error by the word that servers use for it."""
    return {kind.code: kind for _, kind in getmembers(errors, isclass) if issubclass(kind, TaskerError)}


def error_of(status: int, content: bytes, headers: Any, url: str) -> TaskerError:
    """The error that an answer tells: by its `kind`, else, of servers that say none, by its status."""
    body = _body(content)
    if body is None:
        kind = (
            ServerUnavailable
            if status >= 500
            else ServerFault
            if status == 404
            else _BY_STATUS.get(status, ServerFault)
        )
        error = kind(f"{url} answered {status}, and not in the words of Tasker's API: is this its address?")
    else:
        error = error_told(body, status, str(headers.get("x-auth-failure-reason", "missing")))
    return with_retry_after(error, str(headers.get("retry-after", "")))


def with_retry_after(error: TaskerError, after: str) -> TaskerError:
    """The error, which knows how long the server wants to be left alone, where that was said."""
    if after.isdigit():
        error.retry_after_s = float(after)
    return error


def error_told(body: dict[str, Any], status: int = 500, reason: str = "missing") -> TaskerError:
    """The error that an error body tells."""
    kind = _by_kind().get(str(body.get("kind"))) or _BY_STATUS.get(status, ServerFault)
    message = str(body.get("message") or f"the server answered {status}")
    if issubclass(kind, InvalidInput):
        return kind(message, tuple(map(str, body.get("violations") or ())))
    if issubclass(kind, IdentityConflict):
        return kind(message, _uuid(body.get("task_uuid")))
    if issubclass(kind, Unauthenticated):
        return kind(message, reason)
    if issubclass(kind, Backpressure):
        return kind(message, float(body.get("retry_after_seconds") or 1))
    if kind is ServerFault and body.get("error_id"):
        return kind(f"{message} (error_id {body['error_id']})")
    return kind(message)


def _body(content: bytes) -> dict[str, Any] | None:
    try:
        said: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    error: Any = cast("dict[str, Any]", said).get("error") if isinstance(said, dict) else None
    return cast("dict[str, Any]", error) if isinstance(error, dict) else None


def _uuid(text: Any) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None


def again(error: Exception) -> bool | float:
    """Whether the same request may work a little later; seconds, where the server has said how much."""
    if not isinstance(error, _PASSING):
        return False
    after_s = error.retry_after_s
    if after_s is None:
        return True
    return after_s if after_s <= RETRY_AFTER_MAX_S else False
