"""The steps of a task: look at them, and repair them by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, cast
from uuid import UUID, uuid5

import orjson
from pydantic import Field

from tasker.model.errors import StepNotFound
from tasker.model.ids import uuid7
from tasker.model.task import Readiness, StepView, TaskView, Transition
from tasker.operations.fields import Name, TaskUuid
from tasker.operations.registry import Access, Answer, Given, Scope, operation
from tasker.operations.views import StepResponse, step_response
from tasker.store.connection import Connection
from tasker.submission import encode_context


class OfTask(Given):
    """All steps of a task."""

    task_uuid: TaskUuid


class OfStep(Given):
    """One step of a task."""

    task_uuid: TaskUuid
    step_uuid: Annotated[UUID, Field(examples=["0198c0de-0000-8000-8000-000000000001"])]


@operation("steps:read", Scope.TASK)
async def list_steps(access: Access, given: OfTask) -> list[StepResponse]:
    """Show the steps of a task"""
    task, ready = await _task_with_readiness(access, given.task_uuid)
    return [step_response(step, ready.get(step.number), task.created_at) for step in task.steps]


@operation("steps:read", Scope.TASK)
async def get_step(access: Access, given: OfStep) -> StepResponse:
    """Show one step of a task"""
    task, ready = await _task_with_readiness(access, given.task_uuid)
    step = step_of(task, given.step_uuid)
    return step_response(step, ready.get(step.number), task.created_at)


class _Action(Given):
    """What every action says."""

    reason: str = Field(max_length=10_000, description="Kept in the history.")
    seen_state: Name | None = Field(None, description="Only if the step is in this state.")
    seen_attempt: int | None = Field(None, ge=0, le=2**31 - 1, description="Only if this is its last attempt.")
    act_id: UUID | None = Field(None, description="The same id again does nothing again, and answers the same.")


class ResetForRetry(_Action):
    """Run a failed step again, with all its tries."""

    action_type: Literal["reset_for_retry"]
    reset_by: Name


class ResolveManually(_Action):
    """Count the step as done, without a result: what depends on it goes on."""

    action_type: Literal["resolve_manually"]
    resolved_by: Name


class CompletionData(Given):
    """The result that the step gets. `metadata` is kept in the history, beside the reason."""

    result: Any
    metadata: dict[str, Any] | None = None


class CompleteManually(_Action):
    """Give the step its result: what depends on it goes on with that."""

    action_type: Literal["complete_manually"]
    completion_data: CompletionData
    completed_by: Name


class ActOnStep(OfStep):
    """What is done to a step, by whom and why."""

    action: Annotated[ResetForRetry | ResolveManually | CompleteManually, Field(discriminator="action_type")]


@operation("steps:resolve", Scope.TASK)
async def act_on_step(access: Access, given: ActOnStep) -> StepResponse:
    """Repair a step by hand: retry, resolve or complete it"""
    engine, asked = access.engine, given.action
    action, said, result = _plain(asked, engine.settings.result_bytes_max)
    act_id = asked.act_id or uuid7()

    async def act(connection: Connection) -> None:
        task = await engine.reads.task_view(connection, given.task_uuid)
        await engine.verbs.act(
            connection,
            act_id,
            action,
            given.task_uuid,
            number=step_of(task, given.step_uuid).number,
            seen_state=asked.seen_state,
            seen_attempt=asked.seen_attempt,
            actor=access.actor(said),
            reason=_reason(asked),
            result=result,
        )

    await engine.ask(act)
    engine.woken()
    task, ready = await _task_with_readiness(access, given.task_uuid)
    step = step_of(task, given.step_uuid)
    return step_response(step, ready.get(step.number), task.created_at)


def _plain(asked: ResetForRetry | ResolveManually | CompleteManually, bytes_max: int) -> tuple[str, str, str | None]:
    """The engine's word for an action, who does it, and the result as JSON text."""
    if isinstance(asked, ResetForRetry):
        return "retry", asked.reset_by, None
    if isinstance(asked, ResolveManually):
        return "resolve", asked.resolved_by, None
    result = asked.completion_data.result
    shaped = cast("dict[str, Any]", result) if isinstance(result, dict) else {"result": result}
    return "complete", asked.completed_by, encode_context(shaped, bytes_max, what="the result")


