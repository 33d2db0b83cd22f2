"""Calls of workers as a test says them over HTTP, sent over a stream of gRPC instead."""

from __future__ import annotations

import re

import grpc
import httpx2
import orjson

from tasker import proto
from tasker.client.rpc_errors import HTTP_STATUS
from tasker.proto import gateway as messages
from tasker.remote.grpc_line import Stream, status_of

WITHIN_S = 60


def open_stream(address: str, **metadata: str) -> Stream:
    """A stream to a server."""
    channel = grpc.insecure_channel(address)
    return Stream(proto.Stub(channel, "WorkerGateway").Work, tuple(metadata.items()), f"grpc://{address}")


class OverStream(httpx2.AsyncBaseTransport):
    """Requests of workers go over the stream, and what is answered comes back as HTTP would say it; all other requests
    go their own way."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, address: str) -> None:
        self._inner = inner
        self._address = address
        self._stream: Stream | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        found = re.fullmatch(r"/v1/worker/sessions(?:/([^/]+)/(\w+))?", request.url.path)
        if found is None:
            return await self._inner.handle_async_request(request)
        if self._stream is None:
            self._stream = open_stream(self._address)
        body = orjson.loads(await request.aread())
        named = {"session_uuid": found[1]} if found[1] else {}
        answer = await self._stream.ask(found[2] or "open", {**body, **named}, WITHIN_S)
        tells = answer.WhichOneof(messages.TELLS)
        if tells != "refused":
            return httpx2.Response(200, json=messages.told(getattr(answer, tells)))
        detail = answer.refused.detail
        error = {"code": detail.code, "message": detail.message, **detail.metadata}
        return httpx2.Response(HTTP_STATUS.get(status_of(answer.refused), 500), json={"error": error})

    async def aclose(self) -> None:
        if self._stream is not None:
            self._stream.cancel()
