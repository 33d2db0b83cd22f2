"""The way in: who calls, what the request says, and an answer or a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing

from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import DecodeError
from grpc.aio import ServicerContext

from tasker import proto
from tasker.model.errors import Backpressure, MalformedRequest, RequestTimeout
from tasker.operations import ANYBODY, Engine, Principal, stream
from tasker.operations.registry import admit
from tasker.server.auth import Authenticator
from tasker.server.callers import Callers
from tasker.server.grpc.asked import Asked, Fields, Method, StreamMethod
from tasker.server.grpc.errors import refusal
from tasker.server.grpc.wire import plain, written
from tasker.server.rest.body import check_value
from tasker.server.streams import while_allowed

RECHECK_S = 2.0
"""How often it is looked whether the caller of a stream may still watch."""

Context = ServicerContext[bytes, bytes]
Unary = Callable[[bytes, Context], Awaitable[bytes]]
Streaming = Callable[[bytes, Context], AsyncIterator[bytes]]


class Calls:
    """The engine behind the methods, and who tells callers apart; None lets everybody in."""

    def __init__(self, engine: Engine, authenticator: Authenticator | None) -> None:
        self.engine = engine
        self.stopping = asyncio.Event()
        """Ends the streams, which else would go on for as long as their tasks."""
        per_minute = engine.settings.auth_failures_per_minute
        self._callers = None if authenticator is None else Callers(authenticator, per_minute)
        self._open_streams = 0

    async def caller(self, context: Context) -> Principal:
        """Who calls. Raises Unauthenticated, Forbidden, QuotaExceeded."""
        if self._callers is None:
            return ANYBODY
        return await self._callers.principal(
            headers_of(context.invocation_metadata() or ()), address_of(context.peer())
        )

    def unary(self, method: Method, known: MethodDescriptor) -> Unary:
        """What answers a method once."""
        settings = self.engine.settings

        async def answer(request: bytes, context: Context) -> bytes:
            principal = ANYBODY if method.is_open else await self.caller(context)
            async with asyncio.timeout(settings.request_timeout_s) as limit:
                fields = self.read(known.input_type, request)
                if wait_s := fields.get("wait_s"):
                    now = asyncio.get_running_loop().time()
                    limit.reschedule(now + min(wait_s, settings.wait_s_max) + settings.request_timeout_s)
                found = await method.answer(Asked(self.engine, principal, fields))
            return written(known.output_type, found).SerializeToString()

        async def call(request: bytes, context: Context) -> bytes:
            try:
                return await answer(request, context)
            except TimeoutError:
                error: Exception = RequestTimeout("the call took too long; what it asked for may happen yet")
            except Exception as caught:  # the edge: every error becomes a status, and what is ours to mend is logged
                error = caught
            return await context.abort(*refusal(error))

        return call

    def streaming(self, method: StreamMethod, known: MethodDescriptor) -> Streaming:
        """What answers a method with a stream."""

        async def call(request: bytes, context: Context) -> AsyncGenerator[bytes]:
            try:
                async for fields in self._sent(method, self.read(known.input_type, request), context):
                    yield written(known.output_type, fields).SerializeToString()
                return
            except Exception as caught:  # the edge, as above
                error = caught
            await context.abort(*refusal(error))

        return call

    def read(self, kind: Descriptor, request: bytes) -> Fields:
        """What a request says. Raises MalformedRequest, RequestTooLarge, InvalidInput.

        A field that this server does not know is refused: whoever says it would be misunderstood.
        """
        try:
            message = proto.class_of(kind).FromString(request)
        except DecodeError as error:
            raise MalformedRequest(f"the request is no {kind.full_name}") from error
        size = message.ByteSize()
        message.DiscardUnknownFields()
        if message.ByteSize() != size:
            raise MalformedRequest(f"the {kind.name} has fields that this server does not know: is it an older one?")
        fields = plain(message)
        check_value(fields, self.engine.settings)
        return fields

    async def _sent(self, method: StreamMethod, fields: Fields, context: Context) -> AsyncIterator[Fields]:
        asked = Asked(self.engine, await self.caller(context), fields)
        operation, given = method.opened(asked)
        if self._open_streams >= self.engine.settings.streams_max:
            raise Backpressure(f"{self._open_streams} streams are open, and no more may be: try again later")

        async def may_still() -> None:
            await admit(self.engine, operation, await self.caller(context), given)

        self._open_streams += 1
        try:
            items = await stream(self.engine, operation, asked.principal, given)
            async with aclosing(while_allowed(items, may_still, self.stopping)) as allowed:
                async for item in allowed:
                    if (found := method.sent(asked, item)) is not None:
                        yield found
        finally:
            self._open_streams -= 1


def headers_of(metadata: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    """Metadata as headers; what is said twice is joined, so that no credentials hide behind others."""
    headers: dict[str, str] = {}
    for name, value in metadata:
        if isinstance(value, str):
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def address_of(peer: str) -> str:
    """The host of a peer such as `ipv4:192.0.2.1:51000`, without its port."""
    return peer.rpartition(":")[0]
