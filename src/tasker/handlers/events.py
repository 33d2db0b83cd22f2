"""What users write for domain events: subscribers (`@on_event`) and publishers (`DomainEventPublisher`).

They are found where handlers are: in what `Tasker(handlers=…)` names.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import FunctionType, ModuleType
from typing import Any, ClassVar, TypeVar, cast

from tasker.model.errors import InvalidHandler
from tasker.model.event import DomainEvent, Occurrence

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

MARK = "__tasker_subscriber__"
_PATTERN = re.compile(r"[a-z0-9_.*]+")
_NAME_MAX = 255


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A function that is called with events. Its name is what the outbox keeps account under."""

    name: str
    patterns: tuple[str, ...]
    call: Callable[[DomainEvent], Any]

    def matches(self, event_name: str) -> bool:
        """Whether it subscribes to events of that name."""
        return any(fnmatchcase(event_name, pattern) for pattern in self.patterns)


def on_event(*patterns: str, name: str | None = None) -> Callable[[AnyFunction], AnyFunction]:
    """Make a function a subscriber: it is called with each DomainEvent whose name fits a pattern such as `order.*`.

    Async functions run on the event loop, plain ones in threads. Events of the outbox come at least once, to one of the
    processes that have the subscriber, those of a task one after the other; one that raises gets the event again later.
    `name` is what the outbox knows it by (`module.function` where it is not given): give one before you move the
    function, or what waits for it is never delivered.
    """
    if not patterns or not all(isinstance(cast(object, one), str) and _PATTERN.fullmatch(one) for one in patterns):
        raise InvalidHandler(
            '@on_event needs patterns of names, of small letters, digits, "_", "." and "*": @on_event("order.*"), '
            f"not {', '.join(map(repr, patterns)) or 'nothing'}"
        )

    def decorate(function: AnyFunction) -> AnyFunction:
        called = name or f"{function.__module__}.{function.__qualname__}"
        if not 1 <= len(called) <= _NAME_MAX:
            raise InvalidHandler(f"the name of a subscriber has 1 to {_NAME_MAX} characters: give {called!r} another")
        setattr(function, MARK, Subscriber(called, patterns, function))
        return function

    return decorate


class DomainEventPublisher:
    """Makes events of outcomes: derive from it, give it the `publisher_name` that templates name.

    Override what differs. One instance serves a process. Methods may be async; plain ones run in threads. What they
    raise does not hurt the step: an event of the outbox is tried again, and refused in the end.
    """

    publisher_name: ClassVar[str] = ""

    def should_publish(self, occurrence: Occurrence) -> Any:
        """Whether this outcome is told at all. An event that is not is `declined`."""
        return True

    def payload(self, occurrence: Occurrence) -> Any:
        """What the event says, as JSON values: the step's result, or its error record."""
        return occurrence.content

    def metadata(self, occurrence: Occurrence) -> Any:
        """What stands beside the payload, as a mapping."""
        return {}


def is_for_events(obj: Any) -> bool:
    """Whether it is a subscriber or a publisher. Asks types and the object's own dict only."""
    kind = cast("type[object]", type(obj))
    if issubclass(kind, type):
        return issubclass(obj, DomainEventPublisher) and obj is not DomainEventPublisher and bool(obj.publisher_name)
    return issubclass(kind, DomainEventPublisher) or (kind is FunctionType and MARK in vars(obj))


def for_events_in(module: ModuleType) -> Iterator[Any]:
    """The subscribers and publishers of a module; a class is left out where the module has an instance of it."""
    found = [obj for obj in list(vars(module).values()) if is_for_events(obj)]
    made = {type(obj) for obj in found if isinstance(obj, DomainEventPublisher)}
    return (obj for obj in found if not inspect.isclass(obj) or obj not in made)


class Events:
    """The subscribers and publishers of a process. Raises InvalidHandler where two have one name."""

    def __init__(self, sources: Sequence[Any] = ()) -> None:
        self.subscribers: dict[str, Subscriber] = {}
        self.publishers: dict[str, DomainEventPublisher] = {}
        for source in sources:
            if isinstance(source, FunctionType):
                self._add_subscriber(vars(source)[MARK])
            else:
                self._add_publisher(source if isinstance(source, DomainEventPublisher) else _made(source))

    def __bool__(self) -> bool:
        return bool(self.subscribers or self.publishers)

    def _add_subscriber(self, subscriber: Subscriber) -> None:
        if self.subscribers.setdefault(subscriber.name, subscriber).call is not subscriber.call:
            raise InvalidHandler(f"two subscribers have the name {subscriber.name!r}: give one of them another")

    def _add_publisher(self, publisher: DomainEventPublisher) -> None:
        name = publisher.publisher_name
        if not name:
            raise InvalidHandler(f"{type(publisher).__qualname__} needs a publisher_name: templates name it by that")
        other = self.publishers.setdefault(name, publisher)
        if other is not publisher and type(other) is not type(publisher):
            raise InvalidHandler(f"two publishers have the name {name!r}: rename one of them")


def events_of(handlers: Mapping[str, Any]) -> Events:
    """Those that were found beside the handlers."""
    return getattr(handlers, "events", None) or Events()


def _made(cls: type[DomainEventPublisher]) -> DomainEventPublisher:
    try:
        return cls()
    except Exception as error:
        # A user's constructor may raise anything.
        problem = f"{type(error).__name__}: {error}"
        raise InvalidHandler(
            f"cannot make the publisher {cls.__qualname__}: {problem}; give handlers= an instance of it"
        ) from error
