"""Publishers: from a step's outcome to an event."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, ClassVar, cast

import structlog

from tasker.model.ids import uuid7
from tasker_core.domain_events.bus import bus
from tasker_core.domain_events.declaration import StepEventContext
from tasker_core.types.events import DomainEventMetadata, ExecutionResult, InProcessDomainEvent

_log = structlog.get_logger("tasker_core.domain_events")


class BasePublisher(ABC):
    """Makes events: give it a `publisher_name`, which templates name, and override what differs."""

    @property
    @abstractmethod
    def publisher_name(self) -> str:
        """What a declaration's `publisher` calls it. A class attribute will do."""

    def should_publish(self, ctx: StepEventContext) -> bool:
        """Whether this outcome is told at all."""
        return True

    def transform_payload(self, ctx: StepEventContext) -> dict[str, Any]:
        """What the event says: the step's result, or why it failed."""
        if ctx.result is not None:
            return ctx.result
        return {"error": ctx.metadata["error"]} if "error" in ctx.metadata else {}

    def additional_metadata(self, ctx: StepEventContext) -> dict[str, Any]:
        """What stands in the event's metadata beside the usual."""
        return {}

    def before_publish(self, event_name: str, payload: dict[str, Any], metadata: dict[str, Any]) -> bool:
        """Called with what is about to go out. False: it does not."""
        return True

    def after_publish(  # noqa: B027 - may be overridden
        self, event_name: str, payload: dict[str, Any], metadata: dict[str, Any]
    ) -> None:
        """Called with what went out."""

    def on_publish_error(self, event_name: str, error: Exception, payload: dict[str, Any]) -> None:
        """Called with what went wrong. The step is not hurt by it."""
        _log.error(
            "an event was not published",
            event_name=event_name,
            publisher=self.publisher_name,
            error=f"{type(error).__name__}: {error}",
        )

    def publish(self, ctx: StepEventContext, event_name: str | None = None) -> bool:
        """Publishes in this process; whether it did. Without a name: that of the declaration, else `step.published`."""
        name = event_name or (ctx.declaration.name if ctx.declaration else f"{ctx.step_name}.published")
        payload: dict[str, Any] = {}
        try:
            if not self.should_publish(ctx):
                return False
            payload = self.transform_payload(ctx)
            metadata = {**_metadata(ctx, self.publisher_name), **self.additional_metadata(ctx)}
            if not self.before_publish(name, payload, metadata):
                return False
            _check(ctx, payload)
            bus.put(_event(ctx, name, payload, metadata))
            self.after_publish(name, payload, metadata)
        except Exception as error:
            bus.counts["failed"] += 1
            self.on_publish_error(name, error, payload)
            return False
        return True


class DefaultPublisher(BasePublisher):
    """The publisher of events that name none: it tells the step's result as it is."""

    @property
    def publisher_name(self) -> str:
        """`default`."""
        return "default"


class PublisherRegistry:
    """The publishers of the process by name: `instance()`."""

    _instance: ClassVar[PublisherRegistry | None] = None
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        self._publishers: dict[str, BasePublisher] = {}
        self._default = DefaultPublisher()
        self._is_frozen = False

    @classmethod
    def instance(cls) -> PublisherRegistry:
        """The registry of the process."""
        with cls._lock:
            if cls._instance is None:
                cls._instance = cls()
            return cls._instance

    @classmethod
    def reset(cls) -> None:
        """Forgets the registry of the process."""
        with cls._lock:
            cls._instance = None

    def register(self, publisher: BasePublisher, name: str | None = None) -> None:
        """Puts a publisher under a name, its own where none is given. Raises RuntimeError while it is frozen."""
        self._require_open()
        self._publishers[name or publisher.publisher_name] = publisher

    def get(self, name: str) -> BasePublisher | None:
        """The publisher of that name; None where there is none."""
        return self._publishers.get(name)

    def get_or_default(self, name: str | None = None) -> BasePublisher:
        """The publisher of that name, else the default one."""
        return self._publishers.get(name or "", self._default)

    def validate_required(self, names: Iterable[str]) -> None:
        """Raises ValueError where one of these is not registered."""
        missing = sorted(set(names) - {*self._publishers, self._default.publisher_name})
        if missing:
            raise ValueError(f"templates name publishers that are not registered: {', '.join(missing)}")

    def freeze(self) -> None:
        """No publisher comes or goes from now on."""
        self._is_frozen = True

    def unfreeze(self) -> None:
        """They may again."""
        self._is_frozen = False

    @property
    def is_frozen(self) -> bool:
        """Whether publishers can neither come nor go."""
        return self._is_frozen

    def list_publishers(self) -> list[str]:
        """The registered names, sorted."""
        return sorted(self._publishers)

    def clear(self) -> None:
        """Forgets all. Raises RuntimeError while it is frozen."""
        self._require_open()
        self._publishers.clear()

    def _require_open(self) -> None:
        if self._is_frozen:
            raise RuntimeError("the registry of publishers is frozen: call unfreeze() first")


def _metadata(ctx: StepEventContext, publisher: str) -> dict[str, Any]:
    return {
        "task_uuid": ctx.task_uuid,
        "step_uuid": ctx.step_uuid,
        "step_name": ctx.step_name,
        "namespace": ctx.namespace,
        "correlation_id": ctx.correlation_id,
        "fired_at": datetime.now(UTC).isoformat(),
        "fired_by": publisher,
    }


def _check(ctx: StepEventContext, payload: dict[str, Any]) -> None:
    if ctx.declaration is None or not ctx.declaration.schema:
        return
    # Imported here because it takes a fifth of a second, and many events have no schema.
    import jsonschema

    jsonschema.Draft7Validator(ctx.declaration.schema).validate(payload)  # pyright: ignore[reportUnknownMemberType]


def _event(ctx: StepEventContext, name: str, payload: dict[str, Any], metadata: dict[str, Any]) -> InProcessDomainEvent:
    is_success = bool(ctx.metadata.get("success", ctx.result is not None))
    execution = ExecutionResult(
        step_uuid=ctx.step_uuid,
        success=is_success,
        status="completed" if is_success else "error",
        result=ctx.result,
        error=cast("dict[str, Any] | None", ctx.metadata.get("error")),
        metadata={key: value for key, value in ctx.metadata.items() if key not in ("success", "error")},
    )
    sequence = {} if ctx.step_context is None else ctx.step_context.event.task_sequence_step
    triple = {"task_sequence_step": sequence, "execution_result": execution.model_dump(), "payload": payload}
    return InProcessDomainEvent(
        event_id=str(uuid7()),
        event_name=name,
        metadata=DomainEventMetadata(**metadata),
        payload={**payload, **triple},
        execution_result=execution,
    )
