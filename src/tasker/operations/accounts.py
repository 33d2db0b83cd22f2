"""What a task amounts to: its summary, its history, and its data."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from tasker.model.dlq import DlqEntry, DlqStatus
from tasker.model.ids import step_uuid
from tasker.model.states import StepState
from tasker.model.task import Readiness, StepTiming, StepView, TaskSummary, TaskView, Transition
from tasker.model.template import Step
from tasker.operations.registry import Access, Answer, Scope, operation
from tasker.operations.steps import OfTask
from tasker.operations.views import figures_of
from tasker.store.connection import Connection
from tasker.store.dlq import entry_of_task
from tasker.store.reads import task_not_found
from tasker.templates import from_definition


class SummaryTask(Answer):
    """The task of a summary."""

    task_uuid: UUID
    name: str
    namespace: str
    version: str
    status: str
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    initiator: str | None
    source_system: str | None
    reason: str | None
    correlation_id: UUID | None
    total_steps: int
    pending_steps: int
    in_progress_steps: int
    completed_steps: int
    failed_steps: int
    cancelled_steps: int
    waiting_for_retry_steps: int
    completion_percentage: float
    health_status: str
    execution_status: str
    recommended_action: str | None


class SummaryTemplateStep(Answer):
    """A step as the template has it."""

    name: str
    step_type: str
    handler: str
    dependencies: list[str]
    retryable: bool
    max_attempts: int


class SummaryTemplate(Answer):
    """The template of a summary."""

    steps: list[SummaryTemplateStep]


class SummaryError(Answer):
    """Why a step failed last."""

    error_type: str | None
    retryable: bool
    status_code: int | None
    message: str | None


class SummaryStep(Answer):
    """A step of a summary, with where its time went, in seconds."""

    step_uuid: UUID
    number: int = Field(description="Its number in the task.")
    name: str
    current_state: str
    created_at: datetime | None
    ready_at: datetime | None
    first_granted_at: datetime | None = Field(description="When a worker first took it.")
    ended_at: datetime | None = Field(description="When it was done with, by the history.")
    completed_at: datetime | None
    last_attempted_at: datetime | None
    attempts: int
    max_attempts: int
    dependencies_satisfied: bool
    retry_eligible: bool
    error: SummaryError | None
    queue_s: float | None
    run_s: float | None
    retry_s: float | None


class SummaryDlq(Answer):
    """Whether somebody should look at the task; of its newest entry."""

    in_dlq: bool = Field(description="The entry is pending.")
    dlq_reason: str | None
    resolution_status: str | None


class SummaryLinks(Answer):
    """Where to look further, below the API's prefix."""

    task: str
    steps: str
    dlq: str


class SummaryTiming(Answer):
    """Where the task's time went, in seconds; up to now while it goes on."""

    wait_s: float = Field(description="Until a worker took its first step.")
    elapsed_s: float | None = Field(description="From then on.")
    run_s: float = Field(description="In handlers, all steps together.")
    critical_path: list[str] = Field(description="The steps that decided how long it took, first to last.")


class TaskSummaryResponse(Answer):
    """A task on one page."""

    task: SummaryTask
    template: SummaryTemplate
    steps: list[SummaryStep]
    dlq: SummaryDlq
    links: SummaryLinks
    timing: SummaryTiming


@operation("tasks:read", Scope.TASK)
async def get_task_summary(access: Access, given: OfTask) -> TaskSummaryResponse:
    """Show a task on one page: its state, its steps, their errors, and where its time went"""
    reads = access.engine.reads

    async def read(connection: Connection) -> TaskSummaryResponse:
        found = await reads.summaries(connection, [given.task_uuid])
        if not found:
            raise task_not_found(given.task_uuid)
        view = await reads.task_view(connection, given.task_uuid)
        ready = {one.number: one for one in await reads.readiness(connection, [given.task_uuid])}
        task = view.task
        template = await reads.template(connection, task.namespace, task.name, task.version)
        entry = await entry_of_task(connection, given.task_uuid, schema=access.engine.settings.schema_name)
        return _summary(found[0], view, ready, from_definition(dict(template.definition)).steps, entry)

    return await access.engine.ask(read)


