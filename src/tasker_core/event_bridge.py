"""What happens to steps in this process, for whoever listens. Listeners run in the thread in which it happens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, ClassVar, Final

import structlog

Listener = Callable[..., Any]
_log = structlog.get_logger("tasker_core.event_bridge")


class EventNames:
    """The names of the events, and what listeners are called with."""

    STEP_EXECUTION_RECEIVED: Final = "step.execution.received"
    """A step is about to run: the FfiStepEvent."""
    STEP_COMPLETION_SENT: Final = "step.completion.sent"
    """Its handler has ended: the StepExecutionResult."""
    STEP_CHECKPOINT_YIELD_SENT: Final = "step.checkpoint_yield.sent"
    """It goes on from a checkpoint: a mapping with step_uuid, cursor, items_processed and accumulated_results."""
    HANDLER_REGISTERED: Final = "handler.registered"
    """A handler was registered: its name and its class."""
    HANDLER_ERROR: Final = "handler.error"
    """A handler raised: the FfiStepEvent and the exception."""
    POLLER_METRICS: Final = "poller.metrics"
    """From time to time: the FfiDispatchMetrics."""
    POLLER_ERROR: Final = "poller.error"
    """A poller failed, and goes on: the exception."""


_SCHEMA: dict[str, tuple[str, ...]] = {
    EventNames.STEP_EXECUTION_RECEIVED: ("FfiStepEvent",),
    EventNames.STEP_COMPLETION_SENT: ("StepExecutionResult",),
    EventNames.STEP_CHECKPOINT_YIELD_SENT: ("dict",),
    EventNames.HANDLER_REGISTERED: ("str", "type"),
    EventNames.HANDLER_ERROR: ("FfiStepEvent", "Exception"),
    EventNames.POLLER_METRICS: ("FfiDispatchMetrics",),
    EventNames.POLLER_ERROR: ("Exception",),
}


class EventBridge:
    """Listeners by the name of an event. One to a process: `instance()`. Worker.start starts it."""

    _instance: ClassVar[EventBridge | None] = None
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        self._listeners: dict[str, list[tuple[Listener, bool]]] = {}
        self._is_active = False
        self._guard = threading.Lock()

    @classmethod
    def instance(cls) -> EventBridge:
        """The bridge of the process."""
        with cls._lock:
            if cls._instance is None:
                cls._instance = cls()
            return cls._instance

    @classmethod
    def reset_instance(cls) -> None:
        """Stops the bridge of the process, and forgets it with its listeners."""
        with cls._lock:
            bridge, cls._instance = cls._instance, None
        if bridge is not None:
            bridge.stop()

    def start(self) -> None:
        """Events reach their listeners from now on."""
        self._is_active = True

    def stop(self) -> None:
        """Events reach nobody any more; the listeners are forgotten."""
        with self._guard:
            self._is_active = False
            self._listeners.clear()

    @property
    def is_active(self) -> bool:
        """Whether events reach their listeners."""
        return self._is_active

    @property
    def event_schema(self) -> dict[str, tuple[str, ...]]:
        """The names of the events, and the types of what their listeners are called with."""
        return dict(_SCHEMA)

    def subscribe(self, event_name: str, handler: Listener) -> None:
        """Calls `handler` with each event of that name."""
        self._add(event_name, handler, is_once=False)

    def subscribe_once(self, event_name: str, handler: Listener) -> None:
        """Calls `handler` with the next event of that name alone."""
        self._add(event_name, handler, is_once=True)

    def unsubscribe(self, event_name: str, handler: Listener) -> None:
        """Calls it no more; nothing where it was not subscribed."""
        with self._guard:
            kept = [one for one in self._listeners.get(event_name, ()) if one[0] != handler]
            self._listeners[event_name] = kept

    def publish(self, event_name: str, *args: Any) -> None:
        """Calls the listeners. What one raises is logged and stops no other. While it is stopped nobody hears."""
        if not self._is_active:
            _log.warning("the event bridge is not started: an event is dropped", event_name=event_name)
            return
        with self._guard:
            called = self._listeners.get(event_name, [])
            self._listeners[event_name] = [one for one in called if not one[1]]
        for handler, _ in called:
            try:
                handler(*args)
            except Exception as error:
                # A listener is the application's, and must not fail the step that it hears of.
                _log.error("a listener failed", event_name=event_name, error=f"{type(error).__name__}: {error}")

    def listener_count(self, event_name: str) -> int:
        """How many listen to that name."""
        return len(self._listeners.get(event_name, ()))

    def listeners(self, event_name: str) -> list[Listener]:
        """Those that do, in the order in which they subscribed."""
        return [handler for handler, _ in self._listeners.get(event_name, ())]

    def _add(self, event_name: str, handler: Listener, *, is_once: bool) -> None:
        with self._guard:
            self._listeners.setdefault(event_name, []).append((handler, is_once))


def is_heard(event_name: str) -> bool:
    """Whether somebody in this process listens to that name: else nobody need make the event."""
    bridge = EventBridge._instance  # pyright: ignore[reportPrivateUsage] - must not make one
    return bridge is not None and bridge.is_active and bridge.listener_count(event_name) > 0
