"""The time of a test: it stands still while steps run, and moves to what is due next.

The verbs take a time (`_now`) in a database whose setting `tasker.test_clock` is on. A connection that is wrapped here
adds it to their calls, so that the same code calls the verbs in a test and in production.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from tasker.store.connection import Connection

_TIMED = re.compile(
    r"select \* from \w+\.(submit|submit_here|report|report_awaited|claim|beat|checkpoint|open_session|end_session"
    r"|sweep|prune|act|take_events|settle_events|take_deliveries|settle_deliveries|hold_events|subscribe"
    r"|add_to_dlq|update_dlq|requeue_dlq|rerun|create_job|drive_job|act_on_breaker|act_on_queue|act_on_session)\((.*)\)",
    re.DOTALL,
)


def _soon() -> datetime:
    """A moment that no time noted by the server itself comes after."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)


@dataclass(slots=True)
class Clock:
    """`chance` (0 to 1) is what the engine would draw for the jitter of a retry: 0 is the policy's wait itself. With
    None the engine draws."""

    chance: float | None = 0.0
    now: datetime = field(default_factory=_soon)

    def advance(self, seconds: float) -> None:
        """Moves the time, to the next microsecond where that is between two."""
        self.now += timedelta(microseconds=math.ceil(round(seconds * 1e6, 2)))

    def uuid7(self) -> UUID:
        """A new id of version 7 that carries this time: the engine refuses ids of another day."""
        random_74 = int.from_bytes(os.urandom(10), "big") >> 6
        milliseconds = int(self.now.timestamp() * 1000)
        return UUID(int=milliseconds << 80 | 7 << 76 | (random_74 >> 62) << 64 | 2 << 62 | random_74 & ((1 << 62) - 1))


class TimedConnection:
    """A connection that gives the verbs the clock's time; all else goes to the driver as it is."""

    def __init__(self, raw: Connection, clock: Clock) -> None:
        self.raw = raw
        self._clock = clock

    async def fetch(self, query: str, /, *args: Any) -> list[Any]:
        """As the driver's, at the clock's time."""
        return await self.raw.fetch(*self._timed(query, args))

    async def fetchrow(self, query: str, /, *args: Any) -> Any:
        """As the driver's, at the clock's time."""
        return await self.raw.fetchrow(*self._timed(query, args))

    async def fetchval(self, query: str, /, *args: Any) -> Any:
        """As the driver's, at the clock's time."""
        return await self.raw.fetchval(*self._timed(query, args))

    async def execute(self, query: str, /, *args: Any) -> Any:
        """As the driver's, at the clock's time."""
        return await self.raw.execute(*self._timed(query, args))

    async def add_listener(self, channel: str, callback: Callable[..., None], /) -> None:
        """As the driver's."""
        await self.raw.add_listener(channel, callback)

    async def close(self) -> None:
        """As the driver's."""
        await self.raw.close()

    def transaction(self, **options: Any) -> AbstractAsyncContextManager[Any]:
        """As the driver's."""
        return self.raw.transaction(**options)

    def get_server_version(self) -> Any:
        """As the driver's."""
        return self.raw.get_server_version()

    def is_closed(self) -> bool:
        """As the driver's."""
        return self.raw.is_closed()

    def terminate(self) -> None:
        """As the driver's."""
        self.raw.terminate()

    def _timed(self, query: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
        verb = _TIMED.fullmatch(query)
        if verb is None:
            return (query, *args)
        more = [f"_now => ${len(args) + 1}::timestamptz"]
        values: list[Any] = [self._clock.now]
        if verb[1] in ("report", "report_awaited"):
            more.append(f"_chance => ${len(args) + 2}::float8")
            values.append(self._clock.chance)
        return (query[:-1] + (", " if verb[2] else "") + ", ".join(more) + ")", *args, *values)
