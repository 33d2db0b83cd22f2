"""Domain events: what a step's outcome says to the world, before and after a publisher has made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from tasker.model.ids import step_uuid
from tasker.model.template import DeliveryMode

EventOutcome = Literal["success", "retryable_failure", "permanent_failure", "resolved"]
EventStatus = Literal["recorded", "published", "declined", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """An outcome that is to be told: what a publisher makes an event of.

    `content` is the step's result, or its error record where it failed; None for a step that an operator resolved.
    `attempt` and `outcome` say how the step ended: `resolved` is met by events with the condition `always` alone.
    """

    event_id: UUID
    """Of the event, and always the same: what subscribers know repeats by."""
    name: str
    mode: DeliveryMode
    outcome: EventOutcome
    content: Any
    task_uuid: UUID
    step_name: str
    number: int
    attempt: int
    namespace: str
    template: str
    version: str
    description: str | None = None
    publisher: str | None = None
    schema: Mapping[str, Any] | None = None
    correlation_id: UUID | None = None
    recorded_at: datetime | None = None
    """When the outcome was recorded, by the database's clock; None where the event comes before the outbox has it."""

    @property
    def step_uuid(self) -> UUID:
        """The public id of the step."""
        return step_uuid(self.task_uuid, self.number)

    @property
    def is_success(self) -> bool:
        """Whether the step succeeded."""
        return self.outcome == "success"

    @property
    def result(self) -> Any:
        """The step's result; None where it failed."""
        return self.content if self.is_success else None

    @property
    def error(self) -> Mapping[str, Any] | None:
        """The step's error record (message, error_type, error_code, retryable); None where it did not fail."""
        return None if self.outcome in ("success", "resolved") else self.content


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainEvent:
    """An event as subscribers get it, and as the outbox holds it.

    `payload` is what its publisher made of the step's outcome, `metadata` what the publisher added. An event may come
    again: `event_id` is then the same.
    """

    event_id: UUID
    name: str
    payload: Any
    task_uuid: UUID
    step_name: str
    number: int
    attempt: int
    namespace: str
    template: str
    version: str
    mode: DeliveryMode
    outcome: EventOutcome
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    publisher: str | None = None
    correlation_id: UUID | None = None
    recorded_at: datetime | None = None
    published_at: datetime | None = None
    """By the database's clock; None for an event that was not in the outbox."""
    cursor: int | None = None
    """Its place in the outbox: `Tasker.events(after=…)` goes on from it. None outside the outbox."""
    status: EventStatus = "published"
    problem: str | None = None
    """Why it was refused, or what its publisher failed of last."""
    tries: int = 1
    """How often it was handed to this subscriber, this time included."""

    @property
    def step_uuid(self) -> UUID:
        """The public id of the step."""
        return step_uuid(self.task_uuid, self.number)

    @property
    def is_from_outbox(self) -> bool:
        """False where it came in the worker's process alone: a broadcast event comes once more, with the same id."""
        return self.cursor is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriberInfo:
    """A subscriber as the database knows it: what waits for it, and what it has failed of for good."""

    name: str
    patterns: tuple[str, ...]
    since: datetime
    waiting: int
    failed: int
    error: str | None
    """The last thing it failed of that has not come right since."""
