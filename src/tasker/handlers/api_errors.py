"""From how a call ended to the error that its step fails with, and whether another try can help.

A status retries where the same request may be answered otherwise in a while: 408, 423, 425, 429, and every 5xx but 501
and 505. All other statuses that the handler does not accept are permanent. What broke on the way is retried.

A 5xx that retries, a time-out and a connection that failed are failures of the system itself: its breaker counts them.
Who answers 429 is up, and says how long this step is to wait.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from tasker.handlers.egress import shown_url
from tasker.handlers.failures import ERROR_CODE_MAX_BYTES, clean_text
from tasker.model.errors import (
    AuthenticationError,
    AuthorizationError,
    NetworkError,
    NotFoundError,
    PermanentError,
    RateLimitError,
    RetryableError,
    ServiceUnavailableError,
    StepError,
    StepTimeoutError,
)

EXCERPT_MAX_BYTES = 2048
RETRIED = frozenset({408, 423, 425, 429})
NEVER_RETRIED = frozenset({501, 505})
REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-amzn-requestid", "x-correlation-id", "cf-ray")
_KINDS: dict[int, type[StepError]] = {
    401: AuthenticationError,
    403: AuthorizationError,
    404: NotFoundError,
    408: StepTimeoutError,
    410: NotFoundError,
    429: RateLimitError,
    502: ServiceUnavailableError,
    503: ServiceUnavailableError,
    504: StepTimeoutError,
}


def is_retried(status: int) -> bool:
    """True for a status after which the same request may be answered otherwise in a while."""
    return status in RETRIED or (500 <= status < 600 and status not in NEVER_RETRIED)


def status_error(
    status: int,
    headers: Mapping[str, str],
    excerpt: str,
    *,
    method: str,
    url: httpx2.URL,
    retried_statuses: frozenset[int] = frozenset(),
) -> StepError:
    """The error for a response that the handler does not accept; its code is `HTTP_<status>`.

    `headers` must be found whatever their case, as httpx2's are. The error's `retry_after` is the server's wish in
    seconds, for statuses that retry.
    """
    retries = is_retried(status) or status in retried_statuses
    kind = _KINDS.get(status, RetryableError if retries else PermanentError)
    metadata = _request_metadata(method, url) | {"status": status, "response": clean_excerpt(excerpt)}
    metadata |= {name: clean_text(headers[name], 200) for name in REQUEST_ID_HEADERS if name in headers}
    wish, retry_after = headers.get("retry-after"), None
    if wish is not None and retries:
        retry_after = retry_after_s(wish, headers.get("date"))
        if retry_after is None:
            metadata["retry_after_ignored"] = clean_text(wish, ERROR_CODE_MAX_BYTES)
    advice = ""
    if 300 <= status < 400:
        metadata["location"] = clean_text(headers.get("location", ""), 500)
        advice = "; redirects are followed if the handler says follows_redirects, a few at most, no write by 301 or 302"
    return kind(
        f"{method} {shown_url(url)} answered {status}{advice}",
        retryable=retries,
        error_code=f"HTTP_{status}",
        retry_after=retry_after,
        metadata=metadata,
        is_dependency_failure=status >= 500 and retries,
    )


def transport_error(
    error: httpx2.HTTPError | TimeoutError, *, method: str, url: httpx2.URL, timeout_s: float
) -> StepError:
    """The error for a call that got no whole response. Its words come without the URL's query."""
    target, metadata = f"{method} {shown_url(url)}", _request_metadata(method, url)
    metadata["exception"] = type(error).__name__
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return StepTimeoutError(
            f"{target} had no whole answer within {timeout_s:g} s",
            error_code="HTTP_TIMEOUT",
            metadata=metadata,
            is_dependency_failure=True,
        )
    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
        return PermanentError(f"{target} cannot be sent: {error}", error_code="INVALID_REQUEST", metadata=metadata)
    return NetworkError(f"{target} failed: {error}", error_code="HTTP_CONNECTION", metadata=metadata)


def retry_after_s(wish: str, date: str | None = None) -> float | None:
    """Seconds that a Retry-After header asks for (a number, or a date); None where it says neither or nothing to come.

    A date is held against the server's own `date` header, so that its clock may be wrong, else against our clock.
    Zero or a time gone by is no wish: the step's own backoff is kinder to the server.
    """
    text = wish.strip()
    try:
        seconds = float(text) if text.replace(".", "", 1).isascii() and text.replace(".", "", 1).isdigit() else None
        if seconds is None:
            now = _now_of(date)
            seconds = _timestamp(text) - now
    except (ValueError, TypeError, OverflowError):
        return None
    return math.ceil(seconds) if 0 < seconds < math.inf else None


def _now_of(date: str | None) -> float:
    try:
        return time.time() if date is None else _timestamp(date)
    except (ValueError, TypeError, OverflowError):
        return time.time()


def _timestamp(text: str) -> float:
    found = parsedate_to_datetime(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def clean_excerpt(text: str) -> str:
    """The beginning and end of a response for the record: printable, 2 kB at most."""
    printable = "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text)
    return clean_text(printable, EXCERPT_MAX_BYTES)


def _request_metadata(method: str, url: httpx2.URL) -> dict[str, Any]:
    return {"method": method, "url": shown_url(url)}
