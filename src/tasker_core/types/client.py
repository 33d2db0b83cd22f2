"""Answers of the client as pydantic models: the dataclasses of `tasker_core.client`, checked."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")


class ClientStepReadiness(_Answer):
    """A step of a task, and whether it can run."""

    workflow_step_uuid: str = ""
    task_uuid: str = ""
    named_step_uuid: str = ""
    name: str = ""
    current_state: str = ""
    dependencies_satisfied: bool = False
    retry_eligible: bool = False
    ready_for_execution: bool = False
    last_failure_at: str | None = None
    next_retry_at: str | None = None
    total_parents: int = 0
    completed_parents: int = 0
    attempts: int = 0
    max_attempts: int = 3
    backoff_request_seconds: float | None = None
    last_attempted_at: str | None = None


class ClientStepResponse(_Answer):
    """A step with what it returned, or why it failed. Times are ISO texts."""

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
    metadata: dict[str, Any] = Field(default_factory=dict)


class ClientTaskResponse(_Answer):
    """A task with its steps. Times are ISO texts."""

    task_uuid: str = ""
    name: str = ""
    namespace: str = ""
    version: str = ""
    status: str = ""
    created_at: str = ""
    updated_at: str = ""
    completed_at: str | None = None
    context: dict[str, Any] = Field(default_factory=dict)
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
    steps: list[ClientStepReadiness] = Field(default_factory=list[ClientStepReadiness])


class ClientPaginationInfo(_Answer):
    """Where a page lies."""

    page: int = 1
    per_page: int = 50
    total_count: int = 0
    total_pages: int = 0
    has_next: bool = False
    has_previous: bool = False


class ClientTaskListResponse(_Answer):
    """A page of tasks, newest first."""

    tasks: list[ClientTaskResponse] = Field(default_factory=list[ClientTaskResponse])
    pagination: ClientPaginationInfo = Field(default_factory=ClientPaginationInfo)


class ClientStepAuditResponse(_Answer):
    """A move of a step."""

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


class ClientHealthResponse(_Answer):
    """Whether the engine answers."""

    status: str = ""
    timestamp: str = ""