def _summary(
    found: TaskSummary, view: TaskView, ready: dict[int, Readiness], steps: tuple[Step, ...], entry: DlqEntry | None
) -> TaskSummaryResponse:
    task, path = view.task, f"/v1/tasks/{view.task_uuid}"
    timings = {timing.number: timing for timing in found.timings}
    known = [at for step in view.steps for at in (step.granted_at, step.finished_at) if at is not None]
    return TaskSummaryResponse(
        task=SummaryTask(
            task_uuid=task.task_uuid,
            name=task.name,
            namespace=task.namespace,
            version=task.version,
            status=task.status,
            created_at=task.created_at,
            updated_at=max([task.created_at, *known]),
            completed_at=task.finished_at,
            initiator=task.initiator,
            source_system=task.source_system,
            reason=task.reason,
            correlation_id=task.correlation_id,
            **{name: value for name, value in figures_of(found.context).items() if name != "ready_steps"},
        ),
        template=SummaryTemplate(steps=[_template_step(step) for step in steps]),
        steps=[
            _summary_step(step, ready.get(step.number), timings.get(step.number), task.created_at)
            for step in view.steps
        ],
        dlq=SummaryDlq(
            in_dlq=entry is not None and entry.status is DlqStatus.PENDING,
            dlq_reason=None if entry is None else entry.reason,
            resolution_status=None if entry is None else entry.status,
        ),
        links=SummaryLinks(task=path, steps=f"{path}/workflow_steps", dlq=f"/v1/dlq/task/{view.task_uuid}"),
        timing=SummaryTiming(
            wait_s=found.wait_s,
            elapsed_s=found.elapsed_s,
            run_s=found.run_s,
            critical_path=[timing.name for timing in found.critical_path],
        ),
    )


def _template_step(step: Step) -> SummaryTemplateStep:
    return SummaryTemplateStep(
        name=step.name,
        step_type=step.type,
        handler=step.handler.key,
        dependencies=list(step.dependencies),
        retryable=step.retry.retryable,
        max_attempts=step.retry.max_attempts,
    )


def _summary_step(
    step: StepView, ready: Readiness | None, timing: StepTiming | None, created_at: datetime
) -> SummaryStep:
    return SummaryStep(
        step_uuid=step.step_uuid,
        number=step.number,
        name=step.name,
        current_state=step.state,
        created_at=created_at,
        ready_at=None if timing is None else timing.ready_at,
        first_granted_at=None if timing is None else timing.first_granted_at,
        ended_at=None if timing is None else timing.ended_at,
        completed_at=step.finished_at,
        last_attempted_at=None if ready is None else ready.last_attempted_at,
        attempts=step.tries,
        max_attempts=step.max_attempts,
        dependencies_satisfied=ready is not None and ready.dependencies_satisfied,
        retry_eligible=ready is not None and ready.retry_eligible,
        error=_summary_error(step),
        queue_s=None if timing is None else timing.queue_s,
        run_s=None if timing is None else timing.run_s,
        retry_s=None if timing is None else timing.retry_s,
    )


def _summary_error(step: StepView) -> SummaryError | None:
    if step.error is None or step.state is StepState.COMPLETE:
        return None
    metadata: dict[str, Any] = step.error.get("metadata") or {}
    status_code: Any = metadata.get("status_code")
    return SummaryError(
        error_type=step.error.get("error_type"),
        retryable=bool(step.error.get("retryable")),
        status_code=status_code if isinstance(status_code, int) else None,
        message=step.error.get("message"),
    )


class Move(Answer):
    """One move of a task or of a step of it."""

    step_uuid: UUID | None = Field(description="Null where the task itself moved.")
    step_name: str | None
    number: int = Field(description="The step's number in the task; 0 where the task itself moved.")
    seq: int = Field(description="Counts the moves of this step, or of the task.")
    from_state: str | None
    to_state: str
    attempt: int | None
    at: datetime
    worker: str | None
    detail: dict[str, Any] | None = Field(description="The error's record, or what an operator did.")


@operation("tasks:read", Scope.TASK)
async def get_task_history(access: Access, given: OfTask) -> list[Move]:
    """Show every move of a task and its steps, in order"""
    reads = access.engine.reads

    async def read(connection: Connection) -> list[Transition]:
        if not (moves := await reads.history(connection, [given.task_uuid])):
            raise task_not_found(given.task_uuid)
        return moves

    return [_move(move) for move in await access.engine.ask(read)]


def _move(move: Transition) -> Move:
    return Move(
        step_uuid=step_uuid(move.task_uuid, move.number) if move.number else None,
        step_name=move.name,
        number=move.number,
        seq=move.seq,
        from_state=move.from_state,
        to_state=move.to_state,
        attempt=move.attempt,
        at=move.at,
        worker=move.worker,
        detail=None if move.detail is None else dict(move.detail),
    )


class TaskData(Answer):
    """A task's data: what it was created with, what its complete steps returned, and both together."""

    inputs: dict[str, Any]
    outputs: dict[str, Any] = Field(description="By the name of the step.")
    merged: dict[str, Any]


@operation("tasks:context_read", Scope.TASK)
async def get_task_context(access: Access, given: OfTask) -> TaskData:
    """Show a task's data: its input and its steps' results"""
    reads = access.engine.reads
    view = await access.engine.ask(lambda connection: reads.task_view(connection, given.task_uuid))
    inputs, outputs = dict(view.context), dict(view.results)
    return TaskData(inputs=inputs, outputs=outputs, merged={**inputs, **outputs})
