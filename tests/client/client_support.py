"""Both clients behind one face, the template of their tests, and servers that answer as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from inspect import isgeneratorfunction
from typing import Any

import httpx2
import orjson
from support.serving import Serving
from support.serving_grpc import ServingGrpc

from tasker import Tasker, step_handler
from tasker.client import AsyncTaskerClient, TaskerClient

ORDER = """
tasker: 1
namespace_name: shop
name: order
version: 1.0.0
input_schema: {type: object, properties: {amount: {type: number}}}
steps:
  - {name: check, handler: check}
  - {name: charge, handler: charge, dependencies: [check], retry: {max_attempts: 1}}
"""
NOBODY = "0198c0de-0000-7000-8000-000000000001"


@step_handler("check")
async def check(context: Any) -> dict[str, Any]:
    """Passes the amount on."""
    return {"amount": context.get_input("amount") or 0}


@step_handler("charge")
async def charge(context: Any) -> dict[str, Any]:
    """Fails for a negative amount."""
    if (context.get_input("amount") or 0) < 0:
        raise ValueError("a negative amount")
    return {"paid": True}


HANDLERS = [check, charge]


class Awaited:
    """The client without await, with await: its calls run in a thread."""

    def __init__(self, client: TaskerClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if name.startswith("watch_") or isgeneratorfunction(method):
            return lambda *words, **named: _items(method(*words, **named))

        async def call(*words: Any, **named: Any) -> Any:
            return await asyncio.to_thread(method, *words, **named)

        return call

    async def aclose(self) -> None:
        """Closes it."""
        self._client.close()


async def _items(items: Iterator[Any]) -> AsyncIterator[Any]:
    end = object()
    while (item := await asyncio.to_thread(next, items, end)) is not end:
        yield item


class Script:
    """A transport that gives these answers in turn, and keeps what was asked. The last answer is given for ever."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[httpx2.Request] = []

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        if "content-length" in answer.headers:  # a response can be read once
            return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return answer

    @property
    def transport(self) -> httpx2.MockTransport:
        """For either client."""
        return httpx2.MockTransport(self._answer)


def refusal(status: int, code: str, kind: str | None = None, **more: Any) -> httpx2.Response:
    """An answer with an error body."""
    body = {"code": code, "message": "it says why", **({"kind": kind} if kind else {}), **more}
    return httpx2.Response(status, json={"error": body})


def update(kind: str, cursor: str, *, is_last: bool = False) -> bytes:
    """An update of a stream, as the server sends it."""
    data = {
        "update_type": kind, "timestamp": "2030-01-01T00:00:00Z", "task_uuid": NOBODY, "namespace": "shop",
        "name": "order", "task_state": "complete" if is_last else None, "step": None, "error_message": None,
        "is_last": is_last, "cursor": cursor,
    }  # fmt: skip
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (cursor.encode(), kind.encode(), orjson.dumps(data))


def events(*parts: bytes, cut: bool = False) -> httpx2.Response:
    """A stream of these, which then ends, or breaks."""

    class Parts(httpx2.SyncByteStream, httpx2.AsyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield from parts
            if cut:
                raise httpx2.ReadError("cut")

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for part in self:
                yield part

    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Parts())


Making = Callable[..., Any]
AnyServing = Serving | ServingGrpc


def making(kind: str) -> Making:
    """What makes a client, of the kind that the text ends in."""
    if kind.endswith("with await"):
        return AsyncTaskerClient
    return lambda *words, **named: Awaited(TaskerClient(*words, **named))


def serving_over(way: str, make: Callable[[], Tasker], **options: Any) -> AnyServing:
    """A server that is not yet started, over HTTP or over gRPC as the text says."""
    if "over gRPC" in way:
        return ServingGrpc(make, **options)
    return Serving(lambda: make().asgi(), **options)
