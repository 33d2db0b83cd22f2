"""Handlers that call APIs, as classes and as functions, and the clients they share."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from api_server import Answer, Server, serving
from support.contexts import ContextBuilder, build_context

from tasker import ApiHandler, ConfigurationError, PermanentError, api_handler, depends_on, inputs
from tasker.handlers import as_handler
from tasker.handlers.api import Api, AsyncApi
from tasker.handlers.api_closing import close_api_clients
from tasker.handlers.discover import discover
from tasker.model.errors import InvalidHandler

CONTEXT = build_context({"token": "tok"}, {"validate_cart": {"total": 5}})


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


async def test_a_class_calls_its_api_in_async_code(server: Server) -> None:
    """A class handler is found like any other, and its call's JSON becomes the result."""
    server.says(Answer(body={"id": "ch_1"}))

    class Charge(ApiHandler):
        handler_name = "charge"
        base_url = server.url

        async def call(self, context):
            return (await self.async_api(context).post("/charges", json=context.inputs)).json()

    handler = as_handler(Charge)
    assert (handler.pool, await handler.call(CONTEXT)) == ("async", {"id": "ch_1"})
    assert server.asked[0].json() == {"token": "tok"}


async def test_a_class_calls_its_api_in_a_thread(server: Server) -> None:
    """The same for a plain method, which runs in a thread."""

    class Charge(ApiHandler):
        base_url = server.url

        def call(self, context):
            return self.api(context).get("/x").json()

    handler = as_handler(Charge)
    assert handler.pool == "thread"
    assert await asyncio.to_thread(handler.call, CONTEXT) == {"ok": True}


@pytest.mark.parametrize("is_outermost", [True, False])
async def test_a_function_is_given_its_api(server: Server, is_outermost: bool) -> None:
    """@api_handler passes `api` beside what the other decorators pass, in whichever order they stand."""

    async def charge(api, cart, token):
        return (await api.post("/charges", json={"amount": cart["total"], "token": token})).json()

    own, others = api_handler("charge", server.url), [depends_on(cart="validate_cart"), inputs("token")]
    for decorate in [*others, own] if is_outermost else [own, *others]:
        charge = decorate(charge)
    handler = as_handler(charge)
    assert (handler.name, handler.pool, await handler.call(CONTEXT)) == ("charge", "async", {"ok": True})
    assert server.asked[0].json() == {"amount": 5, "token": "tok"}
    assert server.asked[0].headers["Idempotency-Key"] == CONTEXT.idempotency_key


async def test_a_plain_function_is_given_a_blocking_api(server: Server) -> None:
    """A plain function runs in a thread and calls without await; it may take the context too."""

    @api_handler("charge", server.url, accepted_statuses=[409])
    def charge(context, api):
        return {"status": api.get(f"/{context.step_name}").status}

    server.says(Answer(409))
    handler = as_handler(charge)
    assert handler.pool == "thread"
    assert await asyncio.to_thread(handler.call, CONTEXT) == {"status": 409}
    assert server.asked[0].path == "/charge"


async def test_a_unit_test_passes_an_api_of_its_own() -> None:
    """The decorated function takes whatever a test gives it as `api`, by name or by place."""

    @api_handler("charge", "https://api.example")
    async def charge(api, amount):
        return await api.post("/charges", json={"amount": amount})

    class Fake:
        async def post(self, url: str, json: Any) -> tuple[str, Any]:
            return url, json

    assert await charge(api=Fake(), amount=3) == ("/charges", {"amount": 3})
    assert await charge(Fake(), 3) == ("/charges", {"amount": 3})


def test_a_decorated_function_is_found_in_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module's API handlers are discovered once, under their names, and the older ApiHandler itself is none."""
    module = type(sys)("shop_api")
    source = """
from tasker import ApiHandler, api_handler
@api_handler("charge", "https://api.example")
async def charge(api): ...
class Refund(ApiHandler):
    handler_name = "refund"
    def call(self, context): ...
"""
    exec(source, vars(module))  # noqa: S102
    monkeypatch.setitem(sys.modules, "shop_api", module)
    assert sorted(discover([module])) == ["charge", "refund"]


def test_a_child_process_finds_the_function_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function for the process pool leads back to itself by its import path."""
    module = type(sys)("shop_slow")
    source = """
