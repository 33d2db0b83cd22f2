"""What is known of tasks and steps: frozen records that the reads answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any
from uuid import UUID

from tasker.model.errors import StepNotFound
from tasker.model.ids import step_uuid
from tasker.model.states import StepState, TaskState

NOT_TAKEN = "not_taken"


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
    context: Mapping[str, Any] | None
    """What it was submitted with; None in lists."""
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
    """When a worker first took a step of it; None in lists."""
    finished_at: datetime | None
    paused_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """A step of a task. Times carry a zone; those of a step that ran several times are of its last attempt."""

    task_uuid: UUID
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
    is_not_taken: bool
    """A decision before it chose otherwise: it will not run. Its `state` then says nothing."""
    granted_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    next_retry_at: datetime | None
    holder: Holder | None
    result: Any
    error: Mapping[str, Any] | None
    """The record of its last failure, also where a later try succeeded."""

    @property
    def step_uuid(self) -> UUID:
        """The step's public id."""
        return step_uuid(self.task_uuid, self.number)

    @property
    def status(self) -> str:
        """Its state, or `not_taken`."""
        return NOT_TAKEN if self.is_not_taken else self.state.value


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
        return self.task.context or {}

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
        """The step of that name. Raises StepNotFound, which names the nearest one."""
        for step in self.steps:
            if step.name == name:
                return step
        near = get_close_matches(name, [step.name for step in self.steps], n=1)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        raise StepNotFound(f'task {self.task_uuid} has no step "{name}"{hint}')


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One move in a task's history. `name` is the step's; None where the task itself moved."""

    task_uuid: UUID
    number: int
    name: str | None
    seq: int
    """Counts the moves of this step, or of the task."""
    from_state: str | None
    to_state: str
    attempt: int | None
    at: datetime
    worker: str | None
    """Who held the attempt: name@host:pid."""
    detail: Mapping[str, Any] | None
    """An error record, or what an operator did: act_id, action, actor, reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether a step can run now, and what it waits for if not."""

    task_uuid: UUID
    number: int
    name: str
    state: StepState
    dependencies_satisfied: bool
    retry_eligible: bool
    ready_for_execution: bool
    """A worker may take it this moment."""
    last_failure_at: datetime | None
    next_retry_at: datetime | None
    total_parents: int
    completed_parents: int
    tries: int
    max_attempts: int
    backoff_s: float | None
    last_attempted_at: datetime | None
    why: str | None
    """A sentence for people; None for a step that has ended."""

    @property
    def step_uuid(self) -> UUID:
        """The step's public id."""
        return step_uuid(self.task_uuid, self.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionContext:
    """A task in figures: how many steps stand where, what that means, and what to do about it."""

    task_uuid: UUID
    state: TaskState
    is_paused: bool
    total: int
    pending: int
    ready: int
    in_progress: int
    waiting_for_retry: int
    completed: int
    """Complete, or resolved by hand."""
    failed: int
    cancelled: int
    execution_status: str
    """blocked_by_failures, has_ready_steps, processing, all_complete or waiting_for_dependencies."""
    recommended_action: str | None
    """None for a task that needs none any more."""
    completion_percentage: float
    health_status: str
    """blocked, recovering, healthy or unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTiming:
    """Where the time of a step went, in seconds; up to now while it goes on."""

    name: str
    number: int
    state: StepState
    tries: int
    ready_at: datetime | None
    first_granted_at: datetime | None
    ended_at: datetime | None
    queue_s: float
    run_s: float
    retry_s: float
    critical_place: int | None
    """Its place, from 1, on the way that decided how long the task took; None off that way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSummary:
    """A task, its figures, and where its time went."""

    task: TaskInfo
    context: ExecutionContext
    timings: tuple[StepTiming, ...]
    wait_s: float
    """From when it might begin until a worker took its first step."""
    elapsed_s: float | None
    """From then until it ended, or now; None before that."""
    run_s: float
    """Handlers ran, all steps together."""

    @property
    def critical_path(self) -> tuple[StepTiming, ...]:
        """The steps that decided how long it took, first to last."""
        on_it = [timing for timing in self.timings if timing.critical_place is not None]
        return tuple(sorted(on_it, key=lambda timing: timing.critical_place or 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProgress:
    """How far a batch has come. Its `total` members are waiting, running, succeeded or failed."""

    name: str
    number: int
    state: StepState
    failure_strategy: str
    parallelism: int
    total: int
    waiting: int
    running: int
    """Those that a worker holds."""
    succeeded: int
    failed: int
    items: int
    """Rows that the members work on; 0 where that is not known."""
    items_done: int
    """Those of members that have ended, and those of running ones up to their last checkpoints."""
    items_per_s: float | None
    started_at: datetime
    finished_at: datetime | None
    ends_at: datetime | None
    """When it will be done if it goes on like this; None while nobody can say, and when it has ended."""

    @property
    def share(self) -> float:
        """The share that is done, from 0 to 1: of the rows where they are known, else of the members."""
        if self.items:
            return self.items_done / self.items
        return (self.succeeded + self.failed) / self.total if self.total else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Which tasks a list shows; None filters nothing. `states` are joined by or, `namespaces` as well, all else by and.

    `created_from` is included, `created_until` is not. Both go by the time that a task's id carries, as the order does:
    that is when it was submitted, unless the id was made earlier. With `completed_from` (included) or `completed_until`
    (not) the list has tasks that ended, in the order in which they did.
    """

    states: tuple[TaskState, ...] | None = None
    namespace: str | None = None
    name: str | None = None
    version: str | None = None
    tag: str | None = None
    correlation_id: UUID | None = None
    initiator: str | None = None
    created_from: datetime | None = None
    created_until: datetime | None = None
    namespaces: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    """Tasks that have all of these."""
    completed_from: datetime | None = None
    completed_until: datetime | None = None
    fields: Mapping[str, str | int | float | bool] | None = None
    """By path, what the input has there. Templates declare the paths (`search_fields`)."""

    @property
    def is_by_end(self) -> bool:
        """Whether it asks for tasks by when they ended."""
        return self.completed_from is not None or self.completed_until is not None


@dataclass(frozen=True, slots=True)
class TaskCount:
    """How many tasks a list has; an estimate where it is not exact."""

    count: int
    is_exact: bool


@dataclass(frozen=True, slots=True)
class TaskPage:
    """A page of tasks. `next_cursor` leads to the next page; None where this is the last one."""

    tasks: tuple[TaskInfo, ...]
    next_cursor: str | None
