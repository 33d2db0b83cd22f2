"""What the client of the private seam answers: plain mappings, under the names of the dataclasses of `client`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from tasker.model.errors import InvalidInput, StepNotFound
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
    runtime, options = current(), options_of(request)
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


def options_of(request: Mapping[str, Any]) -> dict[str, Any]:
    """What a request says of a task beside its template and context. Raises InvalidInput where a key is missing."""
    missing = [key for key in NEEDED if request.get(key) is None]
    if missing:
        raise InvalidInput(f"the request has no {', '.join(missing)}: a task needs {', '.join(NEEDED)}")
    options = {key: request[key] for key in _OPTIONS if request.get(key) is not None}
    for key in ("correlation_id", "parent_correlation_id"):
        if key in options:
            options[key] = UUID(str(options[key]))
    return options


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

    return page_of([_task(one, None, ()) for one in current().read(ask)], limit, offset)


def page_of(tasks: list[dict[str, Any]], limit: int, offset: int) -> dict[str, Any]:
    """The page of a list that was read from its beginning, one task further than the page."""
    count = len(tasks)
    pagination = {
        "page": offset // limit + 1 if limit else 1,
        "per_page": limit,
        "total_count": count,
        "total_pages": -(-count // limit) if limit else 0,
        "has_next": count > offset + limit,
        "has_previous": offset > 0,
    }
    return {"tasks": tasks[offset : offset + limit], "pagination": pagination}


def cancel_task(task_uuid: str) -> dict[str, Any]:
    """Ends a task, in the name of `actor`."""
    runtime = current()
    runtime.run(runtime.tasker.cancel(UUID(str(task_uuid)), actor=actor.get()))
    return {"cancelled": True}


def list_steps(task_uuid: str) -> list[dict[str, Any]]:
    """The steps of a task, in the order of its template."""
    view = _view(task_uuid)
    return [_step(one, view.task) for one in view.steps]


def get_step(task_uuid: str, step_uuid: str) -> dict[str, Any]:
    """A step."""
    view = _view(task_uuid)
    return _step(_of_id(view, step_uuid), view.task)


def audit_history(task_uuid: str, step_uuid: str) -> list[dict[str, Any]]:
    """The moves of a step, in their order."""
    view = _view(task_uuid)
    step = _of_id(view, step_uuid)
    moves = current().read(lambda reads, connection: reads.history(connection, [step.task_uuid], step.number))
    began = {move.attempt: move.at for move in moves if move.to_state == "in_progress"}
    return [_move(one, step, view.task, began.get(one.attempt)) for one in moves]


def _view(task_uuid: str) -> TaskView:
    task_id = UUID(str(task_uuid))
    return current().read(lambda reads, connection: reads.task_view(connection, task_id))


def _of_id(view: TaskView, step_uuid: str) -> StepView:
    for one in view.steps:
        if str(one.step_uuid) == str(step_uuid):
            return one
    raise StepNotFound(f"task {view.task_uuid} has no step {step_uuid}")


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
        "steps": [_step(one, task) for one in steps],
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


def _step(step: StepView, task: TaskInfo) -> dict[str, Any]:
    result, metadata = parted(step.result)
    times = [at for at in (task.created_at, step.granted_at, step.started_at, step.finished_at) if at is not None]
    return {
        "step_uuid": str(step.step_uuid),
        "workflow_step_uuid": str(step.step_uuid),
        "named_step_uuid": str(step.step_uuid),
        "task_uuid": str(step.task_uuid),
        "name": step.name,
        "created_at": task.created_at.isoformat(),
        "updated_at": max(times).isoformat(),
        "completed_at": _time(step.finished_at),
        "results": result,
        "current_state": str(step.state),
        "dependencies_satisfied": not step.waiting_for,
        "retry_eligible": step.is_retryable and step.tries < step.max_attempts,
        "ready_for_execution": str(step.state) == "enqueued",
        "total_parents": len(step.dependencies),
        "completed_parents": 0 if step.is_not_taken else len(step.dependencies) - len(step.waiting_for),
        "attempts": step.tries,
        "max_attempts": step.max_attempts,
        "last_failure_at": _time(step.finished_at) if step.error else None,
        "next_retry_at": _time(step.next_retry_at),
        "backoff_request_seconds": None,
        "last_attempted_at": _time(step.started_at or step.granted_at),
        "error": None if step.error is None else dict(step.error),
        "metadata": metadata,
    }


def _move(move: Transition, step: StepView, task: TaskInfo, began: datetime | None) -> dict[str, Any]:
    is_success = move.to_state in ("complete", "resolved_manually")
    ended = began is not None and move.from_state == "in_progress"
    return {
        "audit_uuid": str(uuid5(step.step_uuid, f"audit {move.seq}")),
        "workflow_step_uuid": str(step.step_uuid),
        "transition_uuid": str(uuid5(step.step_uuid, f"transition {move.seq}")),
        "task_uuid": str(move.task_uuid),
        "recorded_at": move.at.isoformat(),
        "worker_uuid": move.worker,
        "correlation_id": str(task.correlation_id or task.task_uuid),
        "success": is_success,
        "execution_time_ms": round((move.at - began).total_seconds() * 1000) if ended and began else None,
        "result": parted(step.result)[0] if is_success else None,
        "step_name": move.name or "",
        "from_state": move.from_state,
        "to_state": move.to_state,
        "step_uuid": str(step.step_uuid),
        "attempt": move.attempt,
        "detail": None if move.detail is None else dict(move.detail),
    }
