"""What operations answer about tasks and steps, with the field names of tasker-core's API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from tasker.model.ids import step_uuid
from tasker.model.task import ExecutionContext, Readiness, StepView, TaskInfo
from tasker.operations.registry import Answer
from tasker.store.overviews import TaskOverview


class StepReadiness(Answer):
    """What keeps a step from running, or nothing."""

    workflow_step_uuid: UUID
    task_uuid: UUID
    named_step_uuid: UUID = Field(description="The step's id again: steps have no other.")
    name: str
    current_state: str
    dependencies_satisfied: bool
    retry_eligible: bool
    ready_for_execution: bool
    last_failure_at: datetime | None
    next_retry_at: datetime | None
    total_parents: int
    completed_parents: int
    attempts: int = Field(description="Executions that ended, as the retry policy counts them.")
    max_attempts: int
    backoff_request_seconds: float | None
    last_attempted_at: datetime | None
    why: str | None = Field(description="What it waits for, in a sentence.")


class TaskResponse(Answer):
    """A task. Times carry a zone."""

    task_uuid: UUID
    name: str
    namespace: str
    version: str
    status: str = Field(examples=["complete"])
    created_at: datetime
    updated_at: datetime
    start_at: datetime = Field(description="When it may begin.")
    started_at: datetime | None = Field(description="When a worker first took a step of it; null in lists.")
    paused_at: datetime | None
    completed_at: datetime | None = Field(description="When it ended, well or not.")
    context: dict[str, Any] | None = Field(
        description="What it was created with; null in lists, and without `tasks:context_read`."
    )
    initiator: str | None
    source_system: str | None
    reason: str | None
    priority: int | None
    tags: list[str] | None
    correlation_id: UUID | None
    parent_correlation_id: UUID | None
    idempotency_key: str | None
    is_paused: bool
    is_duplicate: bool = Field(False, description="It existed before this request, which asked for the same.")
    total_steps: int
    pending_steps: int
    in_progress_steps: int
    completed_steps: int
    failed_steps: int
    cancelled_steps: int
    waiting_for_retry_steps: int
    ready_steps: int
    step_count: int = Field(description="Its steps, with those that no decision chose.")
    open_steps: int = Field(description="Those that are not finished.")
    live_steps: int = Field(description="Those that can move by themselves: run, ready, or waiting for a time.")
    due_steps: int = Field(description="Live ones that wait for a time.")
    steps_in_error: int
    execution_status: str
    recommended_action: str | None
    completion_percentage: float
    health_status: str
    steps: list[StepReadiness] = Field(description="Empty in lists.")


class StepHolder(Answer):
    """The worker process that runs a step."""

    session_uuid: UUID
    name: str
    host: str
    pid: int


class StepResponse(Answer):
    """A step of a task."""

    step_uuid: UUID
    task_uuid: UUID
    name: str
    created_at: datetime
    updated_at: datetime
    granted_at: datetime | None = Field(description="When its last attempt was handed to a worker.")
    started_at: datetime | None = Field(description="When its last attempt began to run.")
    completed_at: datetime | None
    results: Any = None
    current_state: str
    dependencies_satisfied: bool
    retry_eligible: bool
    ready_for_execution: bool
    total_parents: int
    completed_parents: int
    attempts: int
    max_attempts: int
    last_failure_at: datetime | None
    next_retry_at: datetime | None
    last_attempted_at: datetime | None
    attempt: int = Field(description="How often it was handed to a worker; what `seen_attempt` of an action means.")
    number: int = Field(description="Its number in the task.")
    losses: int = Field(description="Workers that it took with it while it ran alone.")
    is_suspect: bool = Field(description="It lost its worker and is run alone.")
    is_retryable: bool
    timeout_s: float | None
    dependencies: list[str]
    is_not_taken: bool = Field(description="A decision before it chose otherwise: it will not run.")
    handler: str
    queue: str
    waiting_for: list[str]
    held_by: str | None = Field(description="The worker that runs it now.")
    holder: StepHolder | None = Field(description="The same in its parts.")
    error: dict[str, Any] | None = Field(description="The record of its last failure.")


def step_readiness(found: Readiness) -> StepReadiness:
    """As the API names it."""
    uuid = step_uuid(found.task_uuid, found.number)
    return StepReadiness(
        workflow_step_uuid=uuid,
        task_uuid=found.task_uuid,
        named_step_uuid=uuid,
        name=found.name,
        current_state=found.state,
        dependencies_satisfied=found.dependencies_satisfied,
        retry_eligible=found.retry_eligible,
        ready_for_execution=found.ready_for_execution,
        last_failure_at=found.last_failure_at,
        next_retry_at=found.next_retry_at,
        total_parents=found.total_parents,
        completed_parents=found.completed_parents,
        attempts=found.tries,
        max_attempts=found.max_attempts,
        backoff_request_seconds=found.backoff_s,
        last_attempted_at=found.last_attempted_at,
        why=found.why,
    )


def task_response(
    task: TaskInfo,
    figures: ExecutionContext,
    *,
    context: Mapping[str, Any] | None,
    steps: list[StepReadiness] | None = None,
    is_duplicate: bool = False,
) -> TaskResponse:
    """As the API shows a task; `context` is what the caller may see of it."""
    return TaskResponse(
        task_uuid=task.task_uuid,
        name=task.name,
        namespace=task.namespace,
        version=task.version,
        status=task.status,
        created_at=task.created_at,
        updated_at=_updated_at(task, steps or []),
        start_at=task.start_at,
        started_at=task.started_at,
        paused_at=task.paused_at,
        completed_at=task.finished_at,
        context=None if context is None else dict(context),
        initiator=task.initiator,
        source_system=task.source_system,
        reason=task.reason,
        priority=task.priority,
        tags=list(task.tags),
        correlation_id=task.correlation_id,
        parent_correlation_id=task.parent_correlation_id,
        idempotency_key=task.idempotency_key,
        is_paused=task.is_paused,
        is_duplicate=is_duplicate,
        step_count=task.step_count,
        open_steps=task.open_steps,
        live_steps=task.live_steps,
        due_steps=task.due_steps,
        steps_in_error=task.failed_steps,
        **figures_of(figures),
        steps=steps or [],
    )


def task_of_overview(found: TaskOverview, *, shows_context: bool, is_duplicate: bool = False) -> TaskResponse:
    """One task with the readiness of its steps."""
    return task_response(
        found.task,
        found.figures,
        context=found.task.context if shows_context else None,
        steps=[step_readiness(step) for step in found.steps],
        is_duplicate=is_duplicate,
    )


def figures_of(figures: ExecutionContext) -> dict[str, Any]:
    """A task in figures, as the API names them."""
    return {
        "total_steps": figures.total,
        "pending_steps": figures.pending,
        "in_progress_steps": figures.in_progress,
        "completed_steps": figures.completed,
        "failed_steps": figures.failed,
        "cancelled_steps": figures.cancelled,
        "waiting_for_retry_steps": figures.waiting_for_retry,
        "ready_steps": figures.ready,
        "execution_status": figures.execution_status,
        "recommended_action": figures.recommended_action,
        "completion_percentage": figures.completion_percentage,
        "health_status": figures.health_status,
    }


def _updated_at(task: TaskInfo, steps: list[StepReadiness]) -> datetime:
    """The latest time that is known of a task."""
    known = [task.finished_at, task.paused_at, task.started_at]
    for step in steps:
        known += [step.last_attempted_at, step.last_failure_at]
    return max([task.created_at, *(at for at in known if at is not None)])


def step_response(step: StepView, ready: Readiness | None, created_at: datetime) -> StepResponse:
    """As the API shows a step. `ready` is None for a step that no decision chose."""
    known = [at for at in (step.granted_at, step.started_at, step.finished_at) if at is not None]
    return StepResponse(
        step_uuid=step.step_uuid,
        task_uuid=step.task_uuid,
        name=step.name,
        created_at=created_at,
        updated_at=max([created_at, *known]),
        granted_at=step.granted_at,
        started_at=step.started_at,
        completed_at=step.finished_at,
        results=step.result,
        current_state=step.state,
        dependencies_satisfied=ready is not None and ready.dependencies_satisfied,
        retry_eligible=ready is not None and ready.retry_eligible,
        ready_for_execution=ready is not None and ready.ready_for_execution,
        total_parents=len(step.dependencies),
        completed_parents=0 if ready is None else ready.completed_parents,
        attempts=step.tries,
        max_attempts=step.max_attempts,
        last_failure_at=None if ready is None else ready.last_failure_at,
        next_retry_at=step.next_retry_at,
        last_attempted_at=None if ready is None else ready.last_attempted_at,
        attempt=step.attempt,
        number=step.number,
        losses=step.losses,
        is_suspect=step.is_suspect,
        is_retryable=step.is_retryable,
        timeout_s=step.timeout_s,
        dependencies=list(step.dependencies),
        is_not_taken=step.is_not_taken,
        handler=step.handler,
        queue=step.queue,
        waiting_for=list(step.waiting_for),
        held_by=None if step.holder is None else f"{step.holder.name}@{step.holder.host}:{step.holder.pid}",
        holder=None if step.holder is None else StepHolder.model_validate(step.holder),
        error=None if step.error is None else dict(step.error),
    )
