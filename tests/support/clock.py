"""A connection whose verbs run at a time, and with a chance, that the test sets."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

_TIMED = re.compile(
    r"select \* from \w+\.(submit|submit_here|checkpoint|report|claim|beat|open_session|end_session|sweep|act)\(.*\)",
    re.DOTALL,
)


@dataclass
class Clock:
    """The time of one engine in a test. `chance` (0 to 1) is what the engine would draw for the jitter of a retry."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1))
    chance: float | None = 0.0
    _ids: int = 0

    def advance(self, seconds: float) -> None:
        """Moves the time."""
        self.now += timedelta(seconds=seconds)

    def uuid7(self) -> UUID:
        """A new id of version 7 that carries this time; ids of one clock come in their order, the same in every run."""
        self._ids += 1
        return UUID(int=int(self.now.timestamp() * 1000) << 80 | 0x7 << 76 | 0x2 << 62 | self._ids)


class TimedConnection:
    """A connection that gives the verbs the clock's time; all else goes to the driver as it is."""

    def __init__(self, raw: Any, clock: Clock) -> None:
        self.raw = raw
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)

    async def fetch(self, query: str, *args: Any) -> Any:
        """As the driver's, at the clock's time."""
        return await self.raw.fetch(*self._timed(query, args))

    async def fetchrow(self, query: str, *args: Any) -> Any:
        """As the driver's, at the clock's time."""
        return await self.raw.fetchrow(*self._timed(query, args))

    async def fetchval(self, query: str, *args: Any) -> Any:
        """As the driver's, at the clock's time."""
        return await self.raw.fetchval(*self._timed(query, args))

    async def execute(self, query: str, *args: Any) -> Any:
        """As the driver's, at the clock's time."""
        return await self.raw.execute(*self._timed(query, args))

    def _timed(self, query: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
        verb = _TIMED.fullmatch(query)
        if verb is None:
            return (query, *args)
        more = [f"_now => ${len(args) + 1}::timestamptz"]
        values: list[Any] = [self._clock.now]
        if verb[1] == "report":
            more.append(f"_chance => ${len(args) + 2}::float8")
            values.append(self._clock.chance)
        query = query[:-1] + (", " if args else "") + ", ".join(more) + ")"
        return (query, *args, *values)
