"""The way in: who calls, what the request says, and an answer or a refusal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterable
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import DecodeError
from grpc import StatusCode
from grpc.aio import ServicerContext

from tasker import proto
from tasker.model.errors import Backpressure, MalformedRequest, RequestTimeout
from tasker.operations import ANYBODY, Operation, Principal, stream
from tasker.operations.registry import admit
from tasker.server.entrance import Attempt, Entrance
from tasker.server.grpc.asked import Asked, Fields, Method, StreamMethod
from tasker.server.grpc.errors import Metadata, refusal
from tasker.server.grpc.wire import plain, written
from tasker.server.rest.body import check_value
from tasker.server.streams import while_allowed

RECHECK_S = 2.0
"""How often it is looked whether the caller of a stream may still watch."""

Context = ServicerContext[bytes, bytes]
Unary = Callable[[bytes, Context], Awaitable[bytes]]
Streaming = Callable[[bytes, Context], AsyncIterator[bytes]]


class Calls:
    """The way from a process's entrance to the operations, over gRPC."""

    def __init__(self, entrance: Entrance) -> None:
        self.entrance, self.engine = entrance, entrance.engine
        self._figures = entrance.metrics.grpc
        self.stopping = asyncio.Event()
        """Ends the streams, which else would go on for as long as their tasks."""
        self._open_streams = 0

    async def caller(self, context: Context, attempt: Attempt) -> Principal:
        """Who calls. Raises Unauthenticated, Forbidden, GuessingRefused."""
        return await self.entrance.caller(headers_of(context.invocation_metadata() or ()), attempt)

    def unary(self, method: Method, known: MethodDescriptor) -> Unary:
        """What answers a method once."""
        settings = self.engine.settings

        async def answer(request: bytes, context: Context, attempt: Attempt) -> bytes:
            principal = ANYBODY if method.is_open else await self.caller(context, attempt)
            async with asyncio.timeout(settings.request_timeout_s) as limit:
                fields = self.read(known.input_type, request)
                found = await method.answer(Asked(self.engine, principal, fields, attempt, limit))
            return written(known.output_type, found).SerializeToString()

        async def call(request: bytes, context: Context) -> bytes:
            attempt = attempt_of(context, method.name, method.operation)
            with self.measured(method.service, method.name) as measure:
                try:
                    with self.entrance.watched(attempt):
                        return measure.fine(await answer(request, context, attempt))
                except TimeoutError:
                    error: Exception = RequestTimeout("the call took too long; what it asked for may happen yet")
                except Exception as caught:  # the edge: every error becomes a status, and what is ours is logged
                    error = caught
                return await context.abort(*measure.refused(refusal(error)))

        return call

    def streaming(self, method: StreamMethod, known: MethodDescriptor) -> Streaming:
        """What answers a method with a stream."""

        async def call(request: bytes, context: Context) -> AsyncGenerator[bytes]:
            attempt = attempt_of(context, method.name, None)
            with self.measured(method.service, method.name, is_stream=True) as measure:
                try:
                    with self.entrance.watched(attempt):
                        async for fields in self._sent(method, request, known, context, attempt):
                            yield written(known.output_type, fields).SerializeToString()
                    measure.fine(b"")
                    return
                except Exception as caught:  # the edge, as above
                    error = caught
                await context.abort(*measure.refused(refusal(error)))

        return call

    def read(self, kind: Descriptor, request: bytes) -> Fields:
        """What a request says. Raises MalformedRequest, RequestTooLarge, InvalidInput."""
        message = parsed(kind, request)
        check_known(message)
        fields = plain(message)
        check_value(fields, self.engine.settings)
        return fields

    async def _sent(
        self, method: StreamMethod, request: bytes, known: MethodDescriptor, context: Context, attempt: Attempt
    ) -> AsyncIterator[Fields]:
        principal = await self.caller(context, attempt)
        asked = Asked(self.engine, principal, self.read(known.input_type, request), attempt)
        operation, given = method.opened(asked)
        attempt.seeks(operation)

        async def may_still() -> None:
            await admit(self.engine, operation, await self.caller(context, attempt), given)

        with self.counted_stream():
            items = await stream(self.engine, operation, asked.principal, given)
            async with aclosing(while_allowed(items, may_still, self.stopping)) as allowed:
                async for item in allowed:
                    if (found := method.sent(asked, item)) is not None:
                        yield found

    @contextmanager
    def counted_stream(self) -> Generator[None]:
        """A stream while it is open. Raises Backpressure where there are too many."""
        if self._open_streams >= self.engine.settings.streams_max:
            raise Backpressure(f"{self._open_streams} streams are open, and no more may be: try again later")
        self._count_streams(1)
        try:
            yield
        finally:
            self._count_streams(-1)

    def _count_streams(self, change: int) -> None:
        self._open_streams += change
        self._figures.streams(change)

    @contextmanager
    def measured(self, service: str, method: str, *, is_stream: bool = False) -> Generator[Measure]:
        """A call, counted and, unless it is a stream, timed; one that its client has given up counts as CANCELLED."""
        began, measure = time.perf_counter(), Measure()
        self._figures.began()
        try:
            yield measure
        finally:
            seconds = None if is_stream else time.perf_counter() - began
            self._figures.answered(service, method, measure.status.name, seconds)


def parsed(kind: Descriptor, request: bytes) -> Any:
    """The message that these bytes are. Raises MalformedRequest."""
    try:
        return proto.class_of(kind).FromString(request)
    except DecodeError as error:
        raise MalformedRequest(f"the request is no {kind.full_name}") from error


def check_known(message: Any) -> None:
    """A field that this server does not know is refused: whoever says it would be misunderstood.

    Raises MalformedRequest; the message loses such fields.
    """
    size = message.ByteSize()
    message.DiscardUnknownFields()
    if message.ByteSize() != size:
        name = message.DESCRIPTOR.name
        raise MalformedRequest(f"the {name} has fields that this server does not know: is it an older one?")


@dataclass(slots=True)
class Measure:
    """How a call has ended."""

    status: StatusCode = StatusCode.CANCELLED

    def fine(self, answer: bytes) -> bytes:
        self.status = StatusCode.OK
        return answer

    def refused(self, told: tuple[StatusCode, str, Metadata]) -> tuple[StatusCode, str, Metadata]:
        self.status = told[0]
        return told


def attempt_of(context: Context, method: str, operation: Operation[Any] | None) -> Attempt:
    """A call, as the record of refused calls would have it."""
    made = Attempt("grpc", method, address_of(context.peer()))
    if operation is not None:
        made.seeks(operation)
    return made


def headers_of(metadata: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    """Metadata as headers; what is said twice is joined, so that no credentials hide behind others."""
    headers: dict[str, str] = {}
    for name, value in metadata:
        if isinstance(value, str):
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def address_of(peer: str) -> str:
    """The host of a peer such as `ipv4:192.0.2.1:51000` or `ipv6:%5B2001:db8::1%5D:51000`, as HTTP has it."""
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return peer
    return unquote(rest).rpartition(":")[0].strip("[]")
