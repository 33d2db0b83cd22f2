"""From errors to the status of a call: one table of the canonical codes, behind the one that all faces share."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from grpc import StatusCode

from tasker import proto
from tasker.model import errors
from tasker.operations import fault_of, told
from tasker.server.rest.refusals import places
from tasker.worker.log import log

CODES: dict[str, StatusCode] = {
    "BAD_REQUEST": StatusCode.INVALID_ARGUMENT,
    "JSON_ERROR": StatusCode.INVALID_ARGUMENT,
    "PAYLOAD_TOO_LARGE": StatusCode.INVALID_ARGUMENT,
    "AUTHENTICATION_FAILED": StatusCode.UNAUTHENTICATED,
    "AUTHORIZATION_FAILED": StatusCode.PERMISSION_DENIED,
    "NOT_FOUND": StatusCode.NOT_FOUND,
    "TIMEOUT": StatusCode.DEADLINE_EXCEEDED,
    "CONFLICT": StatusCode.ALREADY_EXISTS,
    "TURN_SUPERSEDED": StatusCode.ABORTED,
    "RATE_LIMITED": StatusCode.RESOURCE_EXHAUSTED,
    "BACKPRESSURE": StatusCode.UNAVAILABLE,
    "SERVICE_UNAVAILABLE": StatusCode.UNAVAILABLE,
    "DATABASE_ERROR": StatusCode.INTERNAL,
    "INTERNAL_ERROR": StatusCode.INTERNAL,
}
"""By the code that operations give to an error."""
NEARER: dict[type[BaseException], StatusCode] = {
    errors.ActionForbidden: StatusCode.FAILED_PRECONDITION,
    errors.KeyInFlight: StatusCode.ABORTED,
}
"""Errors for which gRPC has a nearer word than HTTP."""
DETAIL_KEY = "tasker-error-bin"
_TEXT_BYTES_MAX = 1000
"""Clients refuse metadata of more than 8 kB, and what is no ASCII travels three times as long."""

Metadata = tuple[tuple[str, str | bytes], ...]


def refusal(error: BaseException) -> tuple[StatusCode, str, Metadata]:
    """The status, message and trailing metadata of a call that failed; what is ours to mend is logged."""
    fault, body = fault_of(error), told(error)
    status = next((NEARER[kind] for kind in type(error).__mro__ if kind in NEARER), CODES[fault.code])
    if fault.status >= 500:
        body["error_id"] = str(uuid4())
        is_known = fault.status == 503
        about = {} if is_known else {"sqlstate": getattr(error, "sqlstate", None), "places": places(error)}
        say = log.warning if is_known else log.error
        say("a call failed", error_id=body["error_id"], error=type(error).__name__, **about)
    return status, _short(body["message"]), _metadata(error, body)


def _metadata(error: BaseException, body: dict[str, Any]) -> Metadata:
    more = {name: value for name, value in body.items() if name not in ("code", "message")}
    if "violations" in more:
        more["violations"] = _short("\n".join(more["violations"]))
    known = {name: str(value) for name, value in more.items()}
    detail = proto.message("ErrorDetail")(code=body["code"], message=_short(body["message"]), metadata=known)
    said: list[tuple[str, str | bytes]] = [(DETAIL_KEY, detail.SerializeToString())]
    if "retry_after_seconds" in known:
        said.append(("retry-after", known["retry_after_seconds"]))
    if isinstance(error, errors.Unauthenticated):
        said.append(("x-auth-failure-reason", error.reason))
    return tuple(said)


def _short(text: str) -> str:
    kept = text.encode()[:_TEXT_BYTES_MAX].decode(errors="ignore")
    return text if kept == text else f"{kept}…"
