"""HTTP for handlers, with the client that the application has installed.

Errors of the client come through as they are. There is no guard against addresses that come from data: the engine's own
`tasker.handlers.api` has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, cast

from tasker_core.exceptions import NotAvailableError
from tasker_core.step_handler.base import StepHandler
from tasker_core.types import StepHandlerResult

RETRIED = frozenset({408, 429, 500, 502, 503, 504})
RETRY_AFTER_DEFAULT_S = 60
_KINDS = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    409: "conflict",
    410: "gone",
    422: "unprocessable_entity",
    429: "rate_limited",
    500: "internal_server_error",
    502: "bad_gateway",
    503: "service_unavailable",
    504: "gateway_timeout",
}
_DETAILS = ("error", "message", "detail", "error_message", "msg")


class ApiResponse:
    """A response, its body parsed where it is JSON."""

    def __init__(self, response: Any, body: Any = None) -> None:
        self.raw_response = response
        self.status_code: int = response.status_code
        self.headers: dict[str, str] = dict(response.headers)
        self.body: Any = _body(response) if body is None else body

    @property
    def ok(self) -> bool:
        """2xx."""
        return 200 <= self.status_code < 300

    @property
    def is_client_error(self) -> bool:
        """4xx."""
        return 400 <= self.status_code < 500

    @property
    def is_server_error(self) -> bool:
        """5xx."""
        return 500 <= self.status_code < 600

    @property
    def is_retryable(self) -> bool:
        """A status that passes: 408, 429, 500, 502, 503, 504."""
        return self.status_code in RETRIED

    @property
    def retry_after(self) -> int | None:
        """The server's wish in seconds: 60 where it is no number, None where there is none."""
        wish = next((value for name, value in self.headers.items() if name.lower() == "retry-after"), None)
        if wish is None:
            return None
        return int(wish) if wish.strip().isdigit() else RETRY_AFTER_DEFAULT_S

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {"status_code": self.status_code, "headers": self.headers, "body": self.body}


class APIMixin:
    """`self.get("/things")` and its kin, on one client for the instance."""

    base_url: ClassVar[str] = ""
    default_timeout: ClassVar[float] = 30.0
    default_headers: ClassVar[Mapping[str, str]] = {}
    _client: Any = None

    @property
    def client(self) -> Any:
        """The client, made when it is first used. Raises NotAvailableError where none is installed."""
        if self._client is None:
            library = _library()
            self._client = library.Client(
                base_url=self.base_url, timeout=self.default_timeout, headers=dict(self.default_headers)
            )
        return self._client

    def close(self) -> None:
        """Closes the client; another is made when it is needed."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def __del__(self) -> None:
        self.close()

    @property
    def api_capabilities(self) -> list[str]:
        """What it can do."""
        return ["http", "api"]

    def get(self, path: str, params: Any = None, headers: Any = None, **kwargs: Any) -> ApiResponse:
        """GET."""
        return self.request("GET", path, params=params, headers=headers, **kwargs)

    def post(self, path: str, json: Any = None, data: Any = None, headers: Any = None, **kwargs: Any) -> ApiResponse:
        """POST."""
        return self.request("POST", path, json=json, data=data, headers=headers, **kwargs)

    def put(self, path: str, json: Any = None, data: Any = None, headers: Any = None, **kwargs: Any) -> ApiResponse:
        """PUT."""
        return self.request("PUT", path, json=json, data=data, headers=headers, **kwargs)

    def patch(self, path: str, json: Any = None, data: Any = None, headers: Any = None, **kwargs: Any) -> ApiResponse:
        """PATCH."""
        return self.request("PATCH", path, json=json, data=data, headers=headers, **kwargs)

    def delete(self, path: str, headers: Any = None, **kwargs: Any) -> ApiResponse:
        """DELETE."""
        return self.request("DELETE", path, headers=headers, **kwargs)

    def request(self, method: str, path: str, **kwargs: Any) -> ApiResponse:
        """Any method."""
        return ApiResponse(self.client.request(method, path, **kwargs))

    def api_success(
        self, response: ApiResponse, result: dict[str, Any] | None = None, include_response: bool = True
    ) -> StepHandlerResult:
        """The step is done: with this result, else with the body."""
        body: dict[str, Any] = _mapping(response.body) or {"data": response.body}
        said = {"status_code": response.status_code, "headers": response.headers} if include_response else {}
        return StepHandlerResult.success(body if result is None else result, said)

    def api_failure(self, response: ApiResponse, message: str | None = None) -> StepHandlerResult:
        """The step failed for this response, whose status says whether it is tried again, and Retry-After when."""
        said: dict[str, Any] = {"status_code": response.status_code, "headers": response.headers}
        if response.retry_after is not None:
            said["retry_after_seconds"] = response.retry_after
        said["response_body"] = response.body
        text = message or self._format_error_message(response)
        return StepHandlerResult.failure(text, self._classify_error(response), response.is_retryable, said)

    def connection_error(self, error: Exception, context: str | None = None) -> StepHandlerResult:
        """The server was not reached."""
        return _no_answer("connection_error", "Connection error", error, context)

    def timeout_error(self, error: Exception, context: str | None = None) -> StepHandlerResult:
        """The server did not answer in time."""
        return _no_answer("timeout", "Request timeout", error, context)

    def _classify_error(self, response: ApiResponse) -> str:
        if response.status_code in _KINDS:
            return _KINDS[response.status_code]
        if response.is_client_error:
            return "client_error"
        return "server_error" if response.is_server_error else "http_error"

    def _format_error_message(self, response: ApiResponse) -> str:
        body = _mapping(response.body) or {}
        detail: Any = next((body[key] for key in _DETAILS if body.get(key)), None)
        detail = (_mapping(detail) or {"message": detail}).get("message")
        reason = getattr(response.raw_response, "reason_phrase", "")
        return f"HTTP {response.status_code}: {detail or reason}"


class ApiHandler(APIMixin, StepHandler):
    """A handler that calls an HTTP API."""

    @property
    def capabilities(self) -> list[str]:
        """What it can do."""
        return ["process", "http", "api"]


def _no_answer(kind: str, what: str, error: Exception, context: str | None) -> StepHandlerResult:
    place = f" ({context})" if context else ""
    return StepHandlerResult.failure(f"{what}{place}: {error}", kind, True, {"exception_type": type(error).__name__})


def _mapping(value: Any) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _body(response: Any) -> Any:
    kind = next((value for name, value in response.headers.items() if name.lower() == "content-type"), "")
    if "application/json" in kind:
        try:
            return response.json()
        except ValueError:
            return response.text
    return response.text


@cache
def _library() -> Any:
    """The HTTP library: httpx where the application has it, because its handlers catch its errors, else its fork."""
    for name in ("httpx", "httpx2"):
        try:
            return import_module(name)
        except ImportError:
            continue
    raise NotAvailableError("HTTP handlers need httpx or httpx2: install one of them")
