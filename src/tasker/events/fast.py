"""Fast events: from a report to the subscribers of this process. What does not fit, or fails, is logged and lost."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence

from tasker.events.calls import Calls
from tasker.events.making import as_event, formed
from tasker.handlers.events import Events, Subscriber
from tasker.model.event import DomainEvent, Occurrence
from tasker.worker.log import log

WAITING_MAX = 5000


class FastLane:
    """First in, first out; one event at a time, to all its subscribers at once."""

    def __init__(self, events: Events, calls: Calls, bytes_max: int, counts: Counter[str]) -> None:
        self._events = events
        self._calls = calls
        self._bytes_max = bytes_max
        self._counts = counts
        self._waiting: deque[Occurrence] = deque()
        self._came = asyncio.Event()
        self._is_resting = asyncio.Event()
        self._is_resting.set()

    def put(self, told: Sequence[Occurrence]) -> None:
        """Takes these in. Past WAITING_MAX the newest are lost."""
        for one in told:
            if not any(subscriber.matches(one.name) for subscriber in self._events.subscribers.values()):
                continue
            if len(self._waiting) >= WAITING_MAX:
                self._counts["dropped"] += 1
                if self._counts["dropped"] == 1:
                    log.warning("fast events are lost: their subscribers are too slow", event_name=one.name)
                continue
            self._waiting.append(one)
            self._is_resting.clear()
        self._came.set()

    async def run(self) -> None:
        """Hands events over until it is cancelled."""
        while True:
            await self._came.wait()
            self._came.clear()
            while self._waiting:
                await self._tell(self._waiting.popleft())
            self._is_resting.set()

    async def emptied(self) -> None:
        """Returns when nothing waits any more."""
        await self._is_resting.wait()

    async def _tell(self, occurrence: Occurrence) -> None:
        form = await formed(occurrence, self._events.publishers, self._calls, self._bytes_max)
        if form.status == "published":
            event = as_event(occurrence, form)
            meant = [one for one in self._events.subscribers.values() if one.matches(event.name)]
            await asyncio.gather(*(self._call(one, event) for one in meant))
        elif form.problem is not None:
            self._counts["fast_failed"] += 1
            log.error("a fast event was not published", event_name=occurrence.name, error=form.problem)

    async def _call(self, subscriber: Subscriber, event: DomainEvent) -> None:
        try:
            await self._calls(subscriber.call, event)
            self._counts["fast"] += 1
        except Exception as error:
            # A user's subscriber may raise anything; what is fast is not tried again.
            self._counts["fast_failed"] += 1
            problem = f"{type(error).__name__}: {error}"
            log.error("a subscriber failed", subscriber=subscriber.name, event_name=event.name, error=problem)
