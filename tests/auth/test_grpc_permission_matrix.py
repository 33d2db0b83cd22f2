"""Who may what over gRPC: every method, and every operation by its name, for every kind of caller. Generated."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import grpc
import pytest
from api import Api
from grpc import aio
from mint import Mint
from test_permission_matrix import (
    EVERYTHING,
    INPUTS,
    OURS,
    THEIRS,
    api,
    names_of,
    nobodies,
    opens,
    session_of,
    theirs_as_it_is,
)

from tasker import proto
from tasker.operations import OPERATIONS, PERMISSIONS
from tasker.operations.registry import Operation, Scope
from tasker.server.grpc import GrpcServer, Listening
from tasker.server.grpc.asked import Asked
from tasker.server.grpc.methods import METHODS, STREAMS
from tasker.server.rest.routes import ROUTES

assert api  # the fixture: a server with a task of each of two namespaces

MORE: Mapping[str, dict[str, Any]] = {
    "ResolveStep": {"action_type": 2, "performed_by": "me", "reason": "r"},
    "UpdateInvestigation": {"resolution_notes": "looked at"},
    "ListTasks": {"pagination": {"limit": 5}},
}
"""What methods need beside the names of things."""


@dataclass(frozen=True)
class Rpc:
    """A method, or an operation that is called by its name."""

    service: str
    name: str
    operation: Operation[Any]

    @property
    def is_stream(self) -> bool:
        return proto.methods(self.service)[self.name].server_streaming

    def request(self, names: Mapping[str, str]) -> Any:
        """About something of a namespace."""
        message = proto.class_of(proto.methods(self.service)[self.name].input_type)
        if self.service == "OperationService":
            return message(operation=self.operation.name, given=_given(self.operation, names))
        known = {name: names[name] for name in message.DESCRIPTOR.fields_by_name if name in names}
        return message(**known, **MORE.get(self.name, {}))


def _given(operation: Operation[Any], names: Mapping[str, str]) -> dict[str, Any]:
    """What the matrix of REST sends, as one object."""
    route = next(route for route in ROUTES if route.operation is operation)
    sent = INPUTS.get(operation.name, lambda _: {})(names)
    body = sent.get("body", {})
    said = {route.body_field: body} if route.body_field else body
    return {**{name: names[name] for name in route.in_path}, **said, **dict(parse_qsl(sent.get("query", "")))}


def rpcs() -> list[Rpc]:
    """Everything that can be called and is not open to everybody."""
    named = [Rpc(one.service, one.name, one.operation) for one in METHODS if one.operation is not None]
    routed = {route.operation.name for route in ROUTES}
    by_name = [
        Rpc("OperationService", "Watch" if one.is_stream else "Call", one)
        for one in OPERATIONS.values()
        if one.name in routed
    ]
    watch = next(one for one in STREAMS if one.name == "StreamTaskStatus")
    nothing: Any = None
    of_watch, _ = watch.opened(Asked(nothing, nothing, {"task_uuid": "01987654-0000-7000-8000-000000000001"}, nothing))
    return [*named, Rpc("TaskService", "StreamTaskStatus", of_watch), *by_name]


@dataclass
class Caller:
    """Calls methods of the server about things of a namespace."""

    api: Api
    channel: aio.Channel

    async def ask(self, rpc: Rpc, headers: Mapping[str, str], namespace: str) -> tuple[grpc.StatusCode, str]:
        """The status, and all that was told: of a stream the first message."""
        names = {**names_of(self.api, namespace), **await session_of(self.api, dict(headers), rpc.operation)}
        stub = getattr(proto.Stub(self.channel, rpc.service), rpc.name)
        running = stub(rpc.request(names), metadata=tuple(headers.items()), timeout=60)
        try:
            told = await (running.read() if rpc.is_stream else running)
        except aio.AioRpcError as error:
            return error.code(), error.details() or ""
        finally:
            running.cancel()
        return grpc.StatusCode.OK, str(told)


@pytest.fixture
async def caller(api: Api) -> AsyncIterator[Caller]:
    """The same server over gRPC, with the same authenticator."""
    listening = Listening(host="127.0.0.1", port=0)
    server = GrpcServer(api.tasker.engine(), listening, authenticator=api.authenticator)
    async with server, aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield Caller(api, channel)


def described(rpc: Rpc, who: str, found: tuple[grpc.StatusCode, str], wanted: str) -> str:
    return f"{rpc.service}.{rpc.name} {rpc.operation.name} as {who}: {found} where {wanted} was due"


def test_nothing_is_left_out() -> None:
    """Each method and each operation is in the matrix, but those that are open to everybody."""
    found = rpcs()
    assert {(one.service, one.name) for one in found} >= {(m.service, m.name) for m in METHODS if m.operation}
    assert {one.operation.name for one in found if one.service == "OperationService"} == set(OPERATIONS)


async def test_nobody_is_told_anything_over_grpc(caller: Caller) -> None:
    """Without good credentials every method answers UNAUTHENTICATED, also the list of operations."""
    callers, wrong, asked = await nobodies(caller.api), [], 0
    for rpc in rpcs():
        for who, headers in callers.items():
            found = await caller.ask(rpc, headers, OURS)
            asked += 1
            if found[0] is not grpc.StatusCode.UNAUTHENTICATED:
                wrong.append(described(rpc, who, found, "UNAUTHENTICATED"))
    with pytest.raises(aio.AioRpcError) as caught:
        await proto.Stub(caller.channel, "OperationService").ListOperations(proto.message("ListOperationsRequest")())
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    print(f"\n{asked} calls of nobody, {len(wrong)} mismatches")
    assert (asked, wrong) == (len(rpcs()) * len(callers), [])


async def test_each_permission_opens_its_methods_and_no_other(caller: Caller) -> None:
    """For each method and each permission alone: PERMISSION_DENIED unless it is the one that is needed."""
    wrong: list[str] = []
    counts: Counter[str] = Counter()
    for number, permission in enumerate(PERMISSIONS):
        token = Mint(("RS256", "ES256", "EdDSA")[number % 3]).token(permissions=[permission], namespaces=[OURS])
        by_key = await caller.api.key(permission, namespaces=[OURS])
        headers = by_key if number % 2 else {"authorization": f"Bearer {token}"}
        for rpc in rpcs():
            status, message = await caller.ask(rpc, headers, OURS)
            is_open = opens(permission, rpc.operation)
            counts["open" if is_open else "closed"] += 1
            was_open = status not in (
                grpc.StatusCode.PERMISSION_DENIED,
                grpc.StatusCode.UNAUTHENTICATED,
                grpc.StatusCode.NOT_FOUND,
                grpc.StatusCode.INTERNAL,
                grpc.StatusCode.UNIMPLEMENTED,
            )
            if was_open != is_open or (not is_open and status is not grpc.StatusCode.PERMISSION_DENIED):
                due = "an answer" if is_open else "PERMISSION_DENIED"
                wrong.append(described(rpc, permission, (status, message), due))
    print(f"\n{counts.total()} calls with one permission each, {counts['open']} open, {len(wrong)} mismatches")
    assert counts.total() == len(rpcs()) * len(PERMISSIONS)
    assert wrong == []


async def test_all_permissions_open_all_methods(caller: Caller) -> None:
    """With every `resource:*` of all namespaces each method answers."""
    headers, wrong = await caller.api.key(*EVERYTHING), []
    closed = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.INTERNAL,
              grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED)  # fmt: skip
    for rpc in rpcs():
        found = await caller.ask(rpc, headers, THEIRS)
        if found[0] in closed:
            wrong.append(described(rpc, "everything", found, "an answer"))
    print(f"\n{len(rpcs())} calls with all permissions, {len(wrong)} mismatches")
    assert wrong == []


@pytest.mark.parametrize("reached", [[OURS], []])
async def test_another_namespace_is_not_there_over_grpc(caller: Caller, reached: list[str]) -> None:
    """With all permissions in other namespaces, nothing of this one is told or done."""
    headers, wrong = await caller.api.key(*EVERYTHING, namespaces=reached), []
    before = await theirs_as_it_is(caller.api)
    denied, missing, ok = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.OK
    wanted = {
        Scope.TASK: {missing},
        Scope.NAMESPACE: {denied},
        Scope.WHOLE: {denied},
        Scope.ACROSS: {ok, denied, missing},
    }
    statuses: Counter[str] = Counter()
    for rpc in rpcs():
        found = await caller.ask(rpc, headers, THEIRS)
        statuses[found[0].name] += 1
        told_something = any(word in found[1] for word in ("secret of", "initiator of", "tag-of", "reason of"))
        if found[0] not in wanted[rpc.operation.scope] or told_something:
            wrong.append(described(rpc, f"a caller of {reached}", found, str(wanted[rpc.operation.scope])))
    print(f"\n{statuses.total()} calls from another namespace, {dict(statuses)}, {len(wrong)} mismatches")
    assert wrong == []
    assert await theirs_as_it_is(caller.api) == before


async def test_the_matrix_sees_a_method_that_is_left_open(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a method to let in whoever has credentials, the matrix would tell."""
    headers = await caller.api.key("dlq:read", namespaces=[OURS])
    rpc = next(one for one in rpcs() if one.name == "ListTemplates")
    assert (await caller.ask(rpc, headers, OURS))[0] is grpc.StatusCode.PERMISSION_DENIED
    monkeypatch.setattr("tasker.operations.principal.Principal.holds", lambda self, permission: True)
    assert (await caller.ask(rpc, headers, OURS))[0] is grpc.StatusCode.OK
