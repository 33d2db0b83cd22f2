"""The event bridge, and what a worker tells on it."""

from __future__ import annotations

from typing import Any

from core_support import Application, ended, soon
from core_texts import BUSY, DSL

from tasker_core import EventBridge, EventNames, HandlerRegistry, StepHandler


def test_listeners_hear_by_name_in_their_order() -> None:
    """Once means once; who is unsubscribed hears nothing; one that raises stops no other."""
    bridge, heard = EventBridge.instance(), list[tuple[str, Any]]()

    def broken(_: Any) -> None:
        raise ValueError("a listener")

    def second(value: Any) -> None:
        heard.append(("second", value))

    bridge.subscribe("a", broken)
    bridge.subscribe("a", lambda value: heard.append(("first", value)))
    bridge.subscribe_once("a", lambda value: heard.append(("once", value)))
    bridge.subscribe("a", second)
    bridge.publish("a", 0)
    assert not bridge.is_active and heard == []
    bridge.start()
    bridge.publish("a", 1)
    bridge.unsubscribe("a", second)
    bridge.publish("a", 2)
    assert heard == [("first", 1), ("once", 1), ("second", 1), ("first", 2)]
    assert bridge.listener_count("a") == len(bridge.listeners("a")) == 2
    bridge.stop()
    assert bridge.listener_count("a") == 0


def test_there_is_one_bridge_until_it_is_reset() -> None:
    """And its schema names all events."""
    first = EventBridge.instance()
    assert EventBridge.instance() is first
    assert EventNames.HANDLER_ERROR in first.event_schema
    EventBridge.reset_instance()
    assert EventBridge.instance() is not first


def test_registering_a_handler_is_told() -> None:
    """With its name and its class."""

    class Quiet(StepHandler):
        handler_name = "quiet"

        def call(self, context: Any) -> Any:
            return None

    heard: list[tuple[str, Any]] = []
    bridge = EventBridge.instance()
    bridge.start()
    bridge.subscribe(EventNames.HANDLER_REGISTERED, lambda name, kind: heard.append((name, kind)))
    HandlerRegistry().register("quiet", Quiet)
    assert heard == [("quiet", Quiet)]


def test_a_worker_tells_of_executions_errors_and_checkpoints(application: Application) -> None:
    """In the order in which they happen, for each try."""
    heard: list[tuple[str, Any]] = []
    step = "{name: a, handler: {callable: walk}, retry: {backoff: none}}"
    client = application(f"{{name: t, namespace_name: n, version: 1.0.0, steps: [{step}]}}", BUSY, app_handlers=DSL)
    bridge, names = EventBridge.instance(), EventNames
    bridge.subscribe(names.STEP_EXECUTION_RECEIVED, lambda event: heard.append(("begins", event.event_id[-1])))
    bridge.subscribe(names.STEP_CHECKPOINT_YIELD_SENT, lambda said: heard.append(("saves", said["cursor"])))
    bridge.subscribe(names.HANDLER_ERROR, lambda event, error: heard.append(("raises", str(error))))
    bridge.subscribe(names.STEP_COMPLETION_SENT, lambda record: heard.append(("ends", record.status)))
    ended(client, client.create_task("t", namespace="n"))
    first = [("begins", "1"), ("saves", 1), ("begins", "1"), ("saves", 2), ("begins", "1"), ("raises", "broken")]
    second = [("begins", "2"), ("saves", 3), ("begins", "2"), ("ends", "completed")]
    assert soon(lambda: heard if len(heard) == 11 else None) == [*first, ("ends", "retryable_error"), *second]
