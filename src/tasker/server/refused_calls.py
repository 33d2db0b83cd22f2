"""The record of refused calls: who was told no, what for, when and from where.

Who is refused decides how often it is, so nothing here grows with that: equal refusals are counted together, in memory
and in the database; a process writes once a second; and what is kept has a bound. A process that is killed takes with
it what it has not written: a second's worth.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from tasker.model.errors import NotStarted, TaskerError
from tasker.operations import Engine
from tasker.store.errors import CONNECTION_ERRORS, DatabaseError
from tasker.store.refusals import Counted, Refusal, note_refusals
from tasker.worker.log import log

DISTINCT_MAX = 500
"""So many kinds of refusals are told apart between two writes; what comes beyond is counted as `others`."""
EVERY_S, RETRY_S = 1.0, 5.0
_OTHERS = "others"


@dataclass(slots=True)
class _Count:
    times: int
    first: float
    last: float


class RefusedCalls:
    """What one process has refused, on its way to the database."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._clock = engine, clock
        self._counts: dict[Refusal, _Count] = {}
        self._writing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def note(self, refusal: Refusal) -> None:
        """Counts a refusal; it is in the database about a second later."""
        if refusal not in self._counts and len(self._counts) >= DISTINCT_MAX:
            refusal = replace(refusal, what=_OTHERS, who="", address=_OTHERS, permission=None, namespace=None)
        now = self._clock()
        count = self._counts.setdefault(refusal, _Count(0, now, now))
        count.times += 1
        count.last = now
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())

    async def close(self) -> None:
        """Writes what there is, once."""
        self._closing.set()
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        if self._counts:
            await self._write()
        self._closing.clear()

    async def _write_all(self) -> None:
        while self._counts:
            wait_s = await self._write()
            if wait_s is None or await self._is_closing_within(wait_s):
                return

    async def _is_closing_within(self, wait_s: float) -> bool:
        try:
            async with asyncio.timeout(wait_s):
                return await self._closing.wait()
        except TimeoutError:
            return False

    async def _write(self) -> float | None:
        """Writes; how long to wait before the next time, None where this process has no database any more."""
        taken, self._counts = self._counts, {}
        now, settings = self._clock(), self._engine.settings
        counted = [
            Counted(refusal=one, times=of.times, first_age_s=now - of.first, last_age_s=now - of.last)
            for one, of in taken.items()
        ]
        try:
            await self._engine.ask(
                lambda connection: note_refusals(
                    connection,
                    counted,
                    kept_max=settings.auth_refusals_max,
                    kept_days=settings.auth_refusals_days,
                    schema=settings.schema_name,
                )
            )
        except NotStarted:
            self._put_back(taken)
            return None
        except (TaskerError, DatabaseError, *CONNECTION_ERRORS) as error:
            self._put_back(taken)
            log.warning("refused calls could not be recorded yet", kinds=len(taken), error=type(error).__name__)
            return RETRY_S
        return EVERY_S

    def _put_back(self, taken: dict[Refusal, _Count]) -> None:
        """What was not written is counted on, before what came meanwhile, within the bound."""
        meanwhile, self._counts = self._counts, taken
        for refusal, count in meanwhile.items():
            known = self._counts.get(refusal)
            if known is not None:
                known.times += count.times
                known.last = count.last
            elif len(self._counts) < 2 * DISTINCT_MAX:
                self._counts[refusal] = count
