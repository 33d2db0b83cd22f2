"""The stream itself: who may hold one, what ends it, and that a cut loses and doubles nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
import pytest
from gateway_support import SHORT_TIMES, PlainWorker, create
from grpc import StatusCode, aio
from over_stream import open_stream
from support.proxy import Proxy
from support.serving_grpc import ServingGrpc
from support.until import until

from tasker import Tasker, proto, step_handler
from tasker.client.profiles import Profile
from tasker.model.errors import Unauthenticated
from tasker.proto import gateway as messages
from tasker.remote.grpc_line import GrpcLine, Stream
from tasker.remote.worker import RemoteWorker
from tasker.server.auth.host import HostAuthenticator, host_principal
from tasker.server.grpc import GrpcServer, Listening
from tasker.settings import Settings
from tasker.store.connection import connect
from tasker.store.errors import RefusedElsewhere, refusal

SETTINGS = Settings(**SHORT_TIMES)
Json = dict[str, Any]


def opening(session: str) -> Json:
    """What begins a session."""
    return {"session_uuid": session, "name": "w", "handlers": [{"name": "a"}, {"name": "b"}]}


async def ask(stream: Stream, what: str, body: Json) -> Json:
    """The fields of an answer; of one that is refused its code."""
    answer = await stream.ask(what, body, 60)
    if answer.WhichOneof(messages.TELLS) == "refused":
        return {"status": answer.refused.status, "code": answer.refused.detail.code}
    return messages.told(getattr(answer, answer.WhichOneof(messages.TELLS)))


@pytest.fixture
async def stream(address: str) -> AsyncIterator[Stream]:
    """A stream to the server."""
    made = open_stream(address)
    yield made
    made.cancel()


async def ended(address: str, requests: list[bytes], **metadata: str) -> StatusCode:
    """How a stream ends to which this was sent."""

    async def sent() -> AsyncIterator[bytes]:
        for request in requests:
            yield request
        await asyncio.sleep(60)

    path = proto.path(proto.methods("WorkerGateway")["Work"])
    async with aio.insecure_channel(address) as channel, asyncio.timeout(60):
        call = channel.stream_stream(path)(sent(), metadata=tuple(metadata.items()))
        with pytest.raises(aio.AioRpcError) as caught:
            async for _ in call:
                pass
    return caught.value.code()


async def test_what_cannot_be_read_ends_the_stream(address: str) -> None:
    """Bytes that are no message have no id under which they could be answered."""
    assert await ended(address, [b"\xff\xff\xff"]) is StatusCode.INVALID_ARGUMENT


async def test_what_cannot_be_done_is_refused_by_itself(stream: Stream) -> None:
    """A request that asks for nothing, says what nobody knows here, or holds what is no JSON is refused, and the next
    one is answered."""
    request = messages.request_class()
    unknown = request(turn={"session_uuid": "x"}).SerializeToString() + b"\xba\x3e\x00"
    bad = request(turn={"session_uuid": str(uuid4()), "turn": 1})
    bad.turn.outcomes.add(task_uuid=str(uuid4()), number=1, attempt=1, kind="succeeded", result=b"{")
    for wrong in (request(), request.FromString(unknown), bad):
        told = await stream.send(wrong, 60)
        assert (told.refused.status, told.refused.detail.code) == (3, "JSON_ERROR")
    assert (await ask(stream, "open", {**opening("no uuid")}))["code"] == "BAD_REQUEST"
    assert (await ask(stream, "beat", {"session_uuid": uuid4()}))["code"] == "NOT_FOUND"
    assert (await ask(stream, "open", opening(str(uuid4()))))["lease_s"] == 60.0


async def test_a_request_that_is_too_large_fails_alone(serving: Tasker) -> None:
    """The stream breaks for it. The worker is told that it was the data of this one, and that nobody knows of the
    others."""
    serving.settings = serving.settings.model_copy(update={"request_bytes_max": 100_000})
    async with GrpcServer(serving.engine(), Listening(host="127.0.0.1", port=0)) as server:
        profile = Profile(url=f"grpc://127.0.0.1:{server.port}")
        line = GrpcLine(profile, lambda: "", call_timeout_s=60)
        session = str(uuid4())
        await line.open(opening(session))
        waiting = asyncio.ensure_future(line.ask(session, "wait", {"wait": 50}))
        outcome = {"task_uuid": uuid4(), "number": 1, "attempt": 1, "kind": "succeeded", "result": "x" * 200_000}
        with pytest.raises(RefusedElsewhere) as refused:
            await line.ask(session, "turn", {"turn": 1, "outcomes": [outcome], "free": [1]})
        assert refusal(refused.value) == "data"
        with pytest.raises(ConnectionError):
            await waiting
        assert (await line.ask(session, "turn", {"turn": 2, "free": [1]}))["grants"] == []
        await line.close()


async def test_who_ends_the_stream_while_a_turn_waits_holds_nothing(
    stream: Stream, serving: Tasker, client: httpx2.AsyncClient
) -> None:
    """A worker that goes away is waited for no longer: what becomes ready then is another's."""
    session = str(uuid4())
    await ask(stream, "open", opening(session))
    waiting = asyncio.ensure_future(ask(stream, "turn", {"session_uuid": session, "turn": 1, "free": [1], "wait": 50}))
    await until(lambda: _turn_is(serving, 1), "the turn waits")
    stream.cancel()
    with pytest.raises(ConnectionError):
        await waiting
    [task] = await create(client)
    other = PlainWorker(client)
    await other.open()
    assert [one["task_uuid"] for one in (await other.turn(wait=20))["grants"]] == [task]


