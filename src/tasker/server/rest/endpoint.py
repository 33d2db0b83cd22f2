"""From a request to an operation, and from its answer or error to a response. The same for every route."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

import orjson
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from tasker.model.errors import RequestTimeout, Unauthenticated
from tasker.operations import ANYBODY, Engine, Principal, call, fault_of, told
from tasker.operations.faults import retry_after
from tasker.operations.registry import Given
from tasker.server.auth import Authenticator
from tasker.server.rest.body import check_text, read_json
from tasker.server.rest.routes import Route
from tasker.worker.log import log

Handler = Callable[[Request], Awaitable[Response]]


class Door:
    """The engine behind a REST application, and who tells callers apart; None lets everybody in."""

    def __init__(self, engine: Engine, authenticator: Authenticator | None) -> None:
        self.engine = engine
        self.authenticator = authenticator

    async def caller(self, request: Request) -> Principal:
        """Who calls. Raises Unauthenticated."""
        if self.authenticator is None:
            return ANYBODY
        principal = await self.authenticator.authenticate(request.headers)
        if principal is None:
            raise Unauthenticated("no credentials came with the request", "missing")
        return principal

    def endpoint(self, route: Route) -> Handler:
        """The endpoint of a route whose operation answers once."""
        write = TypeAdapter[Any](route.operation.answer).dump_json

        async def endpoint(request: Request) -> Response:
            principal = await self.caller(request)
            async with asyncio.timeout(self.engine.settings.request_timeout_s) as limit:
                given = await read_given(request, route, self.engine)
                wait_s = getattr(given, "wait", None)
                if wait_s:
                    now, wait_s_max = asyncio.get_running_loop().time(), self.engine.settings.wait_s_max
                    limit.reschedule(now + min(wait_s, wait_s_max) + self.engine.settings.request_timeout_s)
                answer = await call(self.engine, route.operation, principal, given)
            return Response(write(answer), route.status, media_type="application/json")

        return endpoint


async def read_given(request: Request, route: Route, engine: Engine) -> Given:
    """The operation's input: from the path, and from the body or the query. Raises ValidationError and more."""
    for text in (
        *request.path_params.values(),
        *(part for pair in request.query_params.multi_items() for part in pair),
    ):
        check_text(text, engine.settings.json_string_bytes_max)
    if route.has_body:
        body = await read_json(request, engine.settings)
        said = {**({route.body_field: body} if route.body_field else body), **request.path_params}
        return route.operation.given.model_validate_json(orjson.dumps(said), strict=True)
    return route.operation.given.model_validate({**_query(request), **request.path_params})


def _query(request: Request) -> dict[str, Any]:
    """The query; what is said several times as a list."""
    query = request.query_params
    return {name: values if len(values := query.getlist(name)) > 1 else values[0] for name in query}


def guarded(endpoint: Handler) -> Handler:
    """An endpoint whose errors are answered in the one form that all errors have."""

    async def guarded_endpoint(request: Request) -> Response:
        try:
            return await endpoint(request)
        except TimeoutError:
            return refusal(RequestTimeout("the request took too long; what it asked for may happen yet"), request)
        except Exception as error:  # the edge: every error becomes an answer, and what is ours to mend is logged
            return refusal(error, request)

    return guarded_endpoint


def refusal(error: Exception, request: Request) -> Response:
    """The answer to a request that failed."""
    fault, body = fault_of(error), told(error)
    if isinstance(error, ValidationError) and _names_no_uuid(error):
        body["code"] = "INVALID_UUID"
    if fault.status >= 500:
        body["error_id"] = str(uuid4())
        known = fault.status == 503
        say = log.warning if known else log.error
        say(
            "a request failed", error_id=body["error_id"], error=type(error).__name__, exc_info=None if known else error
        )
    headers = {"retry-after": str(body["retry_after_seconds"])} if retry_after(error) is not None else {}
    headers.update(_auth_headers(error))
    return Response(orjson.dumps({"error": body}), fault.status, headers, "application/json")


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
