"""What a handler's calls send, and what they give back."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from api_server import Answer, Asked, Server, serving
from support.contexts import build_context

from tasker import ApiHandler, ApiResponse, StepContext
from tasker.model.errors import PermanentError, RetryableError, StepTimeoutError

Call = Callable[..., Awaitable[ApiResponse]]
CONTEXT = build_context({"cart": 7})


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


@pytest.fixture(params=["async", "sync"])
def call(request: pytest.FixtureRequest, server: Server) -> Call:
    """Calls the server by a handler with these attributes, once in async code and once in a thread."""

    async def run(method: str, url: str, context: StepContext = CONTEXT, **options: Any) -> ApiResponse:
        attributes = ApiHandler.__annotations__.keys() - {"headers", "timeout_s"}
        own = {name: options.pop(name) for name in list(options) if name in attributes}
        handler = type("Charge", (ApiHandler,), {"base_url": server.url, **own})()
        if request.param == "async":
            return await handler.async_api(context).request(method, url, **options)
        return await asyncio.to_thread(handler.api(context).request, method, url, **options)

    return run


async def test_a_path_is_called_below_the_base_url(server: Server, call: Call) -> None:
    """The path, its query and a JSON body arrive; the answer's JSON comes back."""
    server.says(Answer(201, {"id": "ch_1"}))
    response = await call("POST", "/charges?dry=1", json={"amount": 5}, base_url=server.url + "/v1")
    [asked] = server.asked
    assert (asked.method, asked.path, asked.json()) == ("POST", "/v1/charges?dry=1", {"amount": 5})
    assert asked.headers["Content-Type"] == "application/json"
    assert (response.status, response.json(), response.body, response.is_success) == (
        201,
        {"id": "ch_1"},
        {"id": "ch_1"},
        True,
    )


@pytest.mark.parametrize(
    ("options", "body"),
    [({"data": {"a": "1"}}, b"a=1"), ({"content": b"raw"}, b"raw"), ({"json": [1, None]}, b"[1,null]"), ({}, b"")],
)
async def test_bodies_are_sent_in_the_form_asked_for(
    server: Server, call: Call, options: dict[str, Any], body: bytes
) -> None:
    """A form, bytes, JSON, and nothing."""
    await call("PUT", "/x", **options)
    assert server.asked[0].body == body


async def test_what_json_does_not_have_is_not_sent(server: Server, call: Call) -> None:
    """NaN is refused before the request, with its place, and not sent as null."""
    with pytest.raises(PermanentError, match=r"\$\.amount is nan"):
        await call("POST", "/x", json={"amount": float("nan")})
    assert server.asked == []


async def test_writes_carry_the_steps_idempotency_key(server: Server, call: Call) -> None:
    """POST carries the context's key, GET none; the key is the same for each attempt."""
    await call("POST", "/charges")
    await call("POST", "/charges", build_context(attempt=2, tries=1))
    await call("GET", "/charges")
    keys = [asked.headers["Idempotency-Key"] for asked in server.asked]
    assert keys == [CONTEXT.idempotency_key, CONTEXT.idempotency_key, None]


async def test_a_part_and_an_own_key_are_sent(server: Server, call: Call) -> None:
    """`part` is appended to the key; a header of the caller replaces it."""
    await call("POST", "/refunds", part="refund")
    await call("POST", "/refunds", headers={"idempotency-key": "mine"})
    keys = [asked.headers.get_all("Idempotency-Key") for asked in server.asked]
    assert keys == [[CONTEXT.idempotency_key + "/refund"], ["mine"]]


async def test_a_second_other_write_needs_a_key_of_its_own(server: Server) -> None:
    """Two different writes of one execution under one key are refused, the same one again and named parts are not."""
    api = type("Charge", (ApiHandler,), {"base_url": server.url})().async_api(CONTEXT)
    await api.post("/charges", json={"amount": 5})
    await api.post("/charges", json={"amount": 5})
    with pytest.raises(PermanentError, match="name each") as caught:
        await api.post("/charges", json={"amount": 6})
    assert caught.value.error_code == "IDEMPOTENCY_KEY_REUSED"
    await api.post("/charges", json={"amount": 6}, part="tip")
    assert len(server.asked) == 3