async def _turn_is(tasker: Tasker, turn: int) -> bool:
    connection = await connect(tasker.dsn)
    try:
        return await connection.fetchval("select max(turn) from tasker_engine.remote_sessions") == turn
    finally:
        await connection.close()


async def test_a_waiting_turn_keeps_no_other_waiting(stream: Stream, serving: Tasker) -> None:
    """Beats pass a turn that waits; a newer turn ends it; and past the bound the next request is answered later."""
    session = str(uuid4())
    await ask(stream, "open", opening(session))
    waiting = asyncio.ensure_future(ask(stream, "turn", {"session_uuid": session, "turn": 1, "free": [1], "wait": 50}))
    await until(lambda: _turn_is(serving, 1), "the turn waits")
    assert (await ask(stream, "beat", {"session_uuid": session}))["session_ended"] is False
    assert (await ask(stream, "turn", {"session_uuid": session, "turn": 2, "free": [1]}))["superseded"] is False
    assert (await waiting)["superseded"] is True
    many = [ask(stream, "wait", {"session_uuid": session, "wait": 0.2}) for _ in range(70)]
    assert [one["woken"] for one in await asyncio.gather(*many)] == [False] * 70


async def test_a_server_that_stops_says_so(serving: Tasker) -> None:
    """Turns that wait are given up, and the stream ends with a word to come back."""
    server = GrpcServer(serving.engine(), Listening(host="127.0.0.1", port=0))
    async with server:
        made, session = open_stream(f"127.0.0.1:{server.port}"), str(uuid4())
        await ask(made, "open", opening(session))
        waiting = asyncio.ensure_future(ask(made, "wait", {"session_uuid": session, "wait": 50}))
        await until(lambda: server._calls._open_streams == 1, "the stream is open")
        async with asyncio.timeout(30):
            await server.stop()
            with pytest.raises(ConnectionError, match="the server stops"):
                await waiting


async def test_who_may_not_holds_no_stream(serving: Tasker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials there is none; without the permission each request is refused; and when the caller is known
    no longer the stream ends, though nothing moves in it."""
    monkeypatch.setattr("tasker.server.grpc.gateway.RECHECK_S", 0.01)
    worker = host_principal("w", permissions=["gateway:work"], namespaces=None)
    known = {"w": worker, "other": host_principal("o", permissions=["tasks:read"], namespaces=None)}
    who = HostAuthenticator(lambda request: known.get(request.get("who", "")))
    server = GrpcServer(serving.engine(), Listening(host="127.0.0.1", port=0), authenticator=who)
    async with server:
        address = f"127.0.0.1:{server.port}"
        assert await ended(address, []) is StatusCode.UNAUTHENTICATED
        other = open_stream(address, who="other")
        assert (await ask(other, "open", opening(str(uuid4()))))["code"] == "AUTHORIZATION_FAILED"
        other.cancel()
        made, session = open_stream(address, who="w"), str(uuid4())
        assert (await ask(made, "open", opening(session)))["session_uuid"] == session
        waiting = asyncio.ensure_future(
            ask(made, "turn", {"session_uuid": session, "turn": 1, "free": [1], "wait": 50})
        )
        await until(lambda: _turn_is(serving, 1), "the turn waits")
        del known["w"]
        with pytest.raises(Unauthenticated):
            await waiting


@pytest.fixture
def ran() -> Counter[str]:
    """How often each step was run."""
    return Counter()


def handlers_of(ran: Counter[str]) -> list[Any]:
    """Those of shop/flow, which count."""

    def counting(name: str) -> Any:
        async def run(context: Any) -> Json:
            ran[f"{context.task_uuid} {name}"] += 1
            return {"of": name}

        return step_handler(name)(run)

    return [counting("a"), counting("b")]


@pytest.mark.slow
async def test_cut_and_half_open_streams_lose_and_double_nothing(serving: Tasker, ran: Counter[str]) -> None:
    """Whatever the network does to the stream (cuts in the middle of messages, connections that pass nothing more and
    tell nobody), each step is recorded once, on its first attempt; and what was late is not taken for another."""
    server = ServingGrpc(lambda: Tasker(serving.dsn, worker=False, settings=SETTINGS))
    with server, Proxy(server.url, seed=7) as proxy:
        url = f"grpc://127.0.0.1:{urlsplit(proxy.dsn).port}"
        async with RemoteWorker(url, handlers=handlers_of(ran), settings=SETTINGS) as worker:
            proxy.chance_of_cut = 0.03
            tasks = [await serving.submit("flow", namespace="shop", context={"n": n}) for n in range(30)]
            for task in tasks:
                await serving.wait(task.task_uuid, 120)
            await until(lambda: worker.counts["regrants"] > 0, "a cut met a turn", within_s=60)
            proxy.chance_of_cut = 0.0
            proxy.forget()
            tasks += [await serving.submit("flow", namespace="shop", context={"n": n}) for n in range(10)]
            views = [await serving.wait(task.task_uuid, 120) for task in tasks]
            assert proxy.cuts > 0
    assert {(view.status, step.attempt, step.tries) for view in views for step in view.steps} == {("complete", 1, 1)}
    assert set(ran.values()) == {1}
    assert len(ran) == 2 * len(tasks)
