"""Domain events: publishers, subscribers, and what templates declare."""

from __future__ import annotations

from typing import Any

import pytest
from core_support import Application, ended, soon

from tasker_core import (
    BasePublisher,
    BaseSubscriber,
    EventDeclaration,
    InProcessDomainEvent,
    InProcessDomainEventPoller,
    StepEventContext,
    poll_in_process_events,
)
from tasker_core.domain_events import DefaultPublisher, PublisherRegistry, SubscriberRegistry
from tasker_core.domain_events.bus import Bus

EVENTS = """
    name: loans
    namespace_name: library
    version: 1.0.0
    domain_events:
      - {name: loan.checked, description: a loan was looked at, schema: {type: object, required: [title]}}
    steps:
      - name: check
        handler: {callable: check}
        retry: {backoff: none}
        publishes_events:
          - {name: loan.checked, description: checked, delivery_mode: fast}
          - {name: loan.tried, condition: always, publisher: "Library::Tried"}
          - {name: loan.doubted, condition: retryable_failure}
          - {name: loan.refused, condition: permanent_failure}
      - name: refuse
        dependencies: [check]
        handler: {callable: refuse}
        publishes_events:
          - {name: loan.refused, condition: permanent_failure, delivery_mode: durable}
          - {name: loan.granted, condition: success}
"""
LIBRARY = """
    from tasker_core.domain_events import BasePublisher, PublisherRegistry
    from tasker_core.errors import PermanentError, RetryableError
    from tasker_core.step_handler.functional import step_handler

    class Tried(BasePublisher):
        publisher_name = "Library::Tried"

        def transform_payload(self, ctx):
            return {"tried": ctx.step_name, "worked": ctx.result is not None}

        def additional_metadata(self, ctx):
            return {"shelf": 7}

    PublisherRegistry.instance().register(Tried())

    @step_handler("check")
    def check(context):
        if not context.is_retry():
            raise RetryableError("on the phone")
        return {"title": context.get_input("title")}

    @step_handler("refuse")
    async def refuse():
        raise PermanentError("too many books", error_code="TOO_MANY")
"""


