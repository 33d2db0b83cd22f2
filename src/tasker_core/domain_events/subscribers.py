"""Subscribers: classes that are called with the events whose names they know."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, ClassVar

import structlog

from tasker_core.domain_events.figures import Count, Figures
from tasker_core.types.events import InProcessDomainEvent

if TYPE_CHECKING:
    from tasker_core.domain_events.poller import InProcessDomainEventPoller

_log = structlog.get_logger("tasker_core.domain_events")


class BaseSubscriber(ABC):
    """Handles events: say in `subscribes_to` which, by patterns such as `payment.*`, and define `handle`."""

    def __init__(self) -> None:
        self._poller: InProcessDomainEventPoller | None = None

    @classmethod
    @abstractmethod
    def subscribes_to(cls) -> list[str]:
        """Patterns of names: `*` stands for any text."""

    @abstractmethod
    def handle(self, event: dict[str, Any]) -> None:
        """Called with an event as plain values: event_id, event_name, event_version, metadata, payload, …"""

    def before_handle(self, event: dict[str, Any]) -> bool:
        """Called before. False: the event is not handled."""
        return True

    def after_handle(self, event: dict[str, Any]) -> None:  # noqa: B027 - may be overridden
        """Called after an event was handled."""

    def on_handle_error(self, event: dict[str, Any], error: Exception) -> None:
        """Called with what `handle` raised. Other subscribers are not hurt by it."""
        _log.error(
            "a subscriber failed",
            subscriber=type(self).__name__,
            event_name=event.get("event_name"),
            error=f"{type(error).__name__}: {error}",
        )

    @classmethod
    def matches(cls, event_name: str) -> bool:
        """Whether it subscribes to that name."""
        patterns = cls.subscribes_to()
        known = [patterns] if isinstance(patterns, str) else patterns
        return any(fnmatchcase(event_name, pattern) for pattern in known)

    def start(self, poller: InProcessDomainEventPoller) -> None:
        """Is called by this poller from now on."""
        if not self.active:
            self._poller = poller
            poller.on_event(self._on_event)

    def stop(self) -> None:
        """Is called no more."""
        poller, self._poller = getattr(self, "_poller", None), None
        if poller is not None:
            poller.remove(self._on_event)

    @property
    def active(self) -> bool:
        """Whether a poller calls it."""
        return getattr(self, "_poller", None) is not None

    @property
    def subscriptions(self) -> list[str]:
        """Its patterns while it is active, else none."""
        return list(self.subscribes_to()) if self.active else []

    def handle_event_safely(self, event: dict[str, Any]) -> bool:
        """Handles an event; whether it did. What `handle` raises goes to `on_handle_error`."""
        try:
            if not self.before_handle(event):
                return False
            self.handle(event)
            self.after_handle(event)
        except Exception as error:
            self.on_handle_error(event, error)
            return False
        return True

    def _on_event(self, event: InProcessDomainEvent) -> None:
        if self.matches(event.event_name):
            self.handle_event_safely(event.model_dump())


class SubscriberRegistry:
    """The subscribers of the process: `instance()`."""

    _instance: ClassVar[SubscriberRegistry | None] = None
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        self._classes: list[type[BaseSubscriber]] = []
        self._given: list[BaseSubscriber] = []
        self._started: list[BaseSubscriber] = []

    @classmethod
    def instance(cls) -> SubscriberRegistry:
        """The registry of the process."""
        with cls._lock:
            if cls._instance is None:
                cls._instance = cls()
            return cls._instance

    @classmethod
    def reset(cls) -> None:
        """Stops the subscribers of the process, and forgets them."""
        with cls._lock:
            registry, cls._instance = cls._instance, None
        if registry is not None:
            registry.clear()

    def register(self, subscriber_class: Any) -> None:
        """Adds a class: start_all makes an instance of it. Raises ValueError for what is none."""
        if not (isinstance(subscriber_class, type) and issubclass(subscriber_class, BaseSubscriber)):
            raise ValueError(f"{subscriber_class!r} is not a subscriber: derive it from BaseSubscriber")
        if subscriber_class not in self._classes:
            self._classes.append(subscriber_class)

    def register_instance(self, subscriber: BaseSubscriber) -> None:
        """Adds an instance."""
        if subscriber not in self._given:
            self._given.append(subscriber)

    def start_all(self, poller: InProcessDomainEventPoller) -> int:
        """Lets the poller call all of them; how many. Those that were started before are stopped first."""
        self.stop_all()
        for subscriber in (*(one() for one in self._classes), *self._given):
            subscriber.start(poller)
            self._started.append(subscriber)
        return len(self._started)

    def stop_all(self) -> None:
        """None of them is called any more."""
        for subscriber in self._started:
            subscriber.stop()
        self._started.clear()

    def list_registered(self) -> list[str]:
        """The names of their classes."""
        return [one.__name__ for one in (*self._classes, *map(type, self._given))]

    @property
    def active_count(self) -> Count:
        """How many a poller calls."""
        return Count(sum(one.active for one in self._started))

    @property
    def stats(self) -> Figures:
        """registered, active, and the patterns of each by the name of its class."""
        patterns = {type(one).__name__: list(one.subscribes_to()) for one in self._started}
        return Figures(registered=len(self.list_registered()), active=int(self.active_count), subscriptions=patterns)

    def clear(self) -> None:
        """Stops all, and forgets them."""
        self.stop_all()
        self._classes.clear()
        self._given.clear()