def _reason(asked: ResetForRetry | ResolveManually | CompleteManually) -> str:
    metadata = asked.completion_data.metadata if isinstance(asked, CompleteManually) else None
    return asked.reason if not metadata else f"{asked.reason} {orjson.dumps(metadata).decode()}"


class StepAudit(Answer):
    """How an attempt of a step ended, or what an operator did to it."""

    audit_uuid: UUID
    workflow_step_uuid: UUID
    transition_uuid: UUID
    task_uuid: UUID
    recorded_at: datetime
    worker_uuid: UUID | None = Field(description="Always null: see `worker`.")
    worker: str | None = Field(description="name@host:pid of the worker that held the attempt.")
    correlation_id: UUID | None
    success: bool
    execution_time_ms: int | None
    result: Any = Field(None, description="What the step returned; of a failure its record, of an act who and why.")
    step_name: str
    from_state: str | None
    to_state: str
    attempt: int | None


_ENDS = {"complete", "error", "waiting_for_retry", "cancelled", "resolved_manually"}


@operation("steps:read", Scope.TASK)
async def get_step_audit(access: Access, given: OfStep) -> list[StepAudit]:
    """Show how each attempt of a step ended, and what operators did to it"""
    reads = access.engine.reads

    async def read(connection: Connection) -> list[StepAudit]:
        task = await reads.task_view(connection, given.task_uuid)
        step = step_of(task, given.step_uuid)
        history = await reads.history(connection, [given.task_uuid], step.number)
        return _audit(task, step, history)

    return await access.engine.ask(read)


def _audit(task: TaskView, step: StepView, history: list[Transition]) -> list[StepAudit]:
    began = {move.attempt: move.at for move in history if move.to_state == "in_progress"}
    ends = [move for move in history if move.to_state in _ENDS or "action" in (move.detail or {})]
    return [_audited(task, step, move, began.get(move.attempt), is_last=move is ends[-1]) for move in ends]


def _audited(task: TaskView, step: StepView, move: Transition, began: datetime | None, *, is_last: bool) -> StepAudit:
    is_success = move.to_state in ("complete", "resolved_manually")
    ran = began is not None and move.from_state == "in_progress"
    return StepAudit(
        audit_uuid=uuid5(step.step_uuid, f"audit {move.seq}"),
        workflow_step_uuid=step.step_uuid,
        transition_uuid=uuid5(step.step_uuid, f"transition {move.seq}"),
        task_uuid=task.task_uuid,
        recorded_at=move.at,
        worker_uuid=None,
        worker=move.worker,
        correlation_id=task.task.correlation_id,
        success=is_success,
        execution_time_ms=round((move.at - began).total_seconds() * 1000) if ran and began else None,
        result=step.result if is_success and is_last and move.detail is None else move.detail,
        step_name=step.name,
        from_state=move.from_state,
        to_state=move.to_state,
        attempt=move.attempt,
    )


def step_of(task: TaskView, step_uuid: UUID) -> StepView:
    """The step with this public id. Raises StepNotFound."""
    for step in task.steps:
        if step.step_uuid == step_uuid:
            return step
    raise StepNotFound(f"task {task.task_uuid} has no step {step_uuid}")


async def _task_with_readiness(access: Access, task_uuid: UUID) -> tuple[TaskView, dict[int, Readiness]]:
    reads = access.engine.reads

    async def read(connection: Connection) -> tuple[TaskView, dict[int, Readiness]]:
        task = await reads.task_view(connection, task_uuid)
        return task, {one.number: one for one in await reads.readiness(connection, [task_uuid])}

    return await access.engine.ask(read)
