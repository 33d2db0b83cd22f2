"""A read replica, for what may lag: it is asked as long as it is near enough to the primary, else the primary is.

How far it lags is told neither by clocks nor by what the replica thinks of itself: a replica that was cut off knows of
nothing that it lacks. So from time to time the primary is asked how much it has written, and the replica whether it has
come so far: it is as fresh as the last such mark that it has passed.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from tasker.model.errors import DatabaseUnavailable, SchemaOutdated
from tasker.settings import Settings
from tasker.store.connection import Connection, Pool, create_pool
from tasker.store.errors import CONNECTION_ERRORS, DatabaseError
from tasker.store.replicas import replayed, written
from tasker.worker.log import log

T = TypeVar("T")
LAGGING = frozenset(
    [
        "list_tasks",
        "get_performance",
        "get_bottlenecks",
        "get_durations",
        "get_throughput",
        "analyze",
        "explain",
        "get_task_history",
        "list_dlq",
        "get_dlq_stats",
        "get_investigation_queue",
        "get_staleness",
    ]
)
"""The operations that a replica may answer. What it does not find is asked for at the primary."""
_LOOKS = 5
"""How often at least it is looked at within the lag that is allowed."""
_LOOK_MAX_S = 1.0
_AWAY_S = 2.0
_MARKS_MAX = 1000
_AWAY = (*CONNECTION_ERRORS, DatabaseError, DatabaseUnavailable, SchemaOutdated, TimeoutError)


class Ask(Protocol):
    """Calls its argument with a connection."""

    async def __call__(self, work: Callable[[Connection], Awaitable[T]], /) -> T: ...


class Replica:
    """One for a server process, at `dsn`; `primary` answers in its place. Its end is added to what `closes`."""

    def __init__(self, dsn: str, settings: Settings, primary: Ask, closes: list[Callable[[], Awaitable[None]]]) -> None:
        closes.append(self.close)
        self._dsn = dsn
        self._size = settings.read_connections
        self._lag_max_s = settings.read_lag_max_s
        self._look_s = min(_LOOK_MAX_S, settings.read_lag_max_s / _LOOKS)
        self._primary = primary
        self._pool: Pool | None = None
        self._looking = asyncio.Lock()
        self._look_at = self._fresh_at = float("-inf")
        self._marks: deque[tuple[float, int]] = deque(maxlen=_MARKS_MAX)
        self._is_away = False
        self.counts: Counter[str] = Counter()
        """Questions that the `replica` answered, and those left to the `primary`."""

    async def ask(self, work: Callable[[Connection], Awaitable[T]], /) -> T:
        """What `work` answers on a connection to the replica, or to the primary. May be asked twice.

        Raises DatabaseUnavailable.
        """
        try:
            if await self._is_near():
                answer = await self._asked(work)
                self.counts["replica"] += 1
                return answer
        except _AWAY as error:
            self._went_away(error)
        self.counts["primary"] += 1
        return await self._primary(work)

    async def close(self) -> None:
        """Closes its connections; the next question opens some."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def _asked(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        if self._pool is None:
            self._pool = await create_pool(self._dsn, pinned=False, size=self._size)
        async with self._pool.acquire() as connection:
            return await work(connection)

    async def _is_near(self) -> bool:
        async with self._looking:
            if (now := time.monotonic()) >= self._look_at:
                self._look_at = now + self._look_s
                await self._look(now)
        return time.monotonic() - self._fresh_at <= self._lag_max_s

    async def _look(self, now: float) -> None:
        self._marks.append((now, await self._primary(written)))
        come = await self._asked(replayed)
        if come is None:
            raise DatabaseUnavailable("TASKER_DATABASE_READ_URL names no replica, but a database that is written to")
        while self._marks and self._marks[0][1] <= come:
            self._fresh_at = self._marks.popleft()[0]
        if self._is_away:
            self._is_away = False
            log.info("the read replica answers again")

    def _went_away(self, error: BaseException) -> None:
        self._look_at, self._fresh_at = time.monotonic() + _AWAY_S, float("-inf")
        if not self._is_away:
            self._is_away = True
            log.warning("the read replica is not asked: the primary answers", error=f"{type(error).__name__}: {error}")
