"""The gateway of workers as one stream: requests with ids, each of them an operation, answered as soon as it is done.

What a request means, who may, and what is refused is the operations' to say, as it is over HTTP; nothing of a worker is
kept here. A stream that ends, however it does, leaves its worker where a lost answer does: the next turn names what it
holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from grpc import StatusCode, aio

from tasker import proto
from tasker.model.errors import Backpressure, MalformedRequest, RequestTimeout
from tasker.operations import Operation, call
from tasker.operations import worker_sessions as sessions
from tasker.operations.worker_turns import take_worker_turn
from tasker.proto import gateway as messages
from tasker.server.grpc.asked import extend
from tasker.server.grpc.calls import Calls, Context, attempt_of, check_known, headers_of, parsed
from tasker.server.grpc.errors import DETAIL_KEY, refusal
from tasker.server.rest.body import check_of_worker

SERVICE = "WorkerGateway"
WORK = proto.methods(SERVICE)["Work"]
REQUESTS_MAX = 32
"""So many requests of one stream are worked on at a time; further ones are not read until one is answered."""
RECHECK_S = 2.0
"""How often it is looked whether the caller may still call."""
ASKS: Mapping[str, Operation[Any]] = {
    "open": sessions.open_worker_session,
    "turn": take_worker_turn,
    "beat": sessions.beat_worker_session,
    "load": sessions.load_for_worker,
    "checkpoints": sessions.save_worker_checkpoints,
    "wait": sessions.await_work,
    "end": sessions.end_worker_session,
}
"""The operation of each request."""


class Gateway:
    """The streams of workers of one process."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def work(self, requests: AsyncIterator[bytes], context: Context) -> None:
        """One stream, to its end."""
        attempt = attempt_of(context, WORK.name, None)
        with self._calls.measured(SERVICE, WORK.name, is_stream=True) as measure:
            try:
                with self._calls.entrance.watched(attempt), self._calls.counted_stream():
                    await self._calls.caller(context, attempt)
                    await _Stream(self._calls, requests, context).run()
                measure.fine(b"")
                return
            except Exception as caught:  # the edge: every error becomes a status, and what is ours is logged
                error = _first(caught)
            if isinstance(error, aio.BaseError):
                return  # the worker went away while it was answered: nobody is there to be told
            await context.abort(*measure.refused(refusal(error)))


def _first(error: Any) -> Exception:
    """The error that ended a group of tasks."""
    inner: Any = getattr(error, "exceptions", None)
    return _first(inner[0]) if inner else error


class _Stream:
    """A stream that is open."""

    def __init__(self, calls: Calls, requests: AsyncIterator[bytes], context: Context) -> None:
        self._calls, self._requests, self._context = calls, requests, context
        self._headers = headers_of(context.invocation_metadata() or ())
        self._room = asyncio.Semaphore(REQUESTS_MAX)
        self._writing = asyncio.Lock()
        self._working: dict[asyncio.Task[None], bool] = {}
        """What is worked on, and whether it may wait for work."""

    async def run(self) -> None:
        """Returns when the worker has said its last and was answered. Raises Backpressure when the server stops, and
        what the caller is refused for, when that comes to be."""
        async with asyncio.TaskGroup() as group:
            checking = group.create_task(self._check())
            reading = group.create_task(self._read(group))
            stopping = group.create_task(self._calls.stopping.wait())
            await asyncio.wait([reading, stopping], return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                reading.cancel()
                await self._answered(only_short=True)
                raise Backpressure("the server stops: open the stream again", retry_after_s=1)
            await self._answered(only_short=False)
            checking.cancel()
            stopping.cancel()

    async def _answered(self, *, only_short: bool) -> None:
        tasks = [task for task, may_wait in self._working.items() if not (only_short and may_wait)]
        if tasks:
            await asyncio.wait(tasks)

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_S)
            attempt = attempt_of(self._context, WORK.name, None)
            with self._calls.entrance.watched(attempt):
                await self._calls.entrance.caller(self._headers, attempt)

    async def _read(self, group: asyncio.TaskGroup) -> None:
        async for request in self._requests:
            message = parsed(WORK.input_type, request)
            await self._room.acquire()
            working = group.create_task(self._answer(message))
            self._working[working] = message.WhichOneof(messages.ASKS) in ("turn", "wait")
            working.add_done_callback(self._done)

    def _done(self, working: asyncio.Task[None]) -> None:
        del self._working[working]
        self._room.release()

    async def _answer(self, message: Any) -> None:
        what = message.WhichOneof(messages.ASKS) or "nothing"
        with self._calls.measured(SERVICE, what) as measure:
            try:
                answer = messages.said(WORK.output_type, {what: await self._asked(what, message)})
                measure.fine(b"")
            except TimeoutError:
                late = RequestTimeout("the request took too long; what it asked for may happen yet")
                answer = _refused(*measure.refused(refusal(late)))
            except Exception as error:  # the edge, as above
                answer = _refused(*measure.refused(refusal(error)))
        answer.request_id = message.request_id
        async with self._writing:
            await self._context.write(answer.SerializeToString())

    async def _asked(self, what: str, message: Any) -> Any:
        """What a request is answered. Raises as its operation, MalformedRequest, ValidationError."""
        operation = ASKS.get(what)
        if operation is None:
            raise MalformedRequest("the request asks for nothing that this server knows: is it an older one?")
        attempt = attempt_of(self._context, WORK.name, operation)
        engine = self._calls.engine
        with self._calls.entrance.watched(attempt):
            principal = await self._calls.entrance.caller(self._headers, attempt)
            async with asyncio.timeout(engine.settings.request_timeout_s) as limit:
                given = operation.given.model_validate(_fields(getattr(message, what), message, engine.settings))
                extend(limit, getattr(given, "wait", None), engine)
                return await call(engine, operation, principal, given)


def _fields(asks: Any, message: Any, settings: Any) -> dict[str, Any]:
    """What a request says. Raises MalformedRequest, RequestTooLarge."""
    check_known(message)
    try:
        fields = messages.asked(asks)
    except ValueError as error:
        raise MalformedRequest(f"a field of the request that has to be JSON is none: {error}") from error
    check_of_worker(fields, settings)
    return fields


def _refused(status: StatusCode, message: str, metadata: Any) -> Any:
    """The answer that a request is refused, as the call by itself would have been."""
    answer = messages.answer_class()()
    number: Any = status.value
    answer.refused.status = number[0]
    answer.refused.detail.ParseFromString(dict(metadata)[DETAIL_KEY])
    return answer
