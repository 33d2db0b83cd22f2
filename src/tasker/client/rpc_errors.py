"""From the status of a call over gRPC to the typed errors of Tasker, as `answers` does for HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasker import proto
from tasker.client.answers import error_told, with_retry_after
from tasker.model.errors import RequestTooLarge, ServerFault, ServerUnavailable, TaskerError

DETAIL_KEY = "tasker-error-bin"
HTTP_STATUS: Mapping[str, int] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "DEADLINE_EXCEEDED": 408,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
}
"""What HTTP would have answered in place of a status; 500 for all others."""
_NOBODY = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")
"""Statuses that the client itself gives to a call which nobody has answered."""


def error_of_call(error: Any, url: str) -> TaskerError:
    """The error that a call has met, of grpc or of grpc.aio."""
    status = error.code().name
    trailing: dict[str, Any] = dict(error.trailing_metadata() or ())
    if DETAIL_KEY not in trailing:
        return _unexplained(status, error.details() or "", url)
    detail = proto.message("ErrorDetail").FromString(trailing[DETAIL_KEY])
    made = error_detailed(status, detail, trailing.get("x-auth-failure-reason", "missing"))
    return with_retry_after(made, trailing.get("retry-after", ""))


def error_detailed(status: str, detail: Any, reason: str = "missing") -> TaskerError:
    """The error that an ErrorDetail tells, beside the name of its status."""
    known = dict(detail.metadata)
    violations = known.pop("violations", "").splitlines()
    body = {**known, "code": detail.code, "message": detail.message, "violations": violations}
    return error_told(body, HTTP_STATUS.get(status, 500), reason)


def _unexplained(status: str, details: str, url: str) -> TaskerError:
    """Of a call that was answered in other words than the API's, or not at all."""
    if status in _NOBODY:
        return ServerUnavailable(f"{url} does not answer ({status}: {details}): does a server run there?")
    if status == "RESOURCE_EXHAUSTED":
        return RequestTooLarge(f"{url} takes no request as large as this ({details}): send less at once")
    if status == "UNIMPLEMENTED":
        return ServerFault(f"{url} has no such method ({details}): is it the port of gRPC, and is the server older?")
    return ServerFault(f"{url} answered {status}, and not in the words of Tasker's API: {details}")
