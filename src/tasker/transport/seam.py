"""What a transport is, and what its messages say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast
from uuid import UUID

import orjson

READS_MAX = 5
"""How often a message is read, by consumers that die of it or never say that they are done, before it is given up."""

Queues = Callable[[], Awaitable[Sequence[str]]]
"""Answers the names of the queues on which work for this process is announced; asked again from time to time."""


class Transport(Protocol):
    """One process's part in the transport, from start() to stop()."""

    @property
    def name(self) -> str:
        """direct, pgmq or rabbitmq."""
        ...

    @property
    def counts(self) -> Counter[str]:
        """sent, received, dead (nobody could make sense of them) and lost connections, since the start."""
        ...

    async def start(self) -> None:
        """Begins, and returns at once: a broker that is away is waited for, and work is found by polling meanwhile."""
        ...

    async def stop(self) -> None:
        """Ends; what is not sent yet is sent by others, or later."""
        ...

    def nudge(self) -> None:
        """Work has been written: it is announced within some milliseconds. Never waits, never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where a step is. By the time that somebody reads it, it may be long done; the fence of its attempt decides."""

    task_uuid: UUID
    step_number: int
    attempt: int
    namespace: str
    handler: str = ""
    """What runs it; nothing where the message was made by somebody who does not say it."""


class PoisonedMessage(ValueError):
    """A message that nobody can make sense of; it goes to the place for such."""


def read_pointer(body: str | bytes) -> Pointer:
    """The pointer that a message carries. Raises PoisonedMessage, which says what is wrong with it."""
    try:
        said: Any = orjson.loads(body)
    except ValueError as error:
        raise PoisonedMessage(f"it is no JSON: {error}") from error
    if not isinstance(said, dict):
        raise PoisonedMessage("it is no JSON object")
    fields = cast("dict[str, Any]", said)
    try:
        task_uuid, handler = UUID(fields["task_uuid"]), fields.get("handler", "")
        pointer = Pointer(task_uuid, fields["step_number"], fields["attempt"], fields["namespace"], handler)
    except KeyError as error:
        raise PoisonedMessage(f"it has no {error}") from error
    except (ValueError, AttributeError, TypeError) as error:
        raise PoisonedMessage("its task_uuid is none") from error
    if type(pointer.step_number) is not int or type(pointer.attempt) is not int:
        raise PoisonedMessage("step_number and attempt have to be whole numbers")
    if type(pointer.namespace) is not str or type(pointer.handler) is not str:
        raise PoisonedMessage("namespace and handler have to be texts")
    return pointer