class Collect(BaseSubscriber):
    """Keeps what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[dict[str, Any]] = []

    @classmethod
    def subscribes_to(cls) -> list[str]:
        return ["loan.*"]

    def handle(self, event: dict[str, Any]) -> None:
        self.heard.append(event)


def of(result: dict[str, Any] | None = None, **metadata: Any) -> StepEventContext:
    """What a publisher is told of a step."""
    return StepEventContext("t", "s", "step", "ns", "c", result, metadata)


def taken() -> list[InProcessDomainEvent]:
    """The events that wait."""
    found: list[InProcessDomainEvent] = []
    while (event := poll_in_process_events()) is not None:
        found.append(event)
    return found


def test_declared_events_reach_subscribers_after_the_outcome(application: Application) -> None:
    """By their conditions, in the order of outcomes, each once, with the payload of their publisher."""
    client = application(EVENTS, library_handlers=LIBRARY)
    poller, collect = InProcessDomainEventPoller(), Collect()
    registry = SubscriberRegistry.instance()
    registry.register_instance(collect)
    assert registry.start_all(poller) == registry.active_count == registry.active_count() == 1
    poller.start()
    try:
        task = ended(client, client.create_task("loans", namespace="library", context={"title": "Emma"}))
        heard = soon(lambda: collect.heard if len(collect.heard) == 5 else None)
    finally:
        poller.stop()
    assert task.status == "error"
    names = ["loan.tried", "loan.doubted", "loan.checked", "loan.tried", "loan.refused"]
    assert [one["event_name"] for one in heard] == names
    assert len({one["event_id"] for one in heard}) == 5
    tried, doubted, checked, _, refused = heard
    assert tried["payload"]["payload"] == {"tried": "check", "worked": False}
    assert (tried["metadata"]["fired_by"], tried["metadata"]["shelf"]) == ("Library::Tried", 7)
    assert doubted["execution_result"]["error"]["message"] == "on the phone"
    assert checked["payload"]["title"] == checked["payload"]["payload"]["title"] == "Emma"
    assert checked["payload"]["task_sequence_step"]["task"]["namespace_name"] == "library"
    assert checked["metadata"]["task_uuid"] == task.task_uuid
    assert refused["payload"]["error"]["error_code"] == "TOO_MANY"
    assert poller.stats["events_processed"] == 5 and not poller.stats()["is_running"]


def test_what_does_not_fit_its_schema_is_not_published(application: Application) -> None:
    """The step is not hurt, and the publisher hears of it."""
    client = application(EVENTS.replace("[title]", "[isbn]"), library_handlers=LIBRARY)
    ended(client, client.create_task("loans", namespace="library", context={"title": "Emma"}))
    found: list[str] = []
    soon(lambda: found.extend(one.event_name for one in taken()) or "loan.refused" in found)
    assert "loan.checked" not in found


def test_an_event_waits_until_its_outcome_is_recorded(application: Application) -> None:
    """An attempt that was cancelled meanwhile tells nothing; what was done before does."""
    client = application(
        """
        name: cut
        namespace_name: library
        version: 1.0.0
        steps:
          - {name: first, handler: {callable: first}, publishes_events: [{name: first.done}]}
          - {name: cut, handler: {callable: cut}, dependencies: [first], publishes_events: [{name: cut.done}]}
        """,
        cut_handlers="""
        from tasker_core import TaskerClient
        from tasker_core.step_handler.functional import step_handler

        @step_handler("first")
        def first():
            return {}

        @step_handler("cut")
        def cut(context):
            TaskerClient().cancel_task(context.task_uuid)
            return {"too": "late"}
        """,
    )
    task = ended(client, client.create_task("cut", namespace="library"))
    assert task.status == "cancelled"
    from tasker_core import stop_worker

    stop_worker()
    assert [one.event_name for one in taken()] == ["first.done"]


def test_a_publisher_has_its_say_at_every_turn() -> None:
    """It may decline before or after it made the payload; what it raises goes to its own hook."""
    told: list[str] = []

    class Careful(BasePublisher):
        publisher_name = "careful"

        def should_publish(self, ctx: StepEventContext) -> bool:
            return bool(ctx.result)

        def transform_payload(self, ctx: StepEventContext) -> dict[str, Any]:
            return {"doubled": (ctx.result or {})["n"] * 2}

        def before_publish(self, event_name: str, payload: dict[str, Any], metadata: dict[str, Any]) -> bool:
            return payload["doubled"] < 10

        def after_publish(self, event_name: str, payload: dict[str, Any], metadata: dict[str, Any]) -> None:
            told.append(f"{event_name} by {metadata['fired_by']}")

        def on_publish_error(self, event_name: str, error: Exception, payload: dict[str, Any]) -> None:
            told.append(f"{event_name}: {error!r}")

    careful = Careful()
    answers = [careful.publish(of(value), "n.doubled") for value in ({}, {"n": 9}, {"n": 1}, {"m": 1})]
    assert answers == [False, False, True, False]
    assert told == ["n.doubled by careful", "n.doubled: KeyError('n')"]
    assert [one.payload["payload"] for one in taken()] == [{"doubled": 2}]


def test_the_default_publisher_tells_the_result_or_why_it_failed() -> None:
    """Without a name of its own an event has that of its declaration, else of its step."""
    publisher = DefaultPublisher()
    declared = of(None, error={"message": "no"}, success=False)
    declared.declaration = EventDeclaration("step.failed", "failure")
    assert publisher.publish(of({"a": 1})) and publisher.publish(declared)
    first, second = taken()
    assert (first.event_name, first.payload["a"]) == ("step.published", 1)
    assert (second.event_name, second.payload["error"]) == ("step.failed", {"message": "no"})
    assert second.execution_result is not None and not second.execution_result.success


def test_a_frozen_registry_of_publishers_stays_as_it_is() -> None:
    """Until it is unfrozen; required names are those of templates."""
    registry = PublisherRegistry.instance()
    registry.register(DefaultPublisher(), "mine")
    assert registry.list_publishers() == ["mine"]
    assert registry.get("other") is None
    assert registry.get_or_default("other").publisher_name == registry.get_or_default().publisher_name == "default"
    registry.validate_required(["mine", "default"])
    with pytest.raises(ValueError, match="not registered: other"):
        registry.validate_required(["mine", "other"])
    registry.freeze()
    with pytest.raises(RuntimeError, match="frozen"):
        registry.register(DefaultPublisher())
    with pytest.raises(RuntimeError, match="frozen"):
        registry.clear()
    registry.unfreeze()
    registry.clear()
    assert registry.list_publishers() == []


def test_a_subscriber_that_fails_hurts_nobody() -> None:
    """Its own hook hears of it; one that declines is not called; one that is stopped hears nothing."""
    errors: list[str] = []

    class Broken(Collect):
        def handle(self, event: dict[str, Any]) -> None:
            raise ValueError("broken")

        def on_handle_error(self, event: dict[str, Any], error: Exception) -> None:
            errors.append(f"{event['event_name']}: {error}")

    class Declines(Collect):
        def before_handle(self, event: dict[str, Any]) -> bool:
            return False

    poller, collect, declines = InProcessDomainEventPoller(), Collect(), Declines()
    for one in (Broken(), declines, collect):
        one.start(poller)
    publisher = DefaultPublisher()
    publisher.publish(of({}), "loan.a")
    publisher.publish(of({}), "other.a")
    poller.start()
    with pytest.raises(RuntimeError, match="running already"):
        poller.start()
    soon(lambda: poller.stats["events_processed"] == 2)
    assert collect.active and collect.subscriptions == ["loan.*"]
    collect.stop()
    publisher.publish(of({}), "loan.b")
    soon(lambda: len(errors) == 2)
    poller.stop()
    assert errors == ["loan.a: broken", "loan.b: broken"]
    assert [one["event_name"] for one in collect.heard] == ["loan.a"]
    assert declines.heard == [] and collect.subscriptions == []


def test_what_a_callback_of_a_poller_raises_is_told() -> None:
    """To those who asked for errors; the poller goes on."""
    poller, errors = InProcessDomainEventPoller(), list[Exception]()
    poller.on_error(errors.append)
    poller.on_event(lambda event: {}[event.event_name])
    DefaultPublisher().publish(of({}), "a.a")
    DefaultPublisher().publish(of({}), "a.b")
    poller.start()
    soon(lambda: len(errors) == 2)
    poller.stop()
    assert poller.stats["errors"] == 2


def test_a_poller_that_stops_hands_out_what_waits() -> None:
    """An application that stops its worker first loses no event of it."""
    poller, heard = InProcessDomainEventPoller(polling_interval_ms=600_000, max_events_per_poll=2), list[str]()
    poller.on_event(lambda event: heard.append(event.event_name))
    poller.start()
    soon(lambda: poller.stats["poll_count"])
    for number in range(5):
        DefaultPublisher().publish(of({}), f"a.{number}")
    poller.stop()
    assert heard == [f"a.{number}" for number in range(5)]


def test_a_registry_of_subscribers_makes_instances_of_classes() -> None:
    """Each class once, and what is no subscriber is refused."""
    registry, poller = SubscriberRegistry.instance(), InProcessDomainEventPoller()
    registry.register(Collect)
    registry.register(Collect)
    with pytest.raises(ValueError, match="derive it from BaseSubscriber"):
        registry.register(dict)
    assert registry.start_all(poller) == 1
    assert registry.stats == {"registered": 1, "active": 1, "subscriptions": {"Collect": ["loan.*"]}}
    registry.stop_all()
    assert registry.active_count == 0
    assert registry.list_registered() == ["Collect"]


def test_the_oldest_events_give_way_where_nobody_polls() -> None:
    """A process in which nobody polls does not fill its memory."""
    bus = Bus(events_max=2)
    made = [InProcessDomainEvent.model_validate(event(name)) for name in ("a", "b", "c")]
    for one in made:
        bus.put(one)
    assert [bus.poll(), bus.poll(), bus.poll()] == [*made[1:], None]
    assert (bus.counts["published"], bus.counts["dropped"]) == (3, 1)


def event(name: str) -> dict[str, Any]:
    """An event as plain values."""
    metadata = {"task_uuid": "t", "namespace": "n", "correlation_id": "c", "fired_at": "now"}
    return {"event_id": name, "event_name": name, "metadata": metadata}
