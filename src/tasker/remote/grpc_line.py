"""A line over gRPC: one stream of requests and answers, which opens with the first call and again after a cut.

Importing this needs `tasker-engine[grpc]`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import grpc
from grpc import StatusCode

from tasker import proto
from tasker.client.channels import async_channel, metadata_of
from tasker.client.profiles import Profile
from tasker.client.rpc_errors import error_detailed, error_of_call
from tasker.model.errors import RequestTooLarge, ServerUnavailable, TaskerError
from tasker.proto import gateway as messages
from tasker.remote.line import Line, raised

_STATUSES: dict[int, str] = {}
for _status in StatusCode:
    _number: Any = _status.value
    _STATUSES[_number[0]] = _status.name


class GrpcLine(Line):
    """See Line."""

    def __init__(self, profile: Profile, session: Callable[[], str], *, call_timeout_s: float | None) -> None:
        super().__init__(profile, session, call_timeout_s=call_timeout_s)
        self._metadata = metadata_of(profile.headers())
        self._channel = async_channel(profile)
        self._stream: Stream | None = None

    async def greet(self) -> None:
        """See Line."""
        check = proto.Stub(self._channel, "HealthService").CheckReadiness
        try:
            await check(proto.message("ReadinessRequest")(), timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise ServerUnavailable(str(error_of_call(error, self._profile.url))) from error

    async def _call(self, what: str, session: str, body: Mapping[str, Any], within_s: float) -> Any:
        if self._is_closed:
            raise ConnectionError("the line is closed")
        if self._stream is None or self._stream.is_over:
            work = proto.Stub(self._channel, "WorkerGateway").Work
            self._stream = Stream(work, self._metadata, self._profile.url)
        answer = await self._stream.ask(what, {**body, "session_uuid": session}, within_s)
        tells = answer.WhichOneof(messages.TELLS)
        if tells == "refused":
            raise raised(error_detailed(status_of(answer.refused), answer.refused.detail))
        return messages.told(getattr(answer, tells))

    async def _hang_up(self) -> None:
        if self._stream is not None:
            self._stream.cancel()
        await self._channel.close()


def status_of(refused: Any) -> str:
    """The name of the status of a request that was refused."""
    return _STATUSES.get(refused.status, "UNKNOWN")


class Stream:
    """A stream that is open, until it is over: then each call that is under way has met what ended it."""

    def __init__(self, work: Any, metadata: Any, url: str) -> None:
        self._url = url
        self._outgoing: asyncio.Queue[Any] = asyncio.Queue()
        self._open: dict[int, tuple[int, asyncio.Future[Any]]] = {}
        self._last_id = 0
        self._call = work(self._requests(), metadata=metadata)
        self._reading = asyncio.create_task(self._read())
        self.is_over = False

    async def ask(self, what: str, body: Mapping[str, Any], within_s: float) -> Any:
        """The WorkAnswer to a request. Raises ConnectionError, TimeoutError, and what ended the stream. Whoever stops
        waiting leaves the others undisturbed."""
        self._last_id = number = self._last_id + 1
        request = messages.said(messages.request_class().DESCRIPTOR, {"request_id": number, what: body})
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._open[number] = request.ByteSize(), answer
        self._outgoing.put_nowait(request)
        try:
            async with asyncio.timeout(within_s):
                return await answer
        except TimeoutError as error:
            self.cancel()  # nobody knows what the connection is good for: the next call has another
            raise TimeoutError(f"{self._url} did not answer in time") from error
        finally:
            del self._open[number]

    def cancel(self) -> None:
        """Ends it."""
        self.is_over = True
        self._reading.cancel()
        self._call.cancel()
        self._end(ConnectionError(f"the stream to {self._url} was ended"))

    async def _requests(self) -> AsyncIterator[Any]:
        while (request := await self._outgoing.get()) is not None:
            yield request

    async def _read(self) -> None:
        error: TaskerError = ServerUnavailable(f"{self._url} ended the stream")
        try:
            async for answer in self._call:
                asked = self._open.get(answer.request_id)
                if asked is not None and not asked[1].done():
                    asked[1].set_result(answer)
        except grpc.RpcError as met:
            error = error_of_call(met, self._url)
        self.is_over = True
        if isinstance(error, RequestTooLarge):
            self._blame_largest(error)
            error = ServerUnavailable(f"{self._url} ended the stream for a request that was too large")
        self._end(raised(error))

    def _blame_largest(self, error: RequestTooLarge) -> None:
        """The server does not say which request it was."""
        if self._open:
            _, answer = max(self._open.values(), key=lambda asked: asked[0])
            _fail(answer, raised(error))

    def _end(self, error: Exception) -> None:
        self._outgoing.put_nowait(None)
        for _, answer in self._open.values():
            _fail(answer, error)


def _fail(answer: asyncio.Future[Any], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
