"""The events of this process on their way from publishers to pollers."""

from __future__ import annotations

import threading
from collections import Counter, deque

import structlog

from tasker_core.types.events import InProcessDomainEvent

EVENTS_MAX = 5000
"""How many events wait for a poller. Past them the oldest are dropped: nobody may be polling at all."""
_log = structlog.get_logger("tasker_core.domain_events")


class Bus:
    """First in, first out; each event is handed out once."""

    def __init__(self, events_max: int = EVENTS_MAX) -> None:
        self._events: deque[InProcessDomainEvent] = deque()
        self._events_max = events_max
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        """published, failed (their publishers raised, or made what the schema refuses) and dropped."""

    def put(self, event: InProcessDomainEvent) -> None:
        """Adds an event."""
        with self._lock:
            if len(self._events) >= self._events_max:
                lost = self._events.popleft()
                self.counts["dropped"] += 1
                if self.counts["dropped"] == 1:
                    _log.warning("events are dropped: nobody polls for them", event_name=lost.event_name)
            self._events.append(event)
            self.counts["published"] += 1

    def poll(self) -> InProcessDomainEvent | None:
        """Takes the oldest event; None where there is none."""
        with self._lock:
            return self._events.popleft() if self._events else None

    def clear(self) -> None:
        """Forgets all events, and the counts."""
        with self._lock:
            self._events.clear()
            self.counts.clear()


bus = Bus()
"""That of the process."""
