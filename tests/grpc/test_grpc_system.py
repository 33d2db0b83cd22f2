"""Health, reflection, configuration and the list of operations over gRPC; TLS."""

from __future__ import annotations

from pathlib import Path

import grpc
import orjson
import pytest
from google.protobuf import descriptor_pb2
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_support import Client, client_of
from support.certificates import certificate_of_localhost

from tasker import Tasker, proto
from tasker.operations import OPERATIONS
from tasker.server.auth.host import HostAuthenticator, host_principal
from tasker.server.auth.keys import new_key
from tasker.server.auth.wiring import authenticator
from tasker.server.grpc import GrpcServer, Listening

DEEP = b"[" * 99 + b"]" * 99
NOBODY_KNOWN = HostAuthenticator(lambda _: None)


async def test_health_is_for_everybody(grpc_idle: Tasker) -> None:
    """The standard service and ours answer without credentials; a service that there is not is not found."""
    async with client_of(grpc_idle, authenticator=NOBODY_KNOWN) as client:
        stub = health_pb2_grpc.HealthStub(client.channel)
        for service in ("", *(one.full_name for one in proto.services().values())):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(aio.AioRpcError) as caught:
            await stub.Check(health_pb2.HealthCheckRequest(service="dance"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        for service in ("HealthService", "WorkerHealthService"):
            assert (await client.call(service, "CheckLiveness")).status == "healthy"
            assert (await client.call(service, "CheckReadiness")).status == "degraded"


async def test_without_a_database_nothing_is_ready(grpc_idle: Tasker) -> None:
    """The process lives and says so; readiness is UNAVAILABLE, and the details name what is wrong and no address."""
    async with client_of(grpc_idle) as client:
        await grpc_idle._connections.close()
        assert (await client.call("HealthService", "CheckHealth")).status == "healthy"
        for service in ("HealthService", "WorkerHealthService"):
            with pytest.raises(aio.AioRpcError) as caught:
                await client.call(service, "CheckReadiness")
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            found = await client.call(service, "CheckDetailedHealth")
            assert found.status == "unhealthy"
            assert "postgres" not in str(found)


async def test_a_stopping_server_says_so(grpc_idle: Tasker) -> None:
    """Whoever watches the health is told when the server begins to stop."""
    server = GrpcServer(grpc_idle.engine(), Listening(host="127.0.0.1", port=0))
    async with server, aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        watched = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watched.read()).status == health_pb2.HealthCheckResponse.SERVING
        await server._health.enter_graceful_shutdown()
        assert (await watched.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watched.cancel()


async def test_the_services_describe_themselves(idle_client: Client) -> None:
    """Reflection names every service and gives their files; a client can be made of nothing else."""
    stub = reflection_pb2_grpc.ServerReflectionStub(idle_client.channel)
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="tasker.v1.TaskService"),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="grpc.health.v1.Health"),
    ]
    names, ours, health = [one async for one in stub.ServerReflectionInfo(iter(asked))]
    listed = {one.name for one in names.list_services_response.service}
    assert listed >= {one.full_name for one in proto.services().values()} | {"grpc.health.v1.Health"}
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(one)
        for one in ours.file_descriptor_response.file_descriptor_proto
    ]
    assert "tasker/v1/tasks.proto" in {file.name for file in files}
    assert health.file_descriptor_response.file_descriptor_proto


async def test_reflection_can_be_off(grpc_idle: Tasker) -> None:
    """Then nobody is told what there is, and the services answer as before."""
    async with client_of(grpc_idle, server_grpc_reflection=False) as client:
        stub = reflection_pb2_grpc.ServerReflectionStub(client.channel)
        with pytest.raises(aio.AioRpcError) as caught:
            asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
            _ = [one async for one in stub.ServerReflectionInfo(asked)]
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        await client.create()


async def test_every_operation_can_be_called(idle_client: Client) -> None:
    """The list holds all operations with their schemas; what has no method of its own is called by its name."""
    listed = (await idle_client.call("OperationService", "ListOperations")).operations
    assert [one.name for one in listed] == sorted(OPERATIONS)
    assert all(one.permission and one.summary and one.given["type"] == "object" for one in listed)
    made = await idle_client.create()
    given = {"task_uuid": made.task_uuid}
    await idle_client.call("OperationService", "Call", operation="pause_task", given=given)
    history = await idle_client.call("OperationService", "Call", operation="get_task_history", given=given)
    assert history.answer.list_value
    task = await idle_client.call("OperationService", "Call", operation="get_task", given=given)
    assert task.answer.struct_value["is_paused"] is True


async def test_an_operation_is_called_in_json(idle_client: Client) -> None:
    """Who sends JSON is answered in JSON, with whole numbers of any size; the limits are those of HTTP."""
    given = b'{"name": "order", "namespace": "shop", "context": {"amount": 9007199254740993}}'
    made = await idle_client.call("OperationService", "Call", operation="create_task", given_json=given)
    assert not made.HasField("answer")
    task = orjson.loads(made.answer_json)["task_uuid"]
    one = orjson.dumps({"task_uuid": task})
    found = await idle_client.call("OperationService", "Call", operation="get_task_context", given_json=one)
    assert orjson.loads(found.answer_json)["inputs"] == {"amount": 9007199254740993}
    update = await idle_client.stream("OperationService", "Watch", operation="watch_tasks", given_json=b"{}").read()
    assert orjson.loads(update.answer_json)["update_type"] == "ready"


