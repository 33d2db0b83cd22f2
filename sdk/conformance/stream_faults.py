"""A server over gRPC that loses answers: the turn is taken, and the stream breaks before the worker hears of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from drive import SETTINGS, Losses
from grpc import aio

from tasker import Tasker
from tasker.model.errors import Backpressure
from tasker.proto import gateway as messages
from tasker.server.grpc import GrpcServer, Listening
from tasker.settings import Settings


class StreamFaults(Losses, aio.ServerInterceptor):
    """Between a server and its streams."""

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """Every call passes here."""
        handler = await continuation(handler_call_details)
        if not handler_call_details.method.endswith("/Work"):
            return handler

        async def work(requests: Any, context: Any) -> None:
            await handler.stream_stream(requests, _Losing(context, self))

        made: Any = grpc
        return made.stream_stream_rpc_method_handler(work)


class _Losing:
    """A stream's context, which writes what is not lost."""

    def __init__(self, context: Any, losses: Losses) -> None:
        self._context, self._losses = context, losses

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def write(self, answer: bytes) -> None:
        """Sends an answer, or breaks the stream."""
        is_turn = messages.answer_class().FromString(answer).WhichOneof(messages.TELLS) == "turn"
        if is_turn and self._losses.loses():
            raise Backpressure("the answer is lost", 1)
        await self._context.write(answer)


@asynccontextmanager
async def served_grpc(dsn: str) -> AsyncGenerator[tuple[str, Losses]]:
    """A server over gRPC: its address, and what it loses."""
    faults = StreamFaults()
    async with Tasker(dsn, worker=False, settings=Settings(**SETTINGS)) as tasker:  # pyright: ignore[reportCallIssue]
        listening = Listening(host="127.0.0.1", port=0)
        async with GrpcServer(tasker.engine(), listening, interceptors=[faults]) as server:
            yield f"grpc://127.0.0.1:{server.port}", faults