async def test_calls_carry_correlation_and_trace(server: Server, call: Call) -> None:
    """The correlation id and a W3C traceparent go out: one trace for the task, one span for each attempt."""
    await call("GET", "/x")
    await call("GET", "/x", build_context(attempt=2))
    first, second = (asked.headers["traceparent"].split("-") for asked in server.asked)
    assert server.asked[0].headers["X-Correlation-ID"] == str(UUID(int=7))
    assert first[0] == "00"
    assert first[1] == second[1] == UUID(int=7).hex
    assert len(first[2]) == 16 and int(first[2], 16)
    assert first[2] != second[2]


async def test_connections_are_reused_by_steps_and_handlers(server: Server, call: Call) -> None:
    """Ten calls, each of another handler class and step, need one connection."""
    for _ in range(10):
        await call("GET", "/x")
    assert server.connections == 1


async def test_no_cookie_goes_from_one_step_to_the_next(server: Server, call: Call) -> None:
    """What one customer's step was told to remember, no other step sends."""
    server.says(Answer(headers={"Set-Cookie": "session=of-ada; Path=/"}))
    await call("GET", "/x")
    await call("GET", "/x")
    assert [asked.headers["Cookie"] for asked in server.asked] == [None, None]


async def test_the_handlers_headers_stay_with_its_host(server: Server, call: Call) -> None:
    """Credentials of the handler go to its base URL and not to a URL that came from data."""
    headers = {"Authorization": "Bearer secret"}
    with serving() as other:
        await call("GET", "/x", headers={"X-One": "1"})
        await _get(server, "/x", headers)
        await _get(server, other.url + "/x", headers)
    assert [asked.headers["Authorization"] for asked in server.asked] == [None, "Bearer secret"]
    assert server.asked[0].headers["X-One"] == "1"
    assert other.asked[0].headers["Authorization"] is None


async def _get(server: Server, url: str, headers: dict[str, str]) -> ApiResponse:
    attributes = {"base_url": server.url, "headers": headers, "allowed_hosts": ["127.0.0.1"]}
    return await type("Charge", (ApiHandler,), attributes)().async_api(CONTEXT).get(url)


async def test_a_declared_status_is_a_success(server: Server, call: Call) -> None:
    """A handler that accepts 409 gets it as a response; one that does not fails for good."""
    server.says(Answer(409, {"id": "ch_1"}))
    response = await call("POST", "/charges", accepted_statuses=[409])
    assert (response.status, response.json(), response.is_success) == (409, {"id": "ch_1"}, False)
    with pytest.raises(PermanentError) as caught:
        await call("POST", "/charges")
    assert caught.value.error_code == "HTTP_409"


async def test_unchecked_calls_return_any_status(server: Server, call: Call) -> None:
    """With check=False the handler looks at the status itself."""
    server.says(Answer(503, {"why": "night"}))
    response = await call("GET", "/x", check=False)
    assert (response.status, response.body) == (503, {"why": "night"})


async def test_a_call_ends_at_its_timeout_whatever_drips(server: Server, call: Call) -> None:
    """A server that sends a byte now and then is given up at the timeout of the whole call."""

    def drip() -> Iterator[bytes]:
        while not server.released.wait(0.02):
            yield b"x"

    server.says(Answer(chunks=drip))
    began = time.monotonic()
    with pytest.raises(StepTimeoutError, match=r"no whole answer within 0\.2 s") as caught:
        await call("GET", "/slow", timeout_s=0.2)
    assert time.monotonic() - began < 5
    assert (caught.value.error_code, caught.value.is_dependency_failure) == ("HTTP_TIMEOUT", True)


async def test_a_call_takes_no_longer_than_the_step_has(server: Server, call: Call) -> None:
    """A step with 0.2 s left gives up its call then, though the handler would wait for 30 s."""

    def silent(_: Asked) -> Answer:
        server.released.wait(60)
        return Answer()

    server.answer = silent
    with pytest.raises(StepTimeoutError):
        await call("GET", "/slow", build_context(deadline=time.monotonic() + 0.2))


