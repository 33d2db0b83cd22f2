"""From errors to answers, in the one form that all errors have."""

from __future__ import annotations

from collections.abc import Mapping
from traceback import walk_tb
from uuid import uuid4

import orjson
from pydantic import ValidationError
from starlette.responses import Response

from tasker.model.errors import Unauthenticated
from tasker.operations import fault_of, told
from tasker.operations.faults import retry_after
from tasker.worker.log import log

PLACES_MAX = 12


def refusal(error: Exception) -> Response:
    """The answer to a request that failed."""
    fault, body = fault_of(error), told(error)
    if isinstance(error, ValidationError) and _names_no_uuid(error):
        body["code"] = "INVALID_UUID"
    if fault.status >= 500:
        body["error_id"] = str(uuid4())
        known = fault.status == 503
        say = log.warning if known else log.error
        about = {} if known else {"sqlstate": getattr(error, "sqlstate", None), "places": places(error)}
        say("a request failed", error_id=body["error_id"], error=type(error).__name__, **about)
    headers = {"retry-after": str(body["retry_after_seconds"])} if retry_after(error) is not None else {}
    headers.update(_auth_headers(error))
    return Response(orjson.dumps({"error": body}), fault.status, headers, "application/json")


def places(error: BaseException) -> list[str]:
    """Where an error came from, the innermost last, as module, function and line.

    The log has that in place of a traceback and of the error's own words, which quote rows, arguments and addresses.
    """
    frames = [
        (frame.f_globals.get("__name__", "?"), frame.f_code.co_name, line)
        for frame, line in walk_tb(error.__traceback__)
    ]
    return [f"{module}:{function}:{line}" for module, function, line in frames[-PLACES_MAX:]]


def refused(code: str, message: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """A refusal for which there is no error."""
    body = orjson.dumps({"error": {"code": code, "message": message}})
    return Response(body, status, dict(headers or {}), "application/json")


def _names_no_uuid(error: ValidationError) -> bool:
    return any(one["type"] == "uuid_parsing" and one["loc"][-1:] != () for one in error.errors(include_input=False))


def _auth_headers(error: Exception) -> Mapping[str, str]:
    """What tasker-core's clients look for."""
    if isinstance(error, Unauthenticated):
        severity = "low" if error.reason in ("missing", "expired") else "medium"
        return {
            "www-authenticate": "Bearer",
            "x-auth-failure-reason": error.reason,
            "x-auth-failure-severity": severity,
        }
    if fault_of(error).status == 403:
        return {"x-auth-failure-reason": "forbidden", "x-auth-failure-severity": "medium"}
    return {}
