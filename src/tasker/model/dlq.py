"""The dead letter queue: tasks that somebody should look at, and what was found out about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from tasker.model.states import TaskState


class DlqReason(StrEnum):
    """Why a task is in the queue."""

    STALENESS_TIMEOUT = "staleness_timeout"
    MAX_RETRIES_EXCEEDED = "max_retries_exceeded"
    DEPENDENCY_CYCLE_DETECTED = "dependency_cycle_detected"
    WORKER_UNAVAILABLE = "worker_unavailable"
    MANUAL_DLQ = "manual_dlq"


class DlqStatus(StrEnum):
    """What an investigation has come to."""

    PENDING = "pending"
    MANUALLY_RESOLVED = "manually_resolved"
    PERMANENTLY_FAILED = "permanently_failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class DlqEntry:
    """One investigation. Of a task one at a time is pending."""

    entry_uuid: UUID
    task_uuid: UUID
    namespace: str
    name: str
    version: str
    reason: DlqReason
    original_state: TaskState
    """The task's, when the entry was made."""
    status: DlqStatus
    assigned_to: str | None
    notes: str | None
    resolved_by: str | None
    resolved_at: datetime | None
    snapshot: Mapping[str, Any]
    """The task as it was then: counters, and up to fifty steps that were not done, with their errors."""
    metadata: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    state: TaskState | None
    """The task's state now; None where the task exists no longer."""
    state_since: datetime | None
    minutes: float
    """Since the entry was made."""
    priority_score: float
    """Which to look at first: the highest. By reason, and by how long the entry has waited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DlqEvent:
    """One thing that was done to an entry: created, assigned, noted, updated, resolved, reopened or requeued."""

    entry_uuid: UUID
    seq: int
    at: datetime
    actor: str
    action: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DlqStats:
    """How many entries there are for one reason, and what became of them."""

    reason: DlqReason
    total: int
    pending: int
    manually_resolved: int
    permanent_failures: int
    cancelled: int
    oldest: datetime | None
    newest: datetime | None
    avg_resolution_minutes: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Staleness:
    """For how long a task has stood still, and how long it may."""

    task_uuid: UUID
    namespace: str
    name: str
    version: str
    state: TaskState
    since: datetime
    still_minutes: float
    age_minutes: float
    threshold_minutes: float
    health: str
    """healthy, warning (from four fifths of what is allowed on) or stale."""
    priority: int


@dataclass(frozen=True, slots=True)
class DlqPage:
    """A page of entries, newest first. `next_cursor` is the id to go on from; None where this is the last page."""

    entries: tuple[DlqEntry, ...]
    next_cursor: UUID | None