@pytest.mark.parametrize("is_packed", [False, True])
async def test_a_body_over_the_limit_is_refused(server: Server, call: Call, is_packed: bool) -> None:
    """A response of more bytes than the limit fails for good, packed or not; one of exactly as many does not."""
    body = b"x" * 100_000
    packed = {"Content-Encoding": "gzip"} if is_packed else {}
    server.says(Answer(body=gzip.compress(body) if is_packed else body, headers=packed))
    assert len((await call("GET", "/x", response_bytes_max=100_000)).content) == 100_000
    with pytest.raises(PermanentError, match="more than 99999 bytes") as caught:
        await call("GET", "/x", response_bytes_max=99_999)
    assert caught.value.error_code == "RESPONSE_TOO_LARGE"


async def test_of_a_large_error_an_excerpt_is_kept(server: Server, call: Call) -> None:
    """The body of an error is read and kept in part, however large, and its status decides."""
    server.says(Answer(500, "begin " + "x" * 1_000_000))
    with pytest.raises(RetryableError) as caught:
        await call("GET", "/x", response_bytes_max=1000)
    excerpt = caught.value.metadata["response"]
    assert excerpt.startswith("begin")
    assert len(excerpt) <= 2048


async def test_a_page_instead_of_json_is_retried(server: Server, call: Call) -> None:
    """A gateway's page with status 200 is no result: the step is tried again, and the record shows the page."""
    server.says(Answer(body="<html>busy</html>"))
    response = await call("GET", "/x")
    assert response.body == "<html>busy</html>"
    with pytest.raises(RetryableError, match="not JSON") as caught:
        response.json()
    assert caught.value.metadata["response"] == "<html>busy</html>"


@pytest.mark.parametrize(
    "url", ["http:///x", "//elsewhere.example/x", "ftp://a.example/x", "mailto:a@b", "http://[", "http://a.example:b/x"]
)
async def test_a_url_that_is_none_fails_for_good(server: Server, call: Call, url: str) -> None:
    """What is neither a path nor a whole http or https URL is refused, and nothing is sent."""
    with pytest.raises(PermanentError) as caught:
        await call("GET", url)
    assert caught.value.error_code == "INVALID_URL"
    assert server.asked == []


@pytest.mark.parametrize(
    "path", ["..", "/charges/../admin", "/charges/%2e%2E/admin", "/charges/..%2fadmin", "/a\\..\\b"]
)
async def test_a_path_cannot_climb(server: Server, call: Call, path: str) -> None:
    """A part of the path that came from data does not lead to another place on the handler's own host."""
    with pytest.raises(PermanentError, match=r"without `\.\.`"):
        await call("GET", path, base_url=server.url + "/v1")
    await call("GET", "/charges/a..b?next=../c", base_url=server.url + "/v1")
    assert [asked.path for asked in server.asked] == ["/v1/charges/a..b?next=../c"]


async def test_a_path_needs_a_base_url(call: Call) -> None:
    """Without a base URL only whole URLs can be called, and the message says so."""
    with pytest.raises(PermanentError, match="needs a base_url"):
        await call("GET", "/x", base_url="")


@pytest.mark.parametrize("value", ["a\r\nX-Admin: 1", "a\0b", "Zoë", 5])
async def test_a_header_that_cannot_be_sent_fails_for_good(server: Server, call: Call, value: Any) -> None:
    """A line break, or what is no ASCII text, from data in a header is refused, not sent, and not tried again."""
    with pytest.raises(PermanentError) as caught:
        await call("GET", "/x", headers={"X-Name": value})
    assert caught.value.error_code == "INVALID_REQUEST"
    assert server.asked == []


async def test_a_step_named_in_another_script_has_a_key_that_can_be_sent(server: Server, call: Call) -> None:
    """A header is ASCII, so a key with other letters is sent percent-encoded, and is another for another name."""
    await call("POST", "/x", build_context(step="räumen"))
    await call("POST", "/x", part="größe")
    keys = [asked.headers["Idempotency-Key"].partition(":")[2] for asked in server.asked]
    assert keys == ["r%C3%A4umen", "charge/gr%C3%B6%C3%9Fe"]
