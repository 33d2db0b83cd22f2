"""A thread that hands the events of this process to those who asked for them."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from tasker_core import _tasker_core
from tasker_core.domain_events.figures import Figures
from tasker_core.polling import STOP_S, PollingThread
from tasker_core.types.events import InProcessDomainEvent

OnEvent = Callable[[InProcessDomainEvent], None]
OnError = Callable[[Exception], None]
_log = structlog.get_logger("tasker_core.domain_events")


class InProcessDomainEventPoller:
    """Takes events, at most `max_events_per_poll` at a time, and calls everybody with each, in its own thread."""

    def __init__(self, polling_interval_ms: int = 10, max_events_per_poll: int = 100) -> None:
        self._max = max_events_per_poll
        self._listeners: list[OnEvent] = []
        self._error_listeners: list[OnError] = []
        self._thread = PollingThread("domain-events", polling_interval_ms, self._look, drains=True)
        self._polls = self._events = self._errors = 0

    def on_event(self, callback: OnEvent) -> None:
        """Calls it with each event from now on."""
        self._listeners.append(callback)

    def on_error(self, callback: OnError) -> None:
        """Calls it with what a callback raised, or the taking of an event."""
        self._error_listeners.append(callback)

    def remove(self, callback: OnEvent) -> None:
        """Calls it no more."""
        self._listeners = [one for one in self._listeners if one != callback]

    def start(self) -> None:
        """Begins. Raises RuntimeError where it runs already."""
        self._thread.start()

    def stop(self, timeout: float = STOP_S) -> None:
        """Ends once the events that wait are handed out; those that come later wait for another poller."""
        self._thread.stop(timeout)

    @property
    def is_running(self) -> bool:
        """Whether it looks for events."""
        return self._thread.is_running

    @property
    def stats(self) -> Figures:
        """poll_count, events_processed, errors, is_running."""
        return Figures(
            poll_count=self._polls,
            events_processed=self._events,
            errors=self._errors,
            is_running=self.is_running,
        )

    def _look(self) -> bool:
        self._polls += 1
        for taken in range(self._max):
            try:
                event = _tasker_core.poll_in_process_events()
                if event is None:
                    return taken > 0
                self._hand_out(InProcessDomainEvent.model_validate(event))
            except Exception as error:
                # Nothing that is wrong with one event may end the thread that hands out the others.
                self._failed(error)
                return False
        return True

    def _hand_out(self, event: InProcessDomainEvent) -> None:
        self._events += 1
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception as error:
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._errors += 1
        if not self._error_listeners:
            _log.error("an event was not handled", error=f"{type(error).__name__}: {error}")
        for listener in tuple(self._error_listeners):
            listener(error)
