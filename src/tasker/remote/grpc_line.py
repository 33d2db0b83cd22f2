"""A line over gRPC: one stream of requests and answers, which opens with the first call and again after a cut.

The stream is one of plain grpc, read in a thread, and not of grpc.aio: a worker has a loop for its turns and another
for its heartbeat, and grpc.aio has one queue of events for all loops of a process, where they disturb each other.

Importing this needs `tasker-engine[grpc]`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

import grpc
from grpc import StatusCode

from tasker import proto
from tasker.client.channels import channel, metadata_of
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

    def __init__(
        self,
        profile: Profile,
        session: Callable[[], str],
        *,
        call_timeout_s: float | None,
        listens: asyncio.Event | None = None,
    ) -> None:
        super().__init__(profile, session, call_timeout_s=call_timeout_s, listens=listens)
        self._metadata = metadata_of(profile.headers())
        self._channel = channel(profile)
        self._stream: Stream | None = None

    async def greet(self) -> None:
        """See Line."""
        loop, answered = asyncio.get_running_loop(), asyncio.Event()
        check = proto.Stub(self._channel, "HealthService").CheckReadiness
        asked = check.future(proto.message("ReadinessRequest")(), timeout=self._timeout_s)

        def done(_: object) -> None:
            _tell(loop, answered.set)

        asked.add_done_callback(done)
        await answered.wait()
        try:
            asked.result()
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
        self._channel.close()


def status_of(refused: Any) -> str:
    """The name of the status of a request that was refused."""
    return _STATUSES.get(refused.status, "UNKNOWN")


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[..., object], *about: Any) -> None:
    """Called in a thread of gRPC's."""
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(what, *about)


class Stream:
    """A stream that is open, until it is over: then each request that is under way has met what ended it.

    `work` is the method of a channel of grpc. All but the reading happens in the loop that opened it.
    """

    def __init__(self, work: Any, metadata: Any, url: str) -> None:
        self._url = url
        self._loop = asyncio.get_running_loop()
        self._outgoing: SimpleQueue[Any] = SimpleQueue()
        self._open: dict[int, tuple[int, asyncio.Future[Any]]] = {}
        self._last_id = 0
        self.is_over = False
        self._call = work(iter(self._outgoing.get, None), metadata=metadata)
        threading.Thread(target=self._read, name="tasker-stream", daemon=True).start()

    async def ask(self, what: str, body: Mapping[str, Any], within_s: float) -> Any:
        """The WorkAnswer to a request.

        Raises ConnectionError, TimeoutError, and what ended the stream. Whoever stops waiting leaves the others
        undisturbed.
        """
        return await self.send(messages.said(messages.request_class().DESCRIPTOR, {what: body}), within_s)

    async def send(self, request: Any, within_s: float) -> Any:
        """The same for a WorkRequest, which is given its id."""
        self._last_id = number = request.request_id = self._last_id + 1
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._open[number] = request.ByteSize(), answer
        self._outgoing.put(request)
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
        self._call.cancel()
        self._end(ServerUnavailable(f"the stream to {self._url} was ended"))

    def _read(self) -> None:
        """In a thread of its own."""
        error: TaskerError = ServerUnavailable(f"{self._url} ended the stream")
        try:
            for answer in self._call:
                _tell(self._loop, self._answered, answer)
        except grpc.RpcError as met:
            error = error_of_call(met, self._url)
        _tell(self._loop, self._end, error)

    def _answered(self, answer: Any) -> None:
        asked = self._open.get(answer.request_id)
        if asked is not None and not asked[1].done():
            asked[1].set_result(answer)

    def _end(self, error: TaskerError) -> None:
        if self.is_over:
            return
        self.is_over = True
        self._outgoing.put(None)
        if isinstance(error, RequestTooLarge) and self._open:
            _, largest = max(self._open.values(), key=lambda asked: asked[0])  # the server does not say which it was
            _fail(largest, raised(error))
            error = ServerUnavailable(f"{self._url} ended the stream for a request that was too large")
        for _, answer in self._open.values():
            _fail(answer, raised(error))


def _fail(answer: asyncio.Future[Any], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
