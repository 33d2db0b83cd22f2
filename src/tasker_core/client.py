"""Submitting and reading tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar
from uuid import UUID

from tasker_core import _tasker_core
from tasker_core.client_answers import actor

T = TypeVar("T", bound="_Response")


class _Response:
    @classmethod
    def from_dict(cls: type[T], data: Mapping[str, Any] | None) -> T:
        """Of plain values; unknown keys are left out, missing ones have their defaults."""
        known = {one.name for one in fields(cls)}  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        return cls(**{key: value for key, value in (data or {}).items() if key in known})


@dataclass(frozen=True)
class TaskResponse(_Response):
    """A task. Times are ISO texts; `steps` are plain mappings."""

    task_uuid: str = ""
    name: str = ""
    namespace: str = ""
    version: str = ""
    status: str = ""
    created_at: str = ""
    updated_at: str = ""
    completed_at: str | None = None
    context: dict[str, Any] = field(default_factory=dict[str, Any])
    initiator: str = ""
    source_system: str = ""
    reason: str = ""
    priority: int | None = None
    tags: list[str] | None = None
    correlation_id: str = ""
    parent_correlation_id: str | None = None
    total_steps: int = 0
    pending_steps: int = 0
    in_progress_steps: int = 0
    completed_steps: int = 0
    failed_steps: int = 0
    ready_steps: int = 0
    execution_status: str = ""
    recommended_action: str = ""
    completion_percentage: float = 0.0
    health_status: str = ""
    steps: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


@dataclass(frozen=True)
class PaginationInfo(_Response):
    """Where a page lies."""

    page: int = 1
    per_page: int = 50
    total_count: int = 0
    total_pages: int = 0
    has_next: bool = False
    has_previous: bool = False


@dataclass(frozen=True)
class TaskListResponse(_Response):
    """A page of tasks, newest first."""

    tasks: list[TaskResponse] = field(default_factory=list[TaskResponse])
    pagination: PaginationInfo = field(default_factory=PaginationInfo)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any] | None) -> TaskListResponse:
        """Of plain values."""
        data = data or {}
        tasks = [TaskResponse.from_dict(one) for one in data.get("tasks") or ()]
        return cls(tasks, PaginationInfo.from_dict(data.get("pagination")))


@dataclass(frozen=True)
class StepResponse(_Response):
    """A step of a task. Times are ISO texts."""

    step_uuid: str = ""
    task_uuid: str = ""
    name: str = ""
    created_at: str = ""
    updated_at: str = ""
    completed_at: str | None = None
    results: Any = None
    current_state: str = ""
    dependencies_satisfied: bool = False
    retry_eligible: bool = False
    ready_for_execution: bool = False
    total_parents: int = 0
    completed_parents: int = 0
    attempts: int = 0
    max_attempts: int = 3
    last_failure_at: str | None = None
    next_retry_at: str | None = None
    last_attempted_at: str | None = None
    error: dict[str, Any] | None = None
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the handler said beside its result."""


@dataclass(frozen=True)
class StepAuditResponse(_Response):
    """A move of a step. `result` is what it returned, where the move is that to `complete`."""

    audit_uuid: str = ""
    workflow_step_uuid: str = ""
    transition_uuid: str = ""
    task_uuid: str = ""
    recorded_at: str = ""
    worker_uuid: str | None = None
    correlation_id: str | None = None
    success: bool = False
    execution_time_ms: int | None = None
    result: Any = None
    step_name: str = ""
    from_state: str | None = None
    to_state: str = ""
    step_uuid: str = ""
    attempt: int | None = None
    detail: dict[str, Any] | None = None


@dataclass(frozen=True)
class HealthResponse(_Response):
    """Whether the database answers."""

    status: str = ""
    timestamp: str = ""


class TaskerClient:
    """Submits and reads tasks through this process's connection to the engine.

    Every method raises WorkerNotInitializedError before bootstrap_worker() or Worker.start().
    """

    def __init__(self, initiator: str = "tasker-core-python", source_system: str = "tasker-core") -> None:
        self.initiator = initiator
        self.source_system = source_system

    def create_task(
        self,
        name: str,
        *,
        namespace: str = "default",
        context: Mapping[str, Any] | None = None,
        version: str = "1.0.0",
        reason: str = "Task requested",
        **kwargs: Any,
    ) -> TaskResponse:
        """Creates a task; it is durable when this returns.

        Of the further keys, tags, priority, correlation_id, parent_correlation_id, idempotency_key, initiator and
        source_system count. Raises TemplateNotFound, InvalidInput, PayloadTooLarge, IdentityConflict.
        """
        request = {
            "name": name,
            "namespace": namespace,
            "version": version,
            "context": dict(context or {}),
            "initiator": self.initiator,
            "source_system": self.source_system,
            "reason": reason,
            **kwargs,
        }
        return TaskResponse.from_dict(_tasker_core.client_create_task(request))

    def get_task(self, task_uuid: str | UUID) -> TaskResponse:
        """A task with its steps. Raises TaskNotFound."""
        return TaskResponse.from_dict(_tasker_core.client_get_task(str(task_uuid)))

    def list_tasks(
        self, *, limit: int = 50, offset: int = 0, namespace: str | None = None, status: str | None = None
    ) -> TaskListResponse:
        """Tasks, newest first, without their steps. Raises ValueError for a status that there is not."""
        return TaskListResponse.from_dict(_tasker_core.client_list_tasks(limit, offset, namespace, status))

    def cancel_task(self, task_uuid: str | UUID) -> dict[str, Any]:
        """Ends a task. Raises TaskNotFound, ActionForbidden where it has ended."""
        token = actor.set(self.initiator)
        try:
            return _tasker_core.client_cancel_task(str(task_uuid))
        finally:
            actor.reset(token)

    def list_task_steps(self, task_uuid: str | UUID) -> list[StepResponse]:
        """The steps of a task, in the order of its template. Raises TaskNotFound."""
        return [StepResponse.from_dict(one) for one in _tasker_core.client_list_task_steps(str(task_uuid))]

    def get_step(self, task_uuid: str | UUID, step_uuid: str | UUID) -> StepResponse:
        """A step. Raises TaskNotFound, StepNotFound."""
        return StepResponse.from_dict(_tasker_core.client_get_step(str(task_uuid), str(step_uuid)))

    def get_step_audit_history(self, task_uuid: str | UUID, step_uuid: str | UUID) -> list[StepAuditResponse]:
        """The moves of a step, in their order. Raises TaskNotFound, StepNotFound."""
        moves = _tasker_core.client_get_step_audit_history(str(task_uuid), str(step_uuid))
        return [StepAuditResponse.from_dict(one) for one in moves]

    def health_check(self) -> HealthResponse:
        """Asks the database for the time."""
        return HealthResponse.from_dict(_tasker_core.client_health_check())