@pytest.mark.parametrize(
    ("method", "fields", "code"),
    [
        ("Call", {"operation": "get_task", "given_json": b"{"}, "INVALID_ARGUMENT"),
        ("Call", {"operation": "get_task", "given_json": b"[]"}, "INVALID_ARGUMENT"),
        ("Call", {"operation": "list_tasks", "given": {"page": 1}, "given_json": b"{}"}, "INVALID_ARGUMENT"),
        (
            "Call",
            {"operation": "create_task", "given_json": b'{"context": %s1%s}' % (b"[" * 99, b"]" * 99)},
            "INVALID_ARGUMENT",
        ),
        ("Call", {"operation": "dance"}, "NOT_FOUND"),
        ("Call", {"operation": "watch_tasks"}, "INVALID_ARGUMENT"),
        ("Call", {"operation": "get_task", "given": {"colour": "red"}}, "INVALID_ARGUMENT"),
        ("Call", {"operation": "create_task", "given": {"name": 3}}, "INVALID_ARGUMENT"),
    ],
)
async def test_an_operation_that_cannot_be_called_is_told(
    idle_client: Client, method: str, fields: dict[str, object], code: str
) -> None:
    """Names that are none, streams that are called, and inputs that are not theirs."""
    with pytest.raises(aio.AioRpcError) as caught:
        await idle_client.call("OperationService", method, **fields)
    assert caught.value.code() is getattr(grpc.StatusCode, code)


async def test_permissions_of_a_worker_are_its_own(grpc_idle: Tasker) -> None:
    """worker:templates_read opens the worker's list of templates and not the server's, and the other way round."""
    for permission, opened in (
        ("worker:templates_read", "WorkerTemplateService"),
        ("templates:read", "TemplateService"),
    ):
        who = HostAuthenticator(
            lambda _, permission=permission: host_principal("ann", permissions=[permission], namespaces=None)
        )
        async with client_of(grpc_idle, authenticator=who) as client:
            for service in ("WorkerTemplateService", "TemplateService"):
                if service == opened:
                    await client.call(service, "ListTemplates")
                    continue
                with pytest.raises(aio.AioRpcError) as caught:
                    await client.call(service, "ListTemplates")
                assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_tls(grpc_idle: Tasker, tmp_path: Path) -> None:
    """With a certificate the connection is TLS: who trusts it gets through, and in the clear nobody does."""
    certificate, key = certificate_of_localhost(tmp_path)
    listening = Listening(host="127.0.0.1", port=0, certificate=certificate, key=key)
    async with GrpcServer(grpc_idle.engine(), listening) as server:
        trusting = grpc.ssl_channel_credentials(certificate.read_bytes())
        address = f"localhost:{server.port}"
        async with aio.secure_channel(address, trusting) as channel:
            assert (await Client(channel, address).create()).task_uuid
        async with aio.insecure_channel(address) as channel:
            with pytest.raises(aio.AioRpcError):
                await Client(channel, address).create()


async def test_who_may_no_longer_watch_is_told(grpc_idle: Tasker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream ends when its caller's permission does, though nothing moves in it."""
    monkeypatch.setattr("tasker.server.streams.RECHECK_S", 0.01)
    who = [host_principal("ann", roles=["admin"], namespaces=None)]
    async with client_of(grpc_idle, authenticator=HostAuthenticator(lambda _: who[0])) as client:
        made = await client.create()
        watched = client.stream("TaskService", "StreamTaskStatus", task_uuid=made.task_uuid)
        await watched.read()
        who[0] = host_principal("ann", permissions=["steps:read"], namespaces=None)
        with pytest.raises(aio.AioRpcError) as caught:
            await watched.read()
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_who_guesses_over_grpc_is_told_to_wait(grpc_idle: Tasker) -> None:
    """As many bad keys as the setting says are UNAUTHENTICATED, the next is RESOURCE_EXHAUSTED, whatever the port."""
    statuses: list[grpc.StatusCode] = []
    made = authenticator(grpc_idle.settings, grpc_idle.engine().ask)
    async with client_of(grpc_idle, authenticator=made, auth_failures_per_minute=3) as client:
        for _ in range(5):
            options = [("grpc.use_local_subchannel_pool", 1)]
            async with aio.insecure_channel(client.address, options=options) as channel:
                guessing = Client(channel, client.address, (("x-api-key", new_key().text),))
                with pytest.raises(aio.AioRpcError) as caught:
                    await guessing.create()
                statuses.append(caught.value.code())
    assert [status.name for status in statuses] == ["UNAUTHENTICATED"] * 3 + ["RESOURCE_EXHAUSTED"] * 2
