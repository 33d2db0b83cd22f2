"""From answers of the API to the records that the reads of the database give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from tasker.model import why as model_why
from tasker.model.fleet import TemplateDefinition, TemplateInfo
from tasker.model.states import StepState, TaskState
from tasker.model.task import (
    ExecutionContext,
    Holder,
    Readiness,
    StepTiming,
    StepView,
    TaskFilter,
    TaskInfo,
    TaskSummary,
    TaskView,
    Transition,
)
from tasker.operations.accounts import Move, SummaryStep, TaskSummaryResponse
from tasker.operations.reasons import TaskWhy
from tasker.operations.templates import TemplateDetail, TemplateSummary
from tasker.operations.views import StepReadiness, StepResponse, TaskResponse


def query(which: TaskFilter) -> dict[str, Any]:
    """A filter as the API takes it."""
    tags = [*(which.tags or ()), *([which.tag] if which.tag is not None else [])]
    return {
        "status": [str(state) for state in which.states] if which.states else None,
        "namespace": which.namespace,
        "name": which.name,
        "version": which.version,
        "tag": tags or None,
        "correlation_id": which.correlation_id,
        "initiator": which.initiator,
        "created_after": which.created_from,
        "created_before": which.created_until,
        "completed_after": which.completed_from,
        "completed_before": which.completed_until,
        "field": [f"{path}={value}" for path, value in which.fields.items()] if which.fields else None,
    }


def task_info(task: TaskResponse) -> TaskInfo:
    """A task without its steps."""
    same = ("task_uuid", "namespace", "name", "version", "is_paused", "initiator", "source_system", "reason", "context")
    more = ("correlation_id", "parent_correlation_id", "idempotency_key", "step_count", "open_steps", "live_steps")
    times = ("due_steps", "created_at", "start_at", "started_at", "paused_at")
    return TaskInfo(
        **{name: getattr(task, name) for name in (*same, *more, *times)},
        status=TaskState(task.status),
        priority=task.priority or 0,
        tags=tuple(task.tags or ()),
        failed_steps=task.steps_in_error,
        finished_at=task.completed_at,
    )


def task_view(task: TaskResponse, steps: Sequence[StepResponse]) -> TaskView:
    """A task with its steps."""
    views = tuple(map(step_view, steps))
    return TaskView(
        task=task_info(task),
        steps=views,
        results={step.name: step.result for step in views if step.state is StepState.COMPLETE},
        errors={step.name: step.error or {} for step in views if step.state is StepState.ERROR},
    )


def step_view(step: StepResponse) -> StepView:
    """A step."""
    same = ("task_uuid", "number", "name", "handler", "queue", "attempt", "losses", "max_attempts", "is_retryable")
    more = ("timeout_s", "is_suspect", "is_not_taken", "granted_at", "started_at", "next_retry_at", "error")
    return StepView(
        **{name: getattr(step, name) for name in (*same, *more)},
        state=StepState(step.current_state),
        tries=step.attempts,
        dependencies=tuple(step.dependencies),
        waiting_for=tuple(step.waiting_for),
        finished_at=step.completed_at,
        holder=None if step.holder is None else Holder(**step.holder.model_dump()),
        result=step.results,
    )


def readiness(step: StepReadiness, number: int) -> Readiness:
    """Whether a step can run now."""
    same = ("task_uuid", "name", "dependencies_satisfied", "retry_eligible", "ready_for_execution", "last_failure_at")
    more = ("next_retry_at", "total_parents", "completed_parents", "max_attempts", "last_attempted_at", "why")
    return Readiness(
        **{name: getattr(step, name) for name in (*same, *more)},
        number=number,
        state=StepState(step.current_state),
        tries=step.attempts,
        backoff_s=step.backoff_request_seconds,
    )


def levels(steps: Sequence[StepResponse]) -> dict[str, int]:
    """The level of each step: 0 for one that depends on none, else one more than the highest that it depends on."""
    by_name, found = {step.name: step for step in steps}, dict[str, int]()
    waiting = list(by_name)
    while waiting:
        name = waiting.pop()
        above = [one for one in by_name[name].dependencies if one in by_name]
        missing = [one for one in above if one not in found]
        if missing:
            waiting += [name, *missing]
        else:
            found[name] = max((found[one] + 1 for one in above), default=0)
    return found


def transition(task: UUID, move: Move) -> Transition:
    """A move."""
    same = ("number", "seq", "from_state", "to_state", "attempt", "at", "worker", "detail")
    return Transition(task_uuid=task, name=move.step_name, **{name: getattr(move, name) for name in same})


def summary(task: TaskResponse, found: TaskSummaryResponse) -> TaskSummary:
    """A task, its figures, and where its time went."""
    path = {name: place for place, name in enumerate(found.timing.critical_path, 1)}
    return TaskSummary(
        task=task_info(task),
        context=ExecutionContext(
            task_uuid=task.task_uuid,
            state=TaskState(task.status),
            is_paused=task.is_paused,
            total=task.total_steps,
            pending=task.pending_steps,
            ready=task.ready_steps,
            in_progress=task.in_progress_steps,
            waiting_for_retry=task.waiting_for_retry_steps,
            completed=task.completed_steps,
            failed=task.failed_steps,
            cancelled=task.cancelled_steps,
            execution_status=task.execution_status,
            recommended_action=task.recommended_action,
            completion_percentage=task.completion_percentage,
            health_status=task.health_status,
        ),
        timings=tuple(_timing(step, path.get(step.name)) for step in found.steps if step.queue_s is not None),
        wait_s=found.timing.wait_s,
        elapsed_s=found.timing.elapsed_s,
        run_s=found.timing.run_s,
    )


def _timing(step: SummaryStep, place: int | None) -> StepTiming:
    return StepTiming(
        name=step.name,
        number=step.number,
        state=StepState(step.current_state),
        tries=step.attempts,
        ready_at=step.ready_at,
        first_granted_at=step.first_granted_at,
        ended_at=step.ended_at,
        queue_s=step.queue_s or 0,
        run_s=step.run_s or 0,
        retry_s=step.retry_s or 0,
        critical_place=place,
    )


def why(found: TaskWhy) -> model_why.TaskWhy:
    """Why a task waits."""
    steps = tuple(
        model_why.StepWhy(
            task_uuid=found.task_uuid,
            number=step.number,
            name=step.name,
            state=StepState(step.state),
            handler=step.handler,
            queue=step.queue,
            conditions=tuple(
                model_why.Condition(kind=one.kind, said=one.said, data=one.data)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - newer servers may know more kinds
                for one in step.conditions
            ),
        )
        for step in found.steps
    )
    return model_why.TaskWhy(
        task_uuid=found.task_uuid,
        state=TaskState(found.state),
        is_paused=found.is_paused,
        said=found.said,
        steps=steps,
    )


def template_info(found: TemplateSummary) -> TemplateInfo:
    """A published version."""
    return TemplateInfo(**{name: getattr(found, name) for name in TemplateInfo.__dataclass_fields__})


def template_definition(found: TemplateDetail) -> TemplateDefinition:
    """A published version with its definition."""
    return TemplateDefinition(
        template_id=found.template_id,
        revision=found.revision,
        published_at=found.published_at,
        definition=found.configuration,
    )
