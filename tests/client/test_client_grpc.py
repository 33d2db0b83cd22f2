"""What the clients do over gRPC alone: addresses, errors, what is sent again, and TLS."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from inspect import getmembers, isclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import httpx2
import orjson
import pytest
import stamina
from client_support import HANDLERS, NOBODY, ORDER, Making
from support.certificates import certificate_of_localhost
from support.serving_grpc import ServingGrpc

from tasker import Settings, Tasker, proto
from tasker.client.profiles import Profile
from tasker.client.rpc_errors import error_of_call
from tasker.model import errors
from tasker.operations import told
from tasker.server.grpc.errors import refusal

ERRORS = [kind for _, kind in getmembers(errors, isclass) if issubclass(kind, errors.TaskerError)]
PAGE = {"tasks": [], "pagination": {"page": 1, "per_page": 1, "total_count": 0, "total_pages": 0, "has_next": False,
        "has_previous": False, "next_cursor": None}}  # fmt: skip


def of_call(error: Exception) -> Any:
    """What a client is given of an error that a server meets."""
    status, message, metadata = refusal(error)
    return SimpleNamespace(code=lambda: status, details=lambda: message, trailing_metadata=lambda: metadata)


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_travels_over_grpc(kind: type[errors.TaskerError]) -> None:
    """What a server tells of an error becomes the same error again."""
    error = kind("it says why")
    again = error_of_call(of_call(error), "grpc://here:1")
    assert type(again) is kind
    assert str(again).startswith(told(error)["message"])


def test_errors_keep_what_they_know() -> None:
    """The task that holds a key, what is wrong with an input, and how long to wait come over."""
    conflict = errors.IdentityConflict("taken", None)
    object.__setattr__(conflict, "task_uuid", NOBODY)
    assert str(error_of_call(of_call(conflict), "u").task_uuid) == NOBODY  # type: ignore[attr-defined]
    wrong = error_of_call(of_call(errors.InvalidInput("no", ("a: is required", "b: is no number"))), "u")
    assert wrong.violations == ("a: is required", "b: is no number")  # type: ignore[attr-defined]
    assert error_of_call(of_call(errors.QuotaExceeded("no", 7)), "u").retry_after_s == 7  # type: ignore[attr-defined]
    assert error_of_call(of_call(errors.Unauthenticated("no", "expired")), "u").reason == "expired"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("UNAVAILABLE", errors.ServerUnavailable), ("DEADLINE_EXCEEDED", errors.ServerUnavailable),
        ("RESOURCE_EXHAUSTED", errors.RequestTooLarge), ("UNIMPLEMENTED", errors.ServerFault),
        ("UNKNOWN", errors.ServerFault),
    ],
)  # fmt: skip
def test_what_is_not_in_our_words_names_the_address(status: str, kind: type[Exception]) -> None:
    """A status that comes without a detail is of gRPC itself, or of a proxy: it names whom was asked."""
    bare = SimpleNamespace(code=lambda: grpc.StatusCode[status], details=lambda: "x", trailing_metadata=lambda: None)
    found = error_of_call(bare, "grpc://here:1")
    assert (type(found), "grpc://here:1" in str(found)) == (kind, True)


@contextmanager
def scripted(*answers: Callable[[Any], bytes]) -> Iterator[tuple[str, list[Any]]]:
    """A server whose calls are answered by these in turn, the last one for ever; its address, and what was asked."""
    asked: list[Any] = []
    left = list(answers)

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        asked.append((request, dict(context.invocation_metadata())))
        return (left.pop(0) if len(left) > 1 else left[0])(context)

    server = grpc.server(ThreadPoolExecutor(2))
    handler = {"Call": grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tasker.v1.OperationService", handler),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"grpc://127.0.0.1:{port}", asked
    finally:
        server.stop(0).wait()


def refuses(error: Exception) -> Callable[[Any], bytes]:
    """Answers with an error."""

    def answer(context: Any) -> bytes:
        status, message, metadata = refusal(error)
        context.set_trailing_metadata(metadata)
        context.abort(status, message)
        raise AssertionError("abort raises")

    return answer


def page(_: Any) -> bytes:
    """Answers with an empty page, in more bytes than channels take by themselves."""
    return proto.message("CallResponse")(answer_json=orjson.dumps(PAGE) + b" " * 5_000_000).SerializeToString()


@pytest.fixture
def quick() -> Iterator[None]:
    """What is tried again is tried at once, four times."""
    with stamina.set_testing(True, attempts=4):
        yield


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("passing", [errors.DatabaseUnavailable("away"), errors.Backpressure("full", 1)], ids=repr)
async def test_what_passes_is_sent_again_over_grpc(make: Making, passing: Exception) -> None:
    """UNAVAILABLE is sent again: the very same bytes, so it is done once; who asks is said each time, and not shown."""
    with scripted(refuses(passing), refuses(errors.TemplateNotFound("none"))) as (url, asked):
        client = make(url, api_key="tsk_secret")
        with pytest.raises(errors.TemplateNotFound):
            await client.create_task("order", context={"a": 1})
        await client.aclose()
        assert "tsk_secret" not in repr(client)
    (first, headers), (second, _) = asked
    assert first == second
    assert b"task_uuid" in first and b"correlation_id" in first
    assert headers["x-api-key"] == "tsk_secret"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "staying", [errors.InvalidInput("no"), errors.Backpressure("full", 3600), ZeroDivisionError()], ids=repr
)
async def test_what_stays_is_sent_once_over_grpc(make: Making, staying: Exception) -> None:
    """What another try would not change is raised at once."""
    with scripted(refuses(staying), page) as (url, asked):
        client = make(url)
        with pytest.raises(errors.TaskerError):
            await client.list_tasks()
        assert (await client.list_tasks()).tasks == []
        await client.aclose()
    assert len(asked) == 2


@pytest.mark.usefixtures("quick")
async def test_nobody_there_is_told(make: Making) -> None:
    """A port where nobody listens, and one where another service does, are errors that name the address."""
    client = make("grpc://127.0.0.1:9")
    with pytest.raises(errors.ServerUnavailable, match=r"127\.0\.0\.1:9 does not answer"):
        await client.list_tasks()
    assert (await client.ready())["status"] == "unavailable"
    await client.aclose()


@pytest.mark.parametrize(
    ("url", "says"),
    [("grpc://here", "HOST:PORT"), ("grpcs://here:1/api", "HOST:PORT"), ("grpc://:1", "no address"),
     ("grpc://here:x", "HOST:PORT"), ("grpc://ann:pw@here:1", "address alone")],
)  # fmt: skip
def test_an_address_that_is_none_is_told(url: str, says: str) -> None:
    """gRPC is at a host and a port; no password is shown."""
    with pytest.raises(errors.SettingsError, match=says) as refused:
        Profile(url=url)
    assert "pw" not in str(refused.value)


def test_what_is_of_http_is_refused(make: Making) -> None:
    """A transport of HTTP would be ignored: it is refused."""
    with pytest.raises(errors.SettingsError, match="transport"):
        make("grpc://here:1", transport=httpx2.MockTransport(lambda _: httpx2.Response(200)))


def test_grpc_is_imported_when_it_is_used() -> None:
    """A program that speaks HTTP loads nothing of gRPC."""
    code = (
        "import sys; from tasker.client import TaskerClient; TaskerClient('http://here'); print('grpc' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


async def test_tls_and_whole_numbers_and_long_waits(
    database: str, tmp_path: Path, make: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    """grpcs:// is TLS, and SSL_CERT_FILE says whom to trust; whole numbers of 64 bits arrive as they are; a wait may be
    longer than a request."""
    certificate, key = certificate_of_localhost(tmp_path)
    settings: Any = Settings(request_timeout_s=2)
    serving = ServingGrpc(lambda: Tasker(database, worker=False, settings=settings), certificate=certificate, key=key)
    with serving:
        url = f"grpcs://localhost:{serving.port}"
        doubting = make(url, attempts_max=1)
        with pytest.raises(errors.ServerUnavailable):
            await doubting.list_tasks()
        await doubting.aclose()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        client = make(url)
        await client.publish_template(ORDER)
        made = await client.create_task("order", namespace="shop", context={"amount": 2**62 + 1})
        waited = await client.get_task(made.task_uuid, wait_s=2.5)
        assert waited.status == "pending"
        async with Tasker(database, handlers=HANDLERS, settings=settings):
            done = await client.wait(made.task_uuid, timeout_s=60)
        context = await client.get_task_context(made.task_uuid)
        await client.aclose()
    assert (done.status, context.outputs["check"]) == ("complete", {"amount": 2**62 + 1})
