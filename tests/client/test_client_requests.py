"""What is sent, what is sent again, and what an answer that is none becomes."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import getmembers, isclass
from pathlib import Path

import httpx2
import orjson
import pytest
import stamina
from client_support import NOBODY, Making, Script, events, refusal, update

from tasker.client import AsyncTaskerClient, TaskerClient
from tasker.client.answers import error_told
from tasker.client.requests import PLACES
from tasker.model import errors
from tasker.operations import OPERATIONS, told
from tasker.server.rest.routes import ROUTES

URL = "http://tasker.example"
PAGE = {"tasks": [], "pagination": {"page": 1, "per_page": 1, "total_count": 0, "total_pages": 0, "has_next": False,
        "has_previous": False, "next_cursor": None}}  # fmt: skip
ACTS = {"act_on_step": ("retry_step", "resolve_step", "complete_step")}


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """What is tried again is tried at once, four times."""
    with stamina.set_testing(True, attempts=4):
        yield


def test_the_client_knows_where_every_operation_is() -> None:
    """The client's table of places is the server's."""
    assert {
        route.operation.name: (route.method, route.path, route.body_field) for route in ROUTES
    } == {name: (place.method, place.path, place.body_field) for name, place in PLACES.items()}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_client_has_every_operation(name: str) -> None:
    """Both clients have a method for each operation."""
    for client in (AsyncTaskerClient, TaskerClient):
        for method in ACTS.get(name, (name,)):
            assert callable(getattr(client, method)), f"{client.__name__} has no {method}"


def test_the_client_without_await_is_made_from_the_other() -> None:
    """Nothing is written twice: scripts/twin.py makes one from the other."""
    import importlib.util

    file = Path(__file__).parents[2] / "scripts" / "twin.py"
    spec = importlib.util.spec_from_file_location("twin", file)
    assert spec and spec.loader
    twin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(twin)
    for source, target in twin.TWINS.items():
        text = (twin.CLIENT / target).read_text()
        assert twin.is_twin(text, (twin.CLIENT / source).read_text()), f"{target}: run scripts/twin.py"
        assert not twin.is_twin(text.replace("def ", "def x", 1), (twin.CLIENT / source).read_text())


PASSING = [
    httpx2.ConnectError("nobody is there"),
    httpx2.ReadTimeout("it is silent"),
    httpx2.RemoteProtocolError("it hung up"),
    refusal(503, "SERVICE_UNAVAILABLE", "database_unavailable", retry_after_seconds=1),
    refusal(503, "BACKPRESSURE", "backpressure", retry_after_seconds=1),
    refusal(429, "RATE_LIMITED", "quota_exceeded", retry_after_seconds=1),
    refusal(408, "TIMEOUT", "request_timeout"),
    refusal(409, "CONFLICT", "key_in_flight"),
    httpx2.Response(502, text="<html>the proxy found nobody</html>"),
]


@pytest.mark.parametrize("passing", PASSING, ids=str)
async def test_what_passes_is_sent_again_as_it_was(make: Making, passing: httpx2.Response | Exception) -> None:
    """A request that was not answered, or that is to wait, is sent again: the very same bytes, so it is done once."""
    script = Script(passing, refusal(404, "NOT_FOUND", "template_not_found"))
    client = make(URL, transport=script.transport)
    with pytest.raises(errors.TemplateNotFound):
        await client.create_task("order", context={"a": 1})
    first, second = script.asked
    assert first.content == second.content
    assert orjson.loads(first.content)["task_uuid"] and orjson.loads(first.content)["correlation_id"]


@pytest.mark.parametrize("act", ["cancel_task", "pause_task", "resume_task"])
async def test_an_act_that_is_sent_again_carries_its_id(make: Making, act: str) -> None:
    """The id by which the engine knows a repeat is the same, also where the caller gives none."""
    script = Script(httpx2.ReadError("cut"), refusal(404, "NOT_FOUND", "task_not_found"))
    with pytest.raises(errors.TaskNotFound):
        await getattr(make(URL, transport=script.transport), act)(NOBODY)
    first, second = script.asked
    assert (first.url, first.content) == (second.url, second.content)
    assert b"act_id" in first.content + first.url.query


STAYING = [
    refusal(400, "BAD_REQUEST", "invalid_input"),
    refusal(401, "AUTHENTICATION_FAILED", "unauthenticated"),
    refusal(500, "INTERNAL_ERROR", error_id=NOBODY),
    refusal(503, "BACKPRESSURE", "backpressure", retry_after_seconds=3600),
    httpx2.Response(404, text="not here"),
    httpx2.Response(200, text="<html>hello</html>"),
]


@pytest.mark.parametrize("staying", STAYING, ids=str)
async def test_what_stays_is_sent_once(make: Making, staying: httpx2.Response) -> None:
    """What another try would not change is raised at once; what is no answer of Tasker's is said to be none."""
    script = Script(staying)
    with pytest.raises(errors.TaskerError):
        await make(URL, transport=script.transport).list_tasks()
    assert len(script.asked) == 1


