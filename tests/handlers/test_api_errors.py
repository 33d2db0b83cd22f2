"""What a status, a Retry-After and a broken connection mean for the step."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from email.utils import formatdate
from typing import Any

import httpx2
import orjson
import pytest
from api_server import Answer, Server, serving
from hypothesis import given
from hypothesis import strategies as st
from support.contexts import build_context

from tasker import ApiHandler
from tasker.handlers.api_errors import clean_excerpt, retry_after_s, status_error
from tasker.handlers.failures import METADATA_MAX_BYTES, outcome_of_error
from tasker.model import errors

URL = httpx2.URL("https://ada:secret@api.example:8443/v1/charges?token=secret#secret")
RETRIED = [408, 423, 425, 429, 500, 502, 503, 504, 507, 520, 599]
PERMANENT = [300, 302, 304, 400, 401, 402, 403, 404, 405, 406, 409, 410, 412, 422, 451, 499, 501, 505]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


def call(base_url: str, **options: Any) -> Any:
    """GET /x of the server."""
    handler = type("Fetch", (ApiHandler,), {"base_url": base_url, **options})()
    return asyncio.run(handler.async_api(build_context()).get("/x"))


@pytest.mark.parametrize("status", RETRIED)
def test_a_passing_status_is_tried_again(server: Server, status: int) -> None:
    """The step is retried, and its error carries the status."""
    server.says(Answer(status, "busy"))
    with pytest.raises(errors.RetryableError) as caught:
        call(server.url)
    assert caught.value.retryable
    assert caught.value.error_code == f"HTTP_{status}"
    assert caught.value.metadata["status"] == status


@pytest.mark.parametrize("status", PERMANENT)
def test_a_lasting_status_is_not(server: Server, status: int) -> None:
    """The step ends in error at once."""
    server.says(Answer(status))
    with pytest.raises(errors.PermanentError) as caught:
        call(server.url)
    assert not caught.value.retryable
    assert caught.value.error_code == f"HTTP_{status}"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 226])
def test_2xx_is_a_success(server: Server, status: int) -> None:
    """The response is returned."""
    server.says(Answer(status))
    assert call(server.url).status == status


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.AuthenticationError),
        (403, errors.AuthorizationError),
        (404, errors.NotFoundError),
        (408, errors.StepTimeoutError),
        (429, errors.RateLimitError),
        (503, errors.ServiceUnavailableError),
        (504, errors.StepTimeoutError),
    ],
)
def test_a_status_has_its_error(status: int, kind: type[errors.StepError]) -> None:
    """Statuses that say why have the error class that says the same."""
    assert type(status_error(status, httpx2.Headers(), "", method="GET", url=URL)) is kind


def test_a_handler_may_retry_further_statuses(server: Server) -> None:
    """`retried_statuses` makes a lasting status a passing one, with the server's wish."""
    server.says(Answer(409, headers={"Retry-After": "4"}))
    with pytest.raises(errors.RetryableError) as caught:
        call(server.url, retried_statuses=[409])
    assert (caught.value.retryable, caught.value.retry_after) == (True, 4)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_servers_wish_becomes_the_outcomes(server: Server, status: int) -> None:
    """Retry-After of a passing status is the outcome's `retry_after_s`."""
    server.says(Answer(status, headers={"Retry-After": "7"}))
    with pytest.raises(errors.RetryableError) as caught:
        call(server.url)
    outcome = outcome_of_error(caught.value)
    assert (outcome.kind, outcome.retry_after_s) == ("retryable", 7)


def test_a_wish_that_is_none_is_shown_and_ignored(server: Server) -> None:
    """What is neither a number nor a date leaves the wait to the step's policy, and the record shows it."""
    server.says(Answer(429, headers={"Retry-After": "soon"}))
    with pytest.raises(errors.RateLimitError) as caught:
        call(server.url)
    assert caught.value.retry_after is None
    assert caught.value.metadata["retry_after_ignored"] == "soon"


