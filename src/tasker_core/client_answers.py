"""What the client of the private seam answers: plain mappings, under the names of the dataclasses of `client`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import Any
from uuid import UUID

from tasker.model.errors import InvalidInput, StepNotFound, TaskNotFound
from tasker.model.states import TaskState
from tasker.model.task import ExecutionContext, StepView, TaskFilter, TaskInfo, TaskView, Transition
from tasker.store.connection import Connection
from tasker.store.reads import PAGE_MAX, Reads
from tasker_core.metadata import parted
from tasker_core.runtime import current

NEEDED = ("name", "namespace", "version", "context", "initiator", "source_system", "reason")
_OPTIONS = (
    "tags",
    "priority",
    "correlation_id",
    "parent_correlation_id",
    "idempotency_key",
    "initiator",
    "source_system",
    "reason",
)

actor: ContextVar[str] = ContextVar("actor", default="tasker-core-python")
"""Who acts: the functions of the private seam do not say it."""


def create_task(request: Mapping[str, Any]) -> dict[str, Any]:
    """Creates a task of a request with the keys of NEEDED; of the others those of TaskerClient.create_task count."""
    missing = [key for key in NEEDED if request.get(key) is None]
    if missing:
        raise InvalidInput(f"the request has no {', '.join(missing)}: a task needs {', '.join(NEEDED)}")
    runtime = current()
    options = {key: request[key] for key in _OPTIONS if request.get(key) is not None}
    for key in ("correlation_id", "parent_correlation_id"):
        if key in options:
            options[key] = UUID(str(options[key]))
    made = runtime.run(
        runtime.tasker.submit(
            request["name"],
            namespace=request["namespace"],
            version=request["version"],
            context=dict(request["context"]),
            **options,
        )
    )
    return get_task(str(made.task_uuid))


def get_task(task_uuid: str) -> dict[str, Any]:
    """A task with its steps."""
    task_id = UUID(str(task_uuid))

    async def ask(reads: Reads, connection: Connection) -> tuple[TaskView, list[ExecutionContext]]:
        view = await reads.task_view(connection, task_id)
        return view, await reads.execution_contexts(connection, [task_id])

    view, figures = current().read(ask)
    return _task(view.task, figures[0] if figures else None, view.steps)


def list_tasks(
    limit: int = 50, offset: int = 0, namespace: str | None = None, status: str | None = None
) -> dict[str, Any]:
    """A page of tasks, newest first, without their steps."""
    states = None if status is None else (TaskState(status),)
    which = TaskFilter(states=states, namespace=namespace)

    async def ask(reads: Reads, connection: Connection) -> list[TaskInfo]:
        found: list[TaskInfo] = []
        cursor = None
        while len(found) <= offset + limit:
            wanted = min(PAGE_MAX, offset + limit + 1 - len(found))
            page = await reads.task_page(connection, which, limit=wanted, cursor=cursor)
            found.extend(page.tasks)
            if (cursor := page.next_cursor) is None:
                break
        return found

    found = current().read(ask)
    count = len(found)
    pagination = {
        "page": offset // limit + 1 if limit else 1,
        "per_page": limit,
        "total_count": count,
        "total_pages": -(-count // limit) if limit else 0,
        "has_next": count > offset + limit,
        "has_previous": offset > 0,
    }
    return {"tasks": [_task(one, None, ()) for one in found[offset : offset + limit]], "pagination": pagination}


def cancel_task(task_uuid: str) -> dict[str, Any]:
    """Ends a task, in the name of `actor`."""
    runtime = current()
    runtime.run(runtime.tasker.cancel(UUID(str(task_uuid)), actor=actor.get()))
    return {"cancelled": True}


def list_steps(task_uuid: str) -> list[dict[str, Any]]:
    """The steps of a task, in the order of its template."""
    task_id = UUID(str(task_uuid))
    steps = current().read(lambda reads, connection: reads.steps(connection, [task_id]))
    if not steps:
        raise TaskNotFound(f"there is no task {task_id}")
    return [_step(one) for one in steps]


def get_step(task_uuid: str, step_uuid: str) -> dict[str, Any]:
    """A step."""
    for one in list_steps(task_uuid):
        if one["step_uuid"] == str(step_uuid):
            return one
    raise StepNotFound(f"task {task_uuid} has no step {step_uuid}")


def audit_history(task_uuid: str, step_uuid: str) -> list[dict[str, Any]]:
    """The moves of a step, in their order."""
    step = get_step(task_uuid, step_uuid)
    moves = current().read(lambda reads, connection: reads.history(connection, [UUID(step["task_uuid"])]))
    return [_move(one, step["step_uuid"]) for one in moves if one.name == step["name"]]


def health() -> dict[str, Any]:
    """Asks the database for the time."""

    async def ask(_: Reads, connection: Connection) -> datetime:
        return await connection.fetchval("select now()")

    return {"status": "healthy", "timestamp": current().read(ask).isoformat()}


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _task(task: TaskInfo, figures: ExecutionContext | None, steps: Sequence[StepView]) -> dict[str, Any]:
    counts = {} if figures is None else _counts(figures)
    return {
        "task_uuid": str(task.task_uuid),
        "name": task.name,
        "namespace": task.namespace,
        "version": task.version,
        "status": str(task.status),
        "created_at": task.created_at.isoformat(),
        "updated_at": (task.finished_at or task.started_at or task.created_at).isoformat(),
        "completed_at": _time(task.finished_at),
        "context": dict(task.context or {}),
        "initiator": task.initiator or "",
        "source_system": task.source_system or "",
        "reason": task.reason or "",
        "priority": task.priority,
        "tags": list(task.tags),
        "correlation_id": str(task.correlation_id or task.task_uuid),
        "parent_correlation_id": None if task.parent_correlation_id is None else str(task.parent_correlation_id),
        "total_steps": task.step_count,
        "steps": [_step(one) for one in steps],
        **counts,
    }


def _counts(figures: ExecutionContext) -> dict[str, Any]:
    return {
        "pending_steps": figures.pending,
        "in_progress_steps": figures.in_progress,
        "completed_steps": figures.completed,
        "failed_steps": figures.failed,
        "ready_steps": figures.ready,
        "execution_status": figures.execution_status,
        "recommended_action": figures.recommended_action or "",
        "completion_percentage": figures.completion_percentage,
        "health_status": figures.health_status,
    }


def _step(step: StepView) -> dict[str, Any]:
    result, metadata = parted(step.result)
    return {
        "step_uuid": str(step.step_uuid),
        "task_uuid": str(step.task_uuid),
        "name": step.name,
        "current_state": str(step.state),
        "attempts": step.tries,
        "max_attempts": step.max_attempts,
        "dependencies_satisfied": not step.waiting_for,
        "retry_eligible": step.is_retryable and step.tries < step.max_attempts,
        "ready_for_execution": str(step.state) == "enqueued",
        "last_failure_at": _time(step.finished_at) if step.error else None,
        "next_retry_at": _time(step.next_retry_at),
        "results": result,
        "error": None if step.error is None else dict(step.error),
        "metadata": metadata,
    }


def _move(move: Transition, step_uuid: str) -> dict[str, Any]:
    return {
        "step_uuid": step_uuid,
        "task_uuid": str(move.task_uuid),
        "step_name": move.name or "",
        "from_state": move.from_state,
        "to_state": move.to_state,
        "attempt": move.attempt,
        "worker_uuid": move.worker,
        "recorded_at": move.at.isoformat(),
        "detail": None if move.detail is None else dict(move.detail),
    }