async def test_tries_are_bounded(make: Making) -> None:
    """A server that stays away is an error that names it, after so many tries; health never raises."""
    script = Script(httpx2.ConnectError("nobody is there"))
    client = make(URL, transport=script.transport)
    with pytest.raises(errors.ServerUnavailable, match=r"tasker\.example does not answer"):
        await client.list_tasks()
    assert len(script.asked) == 4
    assert (await client.ready())["status"] == "unavailable"


ERRORS = [kind for _, kind in getmembers(errors, isclass) if issubclass(kind, errors.TaskerError)]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_travels(kind: type[errors.TaskerError]) -> None:
    """What a server tells of an error becomes the same error again."""
    body = told(kind("it says why"))
    again = error_told(body)
    assert type(again) is kind
    assert str(again).startswith(body["message"])


def test_errors_of_servers_that_say_no_kind_go_by_their_status() -> None:
    """Servers of the older system say only a code."""
    for status, kind in ((404, errors.NotFound), (403, errors.Forbidden), (500, errors.ServerFault)):
        assert type(error_told({"code": "X", "message": "m"}, status)) is kind


async def test_who_asks_is_said_in_a_header(make: Making) -> None:
    """An API key and a token go into their headers, and nowhere else; neither is shown."""
    for proof, header, value in (
        ({"api_key": "tsk_secret"}, "x-api-key", "tsk_secret"),
        ({"token": "a.b.c"}, "authorization", "Bearer a.b.c"),
    ):
        script = Script(httpx2.Response(200, json=PAGE))
        client = make(URL, transport=script.transport, **proof)
        await client.list_tasks()
        (asked,) = script.asked
        assert asked.headers[header] == value
        assert value not in str(asked.url) + repr(client)


async def test_a_stream_goes_on_behind_the_last_update(make: Making) -> None:
    """Cut streams are opened again with the id of the last event; the beginning is told once."""
    script = Script(
        events(update("ready", "1"), update("step_state", "2"), cut=True),
        refusal(503, "SERVICE_UNAVAILABLE", "database_unavailable"),
        events(
            update("ready", "2"), b'event: error\ndata: {"error": {"code": "TIMEOUT", "kind": "request_timeout"}}\n\n'
        ),
        events(update("ready", "2"), update("task_state", "3", is_last=True)),
    )
    client = make(URL, transport=script.transport)
    told = [(one.update_type, one.cursor) async for one in client.watch_task(NOBODY)]
    assert told == [("ready", "1"), ("step_state", "2"), ("task_state", "3")]
    assert [one.headers.get("last-event-id") for one in script.asked] == [None, "2", "2", "2"]


async def test_an_error_of_a_stream_is_raised(make: Making) -> None:
    """What will not pass ends the stream with its error."""
    gone = b'event: error\ndata: {"error": {"code": "AUTHENTICATION_FAILED", "kind": "unauthenticated"}}\n\n'
    client = make(URL, transport=Script(events(update("ready", "1"), gone)).transport)
    with pytest.raises(errors.Unauthenticated):
        [one async for one in client.watch_task(NOBODY)]


async def test_a_stream_that_tells_nothing_is_given_up(make: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that ends again and again without an update is an error in the end."""
    for module in ("async_calls", "sync_calls"):
        monkeypatch.setattr(f"tasker.client.{module}.CUT_PAUSE_S", 0)
    script = Script(*(events(update("ready", "1")) for _ in range(30)))
    with pytest.raises(errors.ServerUnavailable, match="20 times"):
        [one async for one in make(URL, transport=script.transport).watch_tasks()]