@pytest.mark.parametrize(
    ("wish", "seconds"),
    [
        ("7", 7),
        (" 120 ", 120),
        ("1.2", 2),
        ("0", None),
        ("0.0", None),
        ("-5", None),
        ("", None),
        ("1e3", None),
        ("inf", None),
        ("nan", None),
        ("\N{ARABIC-INDIC DIGIT SEVEN}", None),
        ("Wed, 21 Oct 2026 07:28:07 GMT", 7),
        ("Wednesday, 21-Oct-26 07:28:07 GMT", 7),
        ("Wed Oct 21 07:28:07 2026", 7),
        ("Wed, 21 Oct 2026 07:27:00 GMT", None),
        ("Wed, 99 Oct 2026 07:28:07 GMT", None),
        ("9" * 400, None),
    ],
)
def test_retry_after_is_a_number_or_a_date(wish: str, seconds: float | None) -> None:
    """Numbers are seconds, rounded up; the three forms of dates count from the server's own; the rest is no wish."""
    assert retry_after_s(wish, "Wed, 21 Oct 2026 07:28:00 GMT") == seconds


@pytest.mark.parametrize("date", [None, "yesterday"])
def test_without_a_servers_date_ours_counts(date: str | None) -> None:
    """Where the server does not say what time it has, a date is held against this clock."""
    wait_s = retry_after_s(formatdate(time.time() + 60, usegmt=True), date)
    assert wait_s is not None and 55 <= wait_s <= 60


@given(st.text(), st.none() | st.text())
def test_no_header_breaks_the_reading(wish: str, date: str | None) -> None:
    """Whatever a server sends, the answer is None or a positive number."""
    seconds = retry_after_s(wish, date)
    assert seconds is None or seconds > 0


def test_the_record_has_no_secrets_of_the_url(server: Server) -> None:
    """Message and metadata name method, host and path, without credentials, query and fragment."""
    error = status_error(500, httpx2.Headers({"X-Request-ID": "r1"}), "oops", method="POST", url=URL)
    record = outcome_of_error(error).payload or ""
    assert "POST https://api.example:8443/v1/charges answered 500" in record
    assert "secret" not in record
    assert (error.metadata["response"], error.metadata["x-request-id"]) == ("oops", "r1")


@given(st.text(max_size=5000))
def test_every_excerpt_fits_the_record(text: str) -> None:
    """Whatever a server answers, the record keeps an excerpt of it."""
    error = status_error(500, httpx2.Headers(), text * 3, method="GET", url=URL)
    assert len(orjson.dumps(error.metadata)) < METADATA_MAX_BYTES
    record = orjson.loads(outcome_of_error(error).payload or "")
    assert record["metadata"]["response"] == clean_excerpt(text * 3)


def test_a_redirect_that_is_not_followed_says_so(server: Server) -> None:
    """The error names where it would have gone, and how to follow."""
    server.says(Answer(302, headers={"Location": "/elsewhere"}))
    with pytest.raises(errors.PermanentError, match="follows_redirects") as caught:
        call(server.url)
    assert caught.value.metadata["location"] == "/elsewhere"
    assert len(server.asked) == 1


def test_nobody_there_is_tried_again() -> None:
    """A refused connection is a NetworkError."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(errors.NetworkError) as caught:
        call(f"http://127.0.0.1:{port}")
    assert (caught.value.error_code, caught.value.is_dependency_failure) == ("HTTP_CONNECTION", True)


@pytest.mark.parametrize("status", [*RETRIED, *PERMANENT])
def test_only_a_server_that_fails_is_down(server: Server, status: int) -> None:
    """A 5xx that may be over in a while is the system's own failure; whoever answers anything else, 429 too, is up."""
    server.says(Answer(status, headers={"Retry-After": "7"}))
    with pytest.raises(errors.StepError) as caught:
        call(server.url)
    assert caught.value.is_dependency_failure == (status >= 500 and status in RETRIED)


def test_a_name_that_is_unknown_is_tried_again() -> None:
    """Name servers fail in passing."""
    with pytest.raises(errors.NetworkError):
        call("http://nowhere.invalid")


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-hello\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"], ids=repr
)
def test_half_an_answer_is_tried_again(answer: bytes) -> None:
    """A connection that ends, or says what is not HTTP, is a NetworkError."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(errors.NetworkError):
            call(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(5)


def test_a_body_that_is_not_what_it_says_is_tried_again(server: Server) -> None:
    """What claims to be packed and is not, is a NetworkError."""
    server.says(Answer(body=b"plain", headers={"Content-Encoding": "gzip"}))
    with pytest.raises(errors.NetworkError):
        call(server.url)
