"""What a template declares of an event, and what its publisher is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tasker_core.types import StepContext

CONDITIONS = ("success", "failure", "retryable_failure", "permanent_failure", "always")
DELIVERY_MODES = ("durable", "fast", "broadcast")


@dataclass(frozen=True)
class StepResult:
    """How an execution ended. `error` holds message, error_type, error_code and retryable of a failure."""

    success: bool
    result: Any = None
    error: dict[str, Any] | None = None
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class EventDeclaration:
    """An item of a step's `publishes_events`. `schema` is a JSON Schema of what the publisher makes."""

    name: str
    condition: str = "success"
    delivery_mode: str = "durable"
    publisher: str | None = None
    schema: dict[str, Any] | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EventDeclaration:
        """Of a template's mapping."""
        return cls(
            name=data["name"],
            condition=data.get("condition") or "success",
            delivery_mode=data.get("delivery_mode") or "durable",
            publisher=data.get("publisher"),
            schema=data.get("schema"),
        )

    def is_met_by(self, step_result: StepResult) -> bool:
        """Whether an execution that ended so publishes the event."""
        is_retryable = bool((step_result.error or {}).get("retryable"))
        met = {
            "success": step_result.success,
            "failure": not step_result.success,
            "retryable_failure": not step_result.success and is_retryable,
            "permanent_failure": not step_result.success and not is_retryable,
            "always": True,
        }
        return met[self.condition]


@dataclass
class StepEventContext:
    """What a publisher is told. `result` is the step's; None where it failed: then `metadata["error"]` says why."""

    task_uuid: str
    step_uuid: str
    step_name: str
    namespace: str
    correlation_id: str
    result: dict[str, Any] | None = None
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    declaration: EventDeclaration | None = None
    """What the template says of the event; None where the application publishes by itself."""
    step_context: StepContext | None = None

    @classmethod
    def from_step_context(
        cls,
        step_context: StepContext,
        result: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> StepEventContext:
        """Of the context of an execution."""
        sequence = step_context.task_sequence_step
        return cls(
            task_uuid=str(step_context.task_uuid),
            step_uuid=str(step_context.step_uuid),
            step_name=sequence.workflow_step.name,
            namespace=sequence.task.namespace_name,
            correlation_id=str(step_context.correlation_id),
            result=result,
            metadata=metadata or {},
            step_context=step_context,
        )


@dataclass
class PublishContext:
    """One event of one execution."""

    event_name: str
    step_result: StepResult
    event_declaration: EventDeclaration | None = None
    step_context: StepContext | None = None

    def to_event_context(self) -> StepEventContext:
        """The same, as publishers take it. Raises ValueError without a step_context."""
        if self.step_context is None:
            raise ValueError(f"the event {self.event_name} has no step_context to publish from")
        failure = {} if self.step_result.error is None else {"error": self.step_result.error}
        result = self.step_result.result if self.step_result.success else None
        made = StepEventContext.from_step_context(
            self.step_context, result, {**self.step_result.metadata, **failure, "success": self.step_result.success}
        )
        made.declaration = self.event_declaration
        return made
