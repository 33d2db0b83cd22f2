"""Domain events, as they reach subscribers in this process."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class DomainEventMetadata(BaseModel):
    """Where an event comes from. `fired_at` is an ISO time, `fired_by` the name of its publisher.

    What a publisher adds (`additional_metadata`) stands beside these.
    """

    model_config = ConfigDict(extra="allow")

    task_uuid: str
    step_uuid: str | None = None
    step_name: str | None = None
    namespace: str
    correlation_id: str
    fired_at: str
    fired_by: str | None = None


class ExecutionResult(BaseModel):
    """The execution that an event tells of. `error` holds message, error_type, error_code and retryable."""

    model_config = ConfigDict(extra="allow")

    step_uuid: str | None = None
    success: bool
    status: str
    result: Any = None
    error: dict[str, Any] | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class InProcessDomainEvent(BaseModel):
    """An event. `event_id` is the same however often it is delivered.

    `payload` holds task_sequence_step, execution_result and payload, which is what the publisher made; the keys of that
    stand beside them too.
    """

    event_id: str
    event_name: str
    event_version: str = "1.0"
    metadata: DomainEventMetadata
    payload: dict[str, Any] = Field(default_factory=dict)
    execution_result: ExecutionResult | None = None
