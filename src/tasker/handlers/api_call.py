"""One HTTP call of a step: what is sent, where it may go, and what the answer means.

`Call` knows all of that and does no input or output, so that the two clients, for event loops and for threads, differ
only in how they wait.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypedDict
from urllib.parse import unquote

import httpx2
import orjson

from tasker.handlers.api_errors import status_error, transport_error
from tasker.handlers.api_response import ApiResponse
from tasker.handlers.context import StepContext
from tasker.handlers.egress import EXTENSION, TRUSTED, EgressPolicy, shown_url
from tasker.handlers.results import plain_json
from tasker.model.errors import PermanentError, StepError

READING = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that change nothing, and therefore carry no idempotency key."""
REDIRECTS_MAX = 5
SEE_OTHER = 303
ERROR_BODY_MAX_BYTES = 65_536
_FOLLOW_TO_OTHERS = frozenset({"accept", "accept-encoding", "user-agent", "content-type", "content-length", "host"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRules:
    """What a handler says about all of its calls: see `ApiHandler` for each."""

    base_url: httpx2.URL | None
    timeout_s: float
    headers: tuple[tuple[str, str], ...]
    accepted_statuses: frozenset[int]
    retried_statuses: frozenset[int]
    egress: EgressPolicy
    follows_redirects: bool
    response_bytes_max: int


class CallOptions(TypedDict, total=False):
    """What one call may say.

    `json` (anything that JSON has), `data` (a form), `content` (bytes or text) or `files` is the body; `timeout_s`
    replaces the handler's. `part` names one of several writes of a step: it follows the idempotency key after a slash.
    `check=False` returns the response whatever its status. A header given here replaces the one Tasker would send.
    """

    params: Mapping[str, Any]
    json: Any
    data: Mapping[str, Any]
    content: bytes | str
    files: Any
    headers: Mapping[str, str]
    part: str
    timeout_s: float
    check: bool


class Call:
    """One call, from its first request over redirects to the response."""

    def __init__(
        self, rules: ApiRules, context: StepContext, method: str, url: str, options: CallOptions, key: str | None
    ) -> None:
        self._rules = rules
        self._options = options
        self._method = method
        self._url, self._is_trusted = _joined(rules.base_url, url)
        self._headers = self._first_headers(context, key)
        self._redirects = 0
        self._chunks: list[bytes] = []
        self._size = 0
        left_s = context.seconds_left
        timeout_s = options.get("timeout_s", rules.timeout_s)
        self.timeout_s = timeout_s if left_s is None else max(0.001, min(timeout_s, left_s))

    def _first_headers(self, context: StepContext, key: str | None) -> httpx2.Headers:
        base = self._rules.base_url
        # The handler's headers hold its credentials, which are for its own host only.
        is_own = base is None or self._url.origin == base.origin
        headers = httpx2.Headers(self._rules.headers if is_own else ())
        headers.update(trace_headers(context))
        try:
            if key is not None:
                headers["Idempotency-Key"] = key
            headers.update(self._options.get("headers", {}))
        except (TypeError, UnicodeError) as error:
            raise PermanentError(
                f"{self._method} {shown_url(self._url)} cannot be sent: "
                f"headers are text in ASCII, and one is not: {error}",
                error_code="INVALID_REQUEST",
            ) from None
        return headers

    def first_request(self, client: httpx2.Client | httpx2.AsyncClient) -> httpx2.Request:
        """The request to begin with."""
        body: dict[str, Any] = {
            name: value for name, value in self._options.items() if name in ("params", "data", "content", "files")
        }
        if "json" in self._options:
            # A number that JSON does not have is refused here, before anything is sent.
            body["content"] = _json_body(self._options["json"])
            self._headers.setdefault("Content-Type", "application/json")
        return client.build_request(
            self._method,
            self._url,
            headers=self._headers,
            timeout=self.timeout_s,
            extensions={EXTENSION: self._egress},
            **body,
        )

    @property
    def _egress(self) -> EgressPolicy:
        return TRUSTED if self._is_trusted else self._rules.egress

    def redirected(self, response: httpx2.Response) -> httpx2.Request | None:
        """The request that follows a redirect; None where the response is the one to keep."""
        following = response.next_request
        if following is None or not self._rules.follows_redirects or self._redirects == REDIRECTS_MAX:
            return None
        if following.method != response.request.method and response.status_code != SEE_OTHER:
            return None  # a write that becomes a read would look as if it had been done
        self._redirects += 1
        here, there = response.request.url, following.url
        if here.scheme == "https" and there.scheme != "https":
            raise PermanentError(
                f"{shown_url(here)} redirects to {shown_url(there)}, which is not encrypted: not followed",
                error_code="REDIRECT_REFUSED",
            )
        if there.origin != here.origin:
            self._is_trusted = False
            for name in [name for name in following.headers if name.lower() not in _FOLLOW_TO_OTHERS]:
                del following.headers[name]
        following.extensions = {**following.extensions, EXTENSION: self._egress}
        return following

    def take(self, response: httpx2.Response, chunk: bytes) -> bool:
        """Takes a part of the body; False when no more is wanted. PermanentError where it is too large."""
        limit = self._rules.response_bytes_max
        self._size += len(chunk)
        if not self._is_kept(response):
            self._chunks.append(chunk)
            return self._size < ERROR_BODY_MAX_BYTES
        if self._size > limit:
            raise PermanentError(
                f"{self._method} {shown_url(self._url)} answered with more than {limit} bytes, the handler's limit: "
                "ask for less, page by page, or raise response_bytes_max",
                error_code="RESPONSE_TOO_LARGE",
            )
        self._chunks.append(chunk)
        return True

    def finish(self, response: httpx2.Response) -> ApiResponse:
        """The response with the body taken so far; the error that its status means where it is not accepted."""
        encoding = response.encoding or "utf-8"
        url = response.request.url
        whole = ApiResponse(response.status_code, response.headers, b"".join(self._chunks), url, encoding)
        if self._is_kept(response):
            return whole
        raise status_error(
            whole.status,
            whole.headers,
            whole.text,
            method=self._method,
            url=url,
            retried_statuses=self._rules.retried_statuses,
        )

    def _is_kept(self, response: httpx2.Response) -> bool:
        is_accepted = response.is_success or response.status_code in self._rules.accepted_statuses
        return is_accepted or not self._options.get("check", True)

    @contextmanager
    def classified(self) -> Generator[None]:
        """Turns what breaks on the way into the step's errors."""
        try:
            yield
        except (httpx2.HTTPError, TimeoutError) as error:
            raise transport_error(error, method=self._method, url=self._url, timeout_s=self.timeout_s) from None


def trace_headers(context: StepContext) -> dict[str, str]:
    """The headers by which the receiver's logs and traces are found again from the task's, and the other way round.

    The trace is the correlation id's, so that all steps of a task are in one; the span is this attempt's.
    """
    if context.correlation_id is None:
        return {}
    span = hashlib.sha256(f"{context.step_uuid}:{context.attempt}".encode()).hexdigest()[:16]
    return {
        "X-Correlation-ID": str(context.correlation_id),
        "traceparent": f"00-{context.correlation_id.hex}-{span}-01",
    }


def _joined(base: httpx2.URL | None, text: str) -> tuple[httpx2.URL, bool]:
    """The URL to call, and whether it is the handler's own: a path below its base URL, and not a URL of its own."""
    try:
        url = httpx2.URL(text)
        if url.is_absolute_url:
            return url, False
        if not url.scheme and not url.netloc and base is not None and not _climbs(text):
            path = base.raw_path.rstrip(b"/") + b"/" + url.raw_path.lstrip(b"/")
            return base.copy_with(raw_path=path if text else base.raw_path), True
    except httpx2.InvalidURL as error:
        raise PermanentError(f"the step cannot call a URL that is none: {error}", error_code="INVALID_URL") from None
    wanted = "a path without `..`" if base is not None else "the handler needs a base_url for a path"
    raise PermanentError(
        f"the step cannot call {shown_url(url)}: give an absolute http or https URL, or {wanted}",
        error_code="INVALID_URL",
    )


def _climbs(text: str) -> bool:
    """True for a path that leads up, however it is written: out of the base URL, or to what data chose."""
    path = unquote(text.partition("?")[0].partition("#")[0]).replace("\\", "/")
    return ".." in path.split("/")


def _json_body(value: Any) -> bytes:
    try:
        return orjson.dumps(plain_json(value))
    except StepError as error:
        problem = error.message.partition(": ")[2]
        raise PermanentError(f"the request cannot be sent as JSON: {problem}", error_code="INVALID_REQUEST") from None
