"""Submitting and reading tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from tasker.model.errors import StepNotFound, TaskNotFound
from tasker.model.states import TaskState
from tasker.model.task import ExecutionContext, StepView, TaskFilter, TaskInfo, TaskView, Transition
from tasker.store.connection import Connection
from tasker.store.reads import PAGE_MAX, Reads
from tasker_core.runtime import current

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


@dataclass(frozen=True)
class StepResponse(_Response):
    """A step of a task."""

    step_uuid: str = ""
    task_uuid: str = ""
    name: str = ""
    current_state: str = ""
    attempts: int = 0
    max_attempts: int = 3
    dependencies_satisfied: bool = False
    retry_eligible: bool = False
    ready_for_execution: bool = False
    last_failure_at: str | None = None
    next_retry_at: str | None = None
    results: Any = None
    error: dict[str, Any] | None = None


@dataclass(frozen=True)
class StepAuditResponse(_Response):
    """A move of a step."""

    step_uuid: str = ""
    task_uuid: str = ""
    step_name: str = ""
    from_state: str | None = None
    to_state: str = ""
    attempt: int | None = None
    worker_uuid: str | None = None
    recorded_at: str = ""
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
        runtime = current()
        given = {"initiator": self.initiator, "source_system": self.source_system, **kwargs}
        options = {key: given[key] for key in _OPTIONS if given.get(key) is not None}
        for key in ("correlation_id", "parent_correlation_id"):
            if key in options:
                options[key] = UUID(str(options[key]))
        made = runtime.run(
            runtime.tasker.submit(
                name, namespace=namespace, version=version, context=dict(context or {}), reason=reason, **options
            )
        )
        return self.get_task(made.task_uuid)

    def get_task(self, task_uuid: str | UUID) -> TaskResponse:
        """A task with its steps. Raises TaskNotFound."""
        task_id = UUID(str(task_uuid))

        async def ask(reads: Reads, connection: Connection) -> tuple[TaskView, list[ExecutionContext]]:
            view = await reads.task_view(connection, task_id)
            return view, await reads.execution_contexts(connection, [task_id])

        view, figures = current().read(ask)
        return _task(view.task, figures[0] if figures else None, view.steps)

    def list_tasks(
        self, *, limit: int = 50, offset: int = 0, namespace: str | None = None, status: str | None = None
    ) -> TaskListResponse:
        """Tasks, newest first, without their steps. Raises ValueError for a status that there is not."""
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
        shown = [_task(one, None, ()) for one in found[offset : offset + limit]]
        count = len(found)
        pages = -(-count // limit) if limit else 0
        has_next = count > offset + limit
        page = PaginationInfo(offset // limit + 1 if limit else 1, limit, count, pages, has_next, offset > 0)
        return TaskListResponse(shown, page)

    def cancel_task(self, task_uuid: str | UUID) -> dict[str, Any]:
        """Ends a task. Raises TaskNotFound, ActionForbidden where it has ended."""
        runtime = current()
        runtime.run(runtime.tasker.cancel(UUID(str(task_uuid)), actor=self.initiator))
        return {"cancelled": True}

    def list_task_steps(self, task_uuid: str | UUID) -> list[StepResponse]:
        """The steps of a task, in the order of its template. Raises TaskNotFound."""
        task_id = UUID(str(task_uuid))
        steps = current().read(lambda reads, connection: reads.steps(connection, [task_id]))
        if not steps:
            raise TaskNotFound(f"there is no task {task_id}")
        return [_step(one) for one in steps]

    def get_step(self, task_uuid: str | UUID, step_uuid: str | UUID) -> StepResponse:
        """A step. Raises TaskNotFound, StepNotFound."""
        for one in self.list_task_steps(task_uuid):
            if one.step_uuid == str(step_uuid):
                return one
        raise StepNotFound(f"task {task_uuid} has no step {step_uuid}")

    def get_step_audit_history(self, task_uuid: str | UUID, step_uuid: str | UUID) -> list[StepAuditResponse]:
        """The moves of a step, in their order. Raises TaskNotFound, StepNotFound."""
        step = self.get_step(task_uuid, step_uuid)
        moves = current().read(lambda reads, connection: reads.history(connection, [UUID(step.task_uuid)]))
        return [_move(one, step.step_uuid) for one in moves if one.name == step.name]

    def health_check(self) -> HealthResponse:
        """Asks the database for the time."""

        async def ask(_: Reads, connection: Connection) -> datetime:
            return await connection.fetchval("select now()")

        return HealthResponse("healthy", current().read(ask).isoformat())


_OPTIONS = (
    "tags",
    "priority",
    "correlation_id",
    "parent_correlation_id",
    "idempotency_key",
    "initiator",
    "source_system",
)


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _task(task: TaskInfo, figures: ExecutionContext | None, steps: tuple[StepView, ...]) -> TaskResponse:
    counts = {} if figures is None else _counts(figures)
    return TaskResponse(
        task_uuid=str(task.task_uuid),
        name=task.name,
        namespace=task.namespace,
        version=task.version,
        status=str(task.status),
        created_at=task.created_at.isoformat(),
        updated_at=(task.finished_at or task.started_at or task.created_at).isoformat(),
        completed_at=_time(task.finished_at),
        context=dict(task.context or {}),
        initiator=task.initiator or "",
        source_system=task.source_system or "",
        reason=task.reason or "",
        priority=task.priority,
        tags=list(task.tags),
        correlation_id=str(task.correlation_id or task.task_uuid),
        parent_correlation_id=None if task.parent_correlation_id is None else str(task.parent_correlation_id),
        total_steps=task.step_count,
        steps=[dict(vars(_step(one))) for one in steps],
        **counts,
    )


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


def _step(step: StepView) -> StepResponse:
    return StepResponse(
        step_uuid=str(step.step_uuid),
        task_uuid=str(step.task_uuid),
        name=step.name,
        current_state=str(step.state),
        attempts=step.tries,
        max_attempts=step.max_attempts,
        dependencies_satisfied=not step.waiting_for,
        retry_eligible=step.is_retryable and step.tries < step.max_attempts,
        ready_for_execution=str(step.state) == "enqueued",
        last_failure_at=_time(step.finished_at) if step.error else None,
        next_retry_at=_time(step.next_retry_at),
        results=step.result,
        error=None if step.error is None else dict(step.error),
    )


def _move(move: Transition, step_uuid: str) -> StepAuditResponse:
    return StepAuditResponse(
        step_uuid=step_uuid,
        task_uuid=str(move.task_uuid),
        step_name=move.name or "",
        from_state=move.from_state,
        to_state=move.to_state,
        attempt=move.attempt,
        worker_uuid=move.worker,
        recorded_at=move.at.isoformat(),
        detail=None if move.detail is None else dict(move.detail),
    )