from tasker import api_handler
@api_handler("report", "https://api.example", runs_in="process")
def report(api): ...
"""
    monkeypatch.setitem(sys.modules, "shop_slow", module)
    exec(source, vars(module))  # noqa: S102
    assert as_handler(module.report).import_path == "shop_slow:report"


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ({"base_url": "api.example"}, "base_url"),
        ({"base_url": "ftp://api.example"}, "base_url"),
        ({"base_url": "https://api.example/?key=1"}, "base_url"),
        ({"timeout_s": 0}, "more than 0"),
        ({"headers": {"X-Name": "Zoë"}}, "headers are text in ASCII"),
        ({"headers": {"X-Number": 1}}, "headers are text in ASCII"),
        ({"response_bytes_max": 0}, "more than 0"),
        ({"accepted_statuses": [409], "retried_statuses": [409]}, r"\[409\] cannot be both"),
    ],
)
def test_a_mistake_stops_the_start(attributes: dict[str, Any], problem: str) -> None:
    """What cannot work is refused when the handler is defined, as class or as function."""
    with pytest.raises(InvalidHandler, match=problem):
        type("Charge", (ApiHandler,), attributes)
    with pytest.raises(InvalidHandler, match=problem):
        api_handler("charge", **attributes)


def test_a_function_without_an_api_is_refused() -> None:
    """A function that takes no `api`, or yields, is no API handler."""
    with pytest.raises(InvalidHandler, match="no parameter 'api'"):
        api_handler("charge")(lambda cart: None)

    def pages(api):
        yield 1

    with pytest.raises(InvalidHandler, match="generator"):
        api_handler("pages")(pages)


def test_a_base_url_from_data_is_refused(server: Server) -> None:
    """What an instance sets, perhaps from data, is not trusted as what the class sets."""

    class Fetch(ApiHandler):
        def call(self, context):
            self.base_url = context.get_input("url")
            return self.api(context).get("/x").json()

    with pytest.raises(ConfigurationError, match="sets base_url on its instance"):
        as_handler(Fetch).call(build_context({"url": server.url}))
    assert server.connections == 0


async def test_blocking_the_loop_is_refused(server: Server) -> None:
    """A blocking call on the event loop fails for good, before it is sent."""
    handler = type("Fetch", (ApiHandler,), {"base_url": server.url})()
    with pytest.raises(PermanentError, match="async_api"):
        handler.api(CONTEXT).get("/x")
    assert server.connections == 0


async def test_a_call_that_is_cancelled_leaves_no_connection_behind(server: Server) -> None:
    """A step that is cancelled in the middle of a call ends at once, and later calls work."""
    arrived = asyncio.Event()
    loop = asyncio.get_running_loop()

    def silent(_: Any) -> Answer:
        loop.call_soon_threadsafe(arrived.set)
        server.released.wait(60)
        return Answer()

    server.answer = silent
    api = type("Fetch", (ApiHandler,), {"base_url": server.url})().async_api(CONTEXT)
    going = asyncio.create_task(api.get("/slow"))
    await asyncio.wait_for(arrived.wait(), 30)
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    server.says(Answer())
    assert (await api.get("/x")).status == 200


async def test_closing_lets_calls_end_and_later_calls_begin_anew(server: Server) -> None:
    """Closing drops idle connections; a call under way ends well, and the next opens a connection."""
    arrived, go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def held(_: Any) -> Answer:
        loop.call_soon_threadsafe(arrived.set)
        go.wait(60)
        return Answer(body={"n": len(server.asked)})

    server.answer = held
    handler = type("Fetch", (ApiHandler,), {"base_url": server.url})()
    going = asyncio.create_task(handler.async_api(CONTEXT).get("/x"))
    await asyncio.wait_for(arrived.wait(), 30)
    await close_api_clients()
    go.set()
    assert (await going).json() == {"n": 1}
    await handler.async_api(CONTEXT).get("/x")
    await asyncio.to_thread(handler.api(CONTEXT).get, "/x")
    await close_api_clients()
    await asyncio.to_thread(handler.api(CONTEXT).get, "/x")
    assert server.connections == 4
    await close_api_clients()


def test_a_loop_that_ends_closes_its_client(server: Server) -> None:
    """After asyncio.run nothing of its client is left, and the next loop has one of its own."""
    from tasker.handlers import api_clients

    handler = type("Fetch", (ApiHandler,), {"base_url": server.url})()

    async def fetch() -> Any:
        await handler.async_api(CONTEXT).get("/x")
        return api_clients._of_loops[asyncio.get_running_loop()].client

    first, second = asyncio.run(fetch()), asyncio.run(fetch())
    assert first is not second
    assert (first.is_closed, second.is_closed, len(api_clients._of_loops)) == (True, True, 0)


def test_an_import_of_tasker_loads_no_http_client() -> None:
    """`import tasker`, and of its handlers, stays quick: the client is loaded by the first API handler."""
    import subprocess

    code = "import sys, tasker.app, tasker.handlers.api_closing; sys.exit('httpx2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_kind_of_api_follows_the_function(make_context: ContextBuilder) -> None:
    """An async function gets an AsyncApi, a plain one an Api."""

    @api_handler("a")
    async def a(api):
        return type(api)

    @api_handler("b")
    def b(api):
        return type(api)

    context = make_context()
    assert asyncio.run(as_handler(a).call(context)) is AsyncApi
    assert as_handler(b).call(context) is Api
