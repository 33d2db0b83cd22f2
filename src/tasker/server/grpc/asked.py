"""What a method works with: who calls, the engine, and what the request says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tasker.operations import Engine, Operation, Principal, call
from tasker.server.entrance import Attempt

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that is being answered."""

    engine: Engine
    principal: Principal
    fields: Fields
    """What the request says, as plain values."""
    attempt: Attempt
    """The call, as the record of refused calls would have it."""
    limit: asyncio.Timeout | None = None
    """Ends the call when it takes too long."""

    async def call(self, operation: Operation[Any], fields: Mapping[str, Any] | None = None) -> Any:
        """What an operation answers to this caller; the request's own fields where none are given."""
        return await self.call_given(operation, self.given(operation, fields))

    async def call_given(self, operation: Operation[Any], given: Any) -> Any:
        """The same for an input that is one already."""
        self.attempt.seeks(operation)
        if self.limit is not None:
            extend(self.limit, getattr(given, "wait", None), self.engine)
        return await call(self.engine, operation, self.principal, given)

    def given(self, operation: Operation[Any], fields: Mapping[str, Any] | None = None) -> Any:
        """The operation's input. Raises ValidationError."""
        return operation.given.model_validate(self.fields if fields is None else dict(fields))


def extend(limit: asyncio.Timeout, wait_s: float | None, engine: Engine) -> None:
    """A call that may wait has so much more time."""
    if wait_s:
        settings, now = engine.settings, asyncio.get_running_loop().time()
        limit.reschedule(now + min(wait_s, settings.wait_s_max) + settings.request_timeout_s)


@dataclass(frozen=True, slots=True)
class Method:
    """An RPC: the operation that it stands for, where it is one, and what answers it."""

    service: str
    name: str
    operation: Operation[Any] | None
    answer: Callable[[Asked], Awaitable[Any]]
    is_open: bool = False
    """Nobody is asked who calls."""


@dataclass(frozen=True, slots=True)
class StreamMethod:
    """An RPC that answers with a stream.

    `opened` tells the operation behind it and its input, `sent` the fields of the message for an item; None: it is not
    sent.
    """

    service: str
    name: str
    opened: Callable[[Asked], tuple[Operation[Any], Any]]
    sent: Callable[[Asked, Any], Fields | None]


def simply(operation: Operation[Any], inside: str | None = None) -> Callable[[Asked], Awaitable[Any]]:
    """The operation's answer as it is, or as the one field of the response."""

    async def answer(asked: Asked) -> Any:
        found = await asked.call(operation)
        return found if inside is None else {inside: found}

    return answer
