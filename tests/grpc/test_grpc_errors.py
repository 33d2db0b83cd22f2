"""Errors over gRPC: a canonical status for each, the same words as over HTTP, and nothing of the inside."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_support import Client, client_of, detail_of
from hypothesis import given, settings
from hypothesis import strategies as st
from support.until import until

from tasker import Settings, Tasker, proto
from tasker.model import errors
from tasker.model.errors import SettingsError
from tasker.operations.faults import UNKNOWN, faults
from tasker.server.entrance import Entrance
from tasker.server.grpc import GrpcServer, Listening
from tasker.server.grpc.calls import Calls
from tasker.server.grpc.errors import CODES, refusal

CREATE = "/tasker.v1.TaskService/CreateTask"


async def raw(client: Client, request: bytes, path: str = CREATE, **options: Any) -> tuple[grpc.StatusCode, str]:
    """What bytes are answered with that no stub would send."""
    with pytest.raises(aio.AioRpcError) as caught:
        await client.channel.unary_unary(path)(request, timeout=60, **options)
    return caught.value.code(), caught.value.details() or ""


def test_every_error_has_a_status() -> None:
    """Whatever an operation may raise has a code here, and there is none too many."""
    assert {fault.code for fault in (*faults().values(), UNKNOWN)} == set(CODES)
    assert grpc.StatusCode.UNKNOWN not in CODES.values()
    for kind in faults():
        if issubclass(kind, errors.TaskerError):
            status, message, metadata = refusal(kind("why"))
            assert status is not grpc.StatusCode.OK
            assert message
            assert dict(metadata)["tasker-error-bin"]


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (errors.IdentityConflict("taken"), "ALREADY_EXISTS", "taken"),
        (errors.KeyInFlight("busy"), "ABORTED", "busy"),
        (errors.ActionForbidden("ended"), "FAILED_PRECONDITION", "ended"),
        (errors.QuotaExceeded("enough", 7.5), "RESOURCE_EXHAUSTED", "enough"),
        (errors.Backpressure("full", 15), "UNAVAILABLE", "full"),
        (errors.DatabaseUnavailable("host=10.1.2.3 secret"), "UNAVAILABLE", "the database does not answer"),
        (ZeroDivisionError("/srv/app.py"), "INTERNAL", "something went wrong inside"),
    ],
)
def test_an_error_says_what_it_may(error: Exception, status: str, says: str) -> None:
    """The status is the canonical one; what went on inside stays there, and an id leads to the log."""
    found, message, metadata = refusal(error)
    assert found is getattr(grpc.StatusCode, status)
    assert says in message
    assert "secret" not in repr((message, metadata)) and "app.py" not in repr((message, metadata))
    known = dict(metadata)
    detail = proto.message("ErrorDetail").FromString(known["tasker-error-bin"])
    if isinstance(error, errors.Backpressure):
        assert known["retry-after"] == detail.metadata["retry_after_seconds"] == str(-int(-error.retry_after_s // 1))
    assert ("error_id" in detail.metadata) == (found in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE))


def test_long_messages_are_cut() -> None:
    """Clients refuse metadata of more than 8 kB: the longest refusal stays below, also outside of ASCII."""
    problems = tuple(f"steps[{number}]: wrong" for number in range(10_000))
    _, message, metadata = refusal(errors.InvalidInput("ü" * 10_000, problems))
    assert len(message.encode()) * 3 + sum(len(value) * 4 / 3 for _, value in metadata) < 8000


async def test_what_cannot_be_read_is_refused(idle_client: Client) -> None:
    """Bytes that are no message, and fields that nobody knows here, are told, not skipped."""
    code, message = await raw(idle_client, b"\xff\xff\xff")
    assert (code, message) == (grpc.StatusCode.INVALID_ARGUMENT, "the request is no tasker.v1.CreateTaskRequest")
    request = idle_client.request("TaskService", "CreateTask", name="order", namespace="shop").SerializeToString()
    unknown = proto.message("PaginationRequest")(limit=1).SerializeToString()
    code, message = await raw(idle_client, request + b"\xba\x3e" + bytes([len(unknown)]) + unknown)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "does not know" in message


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "a\0b", "x" * 70_000, [[[[[[[[[[[["deep"]]]]]]]]]]]], list(range(100))]
)
async def test_what_the_database_cannot_hold_is_refused(grpc_idle: Tasker, value: Any) -> None:
    """Numbers that JSON lacks, NUL, and more or deeper than the settings allow."""
    async with client_of(grpc_idle, json_depth_max=10, json_values_max=90) as client:
        with pytest.raises(aio.AioRpcError) as caught:
            await client.create(context={"a": value})
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        await client.create(context={"a": [1] * 80})


async def test_an_empty_value_is_refused(idle_client: Client) -> None:
    """A Value of no kind is not null: whoever sends it forgot something."""
    request = idle_client.request("TaskService", "CreateTask", name="order", namespace="shop")
    request.context.fields["a"].SetInParent()
    code, message = await raw(idle_client, request.SerializeToString())
    assert (code, "context.a" in message) == (grpc.StatusCode.INVALID_ARGUMENT, True)


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
async def test_a_large_request_is_refused(grpc_idle: Tasker, compression: Any) -> None:
    """More bytes than the setting allows are not read, nor unpacked."""
    async with client_of(grpc_idle, request_bytes_max=10_000) as client:
        code, _ = await raw(client, b"\x0a\x90\x4e" + b"x" * 20_000, compression=compression)
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        await client.create()


async def test_a_call_takes_no_longer_than_it_may(grpc_idle: Tasker) -> None:
    """What waits past the setting is ended with a status, and says that it may still happen."""
    async with client_of(grpc_idle, request_timeout_s=0.001) as client:
        with pytest.raises(aio.AioRpcError) as caught:
            await client.create()
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert detail_of(caught.value).code == "TIMEOUT"


async def test_a_quota_is_counted_and_told(grpc_idle: Tasker) -> None:
    """Past the quota a task is not taken, and the answer says when it may be."""
    async with client_of(grpc_idle, creates_per_minute_by_namespace=2) as client:
        await asyncio.gather(client.create(), client.create())
        with pytest.raises(aio.AioRpcError) as caught:
            await client.create()
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert int(detail_of(caught.value).metadata["retry_after_seconds"]) >= 1


async def test_streams_are_bounded(grpc_idle: Tasker) -> None:
    """More streams than the setting allows are refused; one that has ended makes room."""
    every = {"operation": "watch_tasks", "given": {}}
    async with client_of(grpc_idle, streams_max=1) as client:
        first = client.stream("OperationService", "Watch", **every)
        await first.read()
        async with aio.insecure_channel(client.address, options=[("grpc.use_local_subchannel_pool", 1)]) as other:
            second = Client(other, client.address).stream("OperationService", "Watch", **every)
            with pytest.raises(aio.AioRpcError) as caught:
                await second.read()
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            first.cancel()

            async def has_room() -> bool:
                third = Client(other, client.address).stream("OperationService", "Watch", **every)
                try:
                    return (await third.read()) is not aio.EOF
                except aio.AioRpcError:
                    return False
                finally:
                    third.cancel()

            await until(has_room, "the stream that ended makes room", within_s=60)


async def test_a_method_that_is_none_is_told(idle_client: Client) -> None:
    """What is published and not answered yet, and what never was, are UNIMPLEMENTED."""
    code, _ = await raw(idle_client, b"", "/tasker.v1.TaskService/Dance")
    assert code is grpc.StatusCode.UNIMPLEMENTED


KINDS = sorted({method.input_type.full_name for name in proto.services() for method in proto.methods(name).values()})


@settings(max_examples=500, deadline=None)
@given(kind=st.sampled_from(KINDS), request=st.binary(max_size=200), seed=st.randoms())
def test_whatever_comes_is_read_or_refused(kind: str, request: bytes, seed: Any) -> None:
    """Bytes of any kind, and messages of which some were changed, are fields or one of the errors of requests."""
    engine: Any = SimpleNamespace(settings=Settings())
    good = proto.message("CreateTaskRequest")(name="a", context={"b": [1, {"c": None}]}, start_at={"seconds": 5})
    changed = bytearray(good.SerializeToString())
    for _ in range(3):
        changed[seed.randrange(len(changed))] = seed.randrange(256)
    for one, name in ((request, kind), (bytes(changed), "CreateTaskRequest")):
        try:
            fields = Calls(Entrance(engine, None)).read(proto.message(name).DESCRIPTOR, one)
        except (errors.MalformedRequest, errors.InvalidInput, errors.RequestTooLarge):
            continue
        assert isinstance(fields, dict)


async def test_a_stop_lets_calls_finish(grpc_idle: Tasker) -> None:
    """A call that is being answered when the server stops is answered; after that nobody is there."""
    waiting, ended = asyncio.Event(), asyncio.Event()

    async def until_it_has_ended(task_uuid: Any) -> str:
        waiting.set()
        await ended.wait()
        return "complete"

    engine = replace(grpc_idle.engine(), ended=until_it_has_ended)
    server = GrpcServer(engine, Listening(host="127.0.0.1", port=0))
    async with server, aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        client = Client(channel, "")
        made = await client.create()
        call = asyncio.ensure_future(client.call("TaskService", "GetTask", task_uuid=made.task_uuid, wait_s=60))
        await waiting.wait()
        stopping = asyncio.ensure_future(server.stop())
        await until(server._calls.stopping.is_set, "the server stops")
        assert not call.done()
        ended.set()
        assert (await call).task.task_uuid == made.task_uuid
        await stopping
        with pytest.raises(aio.AioRpcError) as caught:
            await client.create()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_half_of_tls_is_refused(tmp_path: Any) -> None:
    """A certificate without its key, and files that are not there."""
    with pytest.raises(SettingsError, match="both"):
        Listening(host="x", port=1, certificate=tmp_path / "a").credentials()
    with pytest.raises(SettingsError, match="cannot read"):
        Listening(host="x", port=1, certificate=tmp_path / "a", key=tmp_path / "b").credentials()
