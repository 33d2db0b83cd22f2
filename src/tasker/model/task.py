"""What is known of tasks and steps: frozen records that the reads answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from tasker.model.states import StepState, TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The worker process that runs a step now."""

    session_uuid: UUID
    name: str
    host: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInfo:
    """A task without its steps. Times carry a zone; None where it has not come to that yet."""

    task_uuid: UUID
    namespace: str
    name: str
    version: str
    status: TaskState
    is_paused: bool
    priority: int
    initiator: str | None
    source_system: str | None
    reason: str | None
    tags: tuple[str, ...]
    correlation_id: UUID | None
    parent_correlation_id: UUID | None
    idempotency_key: str | None
    context: Mapping[str, Any]
    step_count: int
    open_steps: int
    """Steps that are not finished."""
    live_steps: int
    """Steps that can move by themselves: run, ready, or waiting for a time."""
    due_steps: int
    """Live steps that wait for a time."""
    failed_steps: int
    created_at: datetime
    start_at: datetime
    """When it may begin."""
    started_at: datetime | None
    """When a worker first took a step of it."""
    finished_at: datetime | None
    paused_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """A step of a task. Times carry a zone; those of a step that ran several times are of its last attempt."""

    task_uuid: UUID
    step_uuid: UUID
    number: int
    name: str
    handler: str
    queue: str
    state: StepState
    attempt: int
    """How often it was handed to a worker."""
    tries: int
    """Executions that ended since the last reset: what `max_attempts` counts."""
    losses: int
    """Workers that it took with it while it ran alone."""
    max_attempts: int
    is_retryable: bool
    timeout_s: float | None
    dependencies: tuple[str, ...]
    waiting_for: tuple[str, ...]
    """Dependencies that do not satisfy it yet."""
    is_suspect: bool
    """It lost its worker and is run alone."""
    granted_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    next_retry_at: datetime | None
    holder: Holder | None
    result: Any
    error: Mapping[str, Any] | None
    """The record of its last failure, also where a later try succeeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """A task with its steps, as it was at one moment."""

    task: TaskInfo
    steps: tuple[StepView, ...]
    results: Mapping[str, Any]
    """What the complete steps returned, by name."""
    errors: Mapping[str, Mapping[str, Any]]
    """The error records of the steps in `error`, by name."""

    @property
    def task_uuid(self) -> UUID:
        """The task's id."""
        return self.task.task_uuid

    @property
    def status(self) -> TaskState:
        """Where the task stands."""
        return self.task.status

    @property
    def context(self) -> Mapping[str, Any]:
        """What the task was submitted with."""
        return self.task.context

    @property
    def is_paused(self) -> bool:
        """True while a pause keeps it from handing out steps."""
        return self.task.is_paused

    @property
    def created_at(self) -> datetime:
        """When it was submitted."""
        return self.task.created_at

    @property
    def finished_at(self) -> datetime | None:
        """When it ended; None while it has not."""
        return self.task.finished_at

    def step(self, name: str) -> StepView:
        """The step of that name; KeyError where there is none."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)
