"""From errors to what a caller is told: one table of status and code, for every face.

What went wrong inside is never told: there the message is a fixed one, with an id that the log has as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import ValidationError

from tasker.model import errors
from tasker.store.errors import CONNECTION_ERRORS, EXHAUSTED_ERRORS, DatabaseError


@dataclass(frozen=True, slots=True)
class Fault:
    """The HTTP status and the code of a family of errors. `says`, where set, stands for the error's own message."""

    status: int
    code: str
    says: str | None = None
    retry_after_s: float | None = None


_AWAY = Fault(503, "SERVICE_UNAVAILABLE", "the database does not answer; nothing is lost: try again", 5)
_EXHAUSTED = Fault(503, "SERVICE_UNAVAILABLE", "the database can take nothing now; nothing was done: try again", 5)
_REFUSED = Fault(500, "DATABASE_ERROR", "the database refused; the server's log says why")
UNKNOWN = Fault(500, "INTERNAL_ERROR", "something went wrong inside; the server's log says what")


@cache
def faults() -> dict[type[BaseException], Fault]:
    """The fault of each family of errors."""
    return {
        ValidationError: Fault(400, "BAD_REQUEST"),
        errors.MalformedRequest: Fault(400, "JSON_ERROR"),
        errors.InvalidInput: Fault(400, "BAD_REQUEST"),
        errors.TemplateError: Fault(400, "BAD_REQUEST"),
        errors.SettingsError: Fault(400, "BAD_REQUEST"),
        errors.ActionForbidden: Fault(400, "BAD_REQUEST"),
        errors.Unauthenticated: Fault(401, "AUTHENTICATION_FAILED"),
        errors.Forbidden: Fault(403, "AUTHORIZATION_FAILED"),
        errors.NotFound: Fault(404, "NOT_FOUND"),
        errors.TaskNotFound: Fault(404, "NOT_FOUND"),
        errors.StepNotFound: Fault(404, "NOT_FOUND"),
        errors.TemplateNotFound: Fault(404, "NOT_FOUND"),
        errors.ApiKeyNotFound: Fault(404, "NOT_FOUND"),
        errors.BreakerNotFound: Fault(404, "NOT_FOUND"),
        errors.RequestTimeout: Fault(408, "TIMEOUT"),
        errors.IdentityConflict: Fault(409, "CONFLICT"),
        errors.KeyInFlight: Fault(409, "CONFLICT", retry_after_s=1),
        errors.TemplateConflict: Fault(409, "CONFLICT"),
        errors.TurnSuperseded: Fault(409, "TURN_SUPERSEDED"),
        errors.PayloadTooLarge: Fault(413, "PAYLOAD_TOO_LARGE"),
        errors.RequestTooLarge: Fault(413, "PAYLOAD_TOO_LARGE"),
        errors.QuotaExceeded: Fault(429, "RATE_LIMITED"),
        errors.Backpressure: Fault(503, "BACKPRESSURE"),
        errors.KeysUnavailable: Fault(
            503, "SERVICE_UNAVAILABLE", "who calls cannot be told at the moment: try again", 5
        ),
        errors.NotStarted: Fault(503, "SERVICE_UNAVAILABLE", "Tasker is not started, or it is stopping", 5),
        errors.DatabaseUnavailable: _AWAY,
        errors.SchemaOutdated: Fault(503, "SERVICE_UNAVAILABLE", "the database is not at this server's version", 30),
        **dict.fromkeys(EXHAUSTED_ERRORS, _EXHAUSTED),
        **dict.fromkeys(CONNECTION_ERRORS, _AWAY),
        DatabaseError: _REFUSED,
    }


def fault_of(error: BaseException) -> Fault:
    """The fault of the nearest class in the error's family; UNKNOWN for an error that nobody foresaw."""
    return next((faults()[kind] for kind in type(error).__mro__ if kind in faults()), UNKNOWN)


_OWN_WORDS = {
    "extra_forbidden": "there is no such field or parameter here; the API's description names those that there are",
    "missing": "is required",
}
"""What our callers are told in place of the words of the library."""


def told(error: BaseException) -> dict[str, Any]:
    """What a caller is told about an error: `code`, `message`, and what the error knows beside them."""
    fault = fault_of(error)
    body: dict[str, Any] = {"code": fault.code, "message": fault.says or message_of(error)}
    if isinstance(error, errors.TaskerError):
        body["kind"] = error.code
    retry_after_s = retry_after(error)
    if retry_after_s is not None:
        body["retry_after_seconds"] = retry_after_s
    if isinstance(error, errors.IdentityConflict) and error.task_uuid is not None:
        body["task_uuid"] = str(error.task_uuid)
    if isinstance(error, errors.InvalidInput) and error.violations:
        body["violations"] = list(error.violations)
    if isinstance(error, errors.TemplateError) and error.problems:
        body["violations"] = [str(problem) for problem in error.problems]
    if isinstance(error, ValidationError):
        body["violations"] = _violations(error)
    return body


def retry_after(error: BaseException) -> int | None:
    """After how many seconds the same may work; None where nobody can say."""
    said_s = error.retry_after_s if isinstance(error, errors.TaskerError) else None
    wait_s = fault_of(error).retry_after_s if said_s is None else said_s
    return None if wait_s is None else max(1, int(-(-wait_s // 1)))


def message_of(error: BaseException) -> str:
    """The error's message; of a validation the first thing that is wrong."""
    if not isinstance(error, ValidationError):
        return str(error)
    found = _violations(error)
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{found[0]}{more}"


def _violations(error: ValidationError) -> list[str]:
    """One line each: the path of the field, and what is wrong there; never the value, which may be a secret."""
    return [
        f"{'.'.join(map(str, one['loc'])) or 'request'}: {_OWN_WORDS.get(one['type'], one['msg'])}"
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]
