"""How tasks and steps fare: figures over a time, and one task as a graph at work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from tasker.model import analytics as model
from tasker.model.fleet import Stats
from tasker.model.states import StepState, TaskState
from tasker.operations.engine import Engine
from tasker.operations.fields import Moment, Name, Namespaces
from tasker.operations.registry import Access, Answer, Given, Scope, operation
from tasker.operations.steps import OfTask
from tasker.store import analytics as store
from tasker.store.connection import Connection

COUNT_MAX = 10_000
_ERROR = "How far percentiles may be from true ones, as a share of them; 0 where all were looked at."


class OfTime(Given):
    """Which tasks are looked at: those that ended in a time, the last day where none is given."""

    hours: float | None = Field(None, gt=0, le=8784, description="The last hours, in place of `since`.")
    since: Moment | None = None
    until: Moment | None = None
    namespace: Namespaces | None = None
    name: Name | None = Field(None, description="Of this template.")
    version: Name | None = None

    def scope(self, access: Access) -> model.Scope:
        """The same as the engine takes it, confined to what the caller may see."""
        namespaces = access.confined_to(self.namespace)
        until = self.until or datetime.now(UTC)
        since = until - timedelta(hours=self.hours) if self.hours is not None else self.since
        return model.Scope(
            since=since,
            until=self.until,
            namespaces=None if namespaces is None else tuple(namespaces),
            name=self.name,
            version=self.version,
        )


class Percentiles(Answer):
    """Seconds below which so many lie, of all."""

    p50: float
    p90: float
    p95: float
    p99: float


class PerformanceMetrics(Answer):
    """How tasks fared. Rates are shares from 0 to 1, and 0 where nothing ended."""

    total_tasks: int = Field(description="Those that ended, and those that are open.")
    active_tasks: int = Field(description=f"Open ones, each state counted up to {COUNT_MAX}.")
    completed_tasks: int
    failed_tasks: int
    cancelled_tasks: int
    blocked_tasks: int
    completion_rate: float
    error_rate: float
    average_task_duration_seconds: float
    average_step_duration_seconds: float
    task_seconds: Percentiles | None
    step_seconds: Percentiles | None
    tasks_per_hour: float
    steps_per_hour: float
    step_count: int = Field(description="Steps that ran, of these tasks.")
    step_errors: int
    step_retries: int
    system_health_score: float
    analysis_period_start: datetime
    covered_from: datetime = Field(description="From when on the figures hold; later where too many tasks ended.")
    percentile_error: float = Field(description=_ERROR)
    calculated_at: datetime


@operation("system:analytics_read", Scope.ACROSS)
async def get_performance(access: Access, given: OfTime) -> PerformanceMetrics:
    """Show how the tasks of a time fared: rates, durations with their percentiles, throughput"""
    schema, scope = access.engine.settings.schema_name, given.scope(access)
    found = await access.engine.ask(lambda connection: store.performance(connection, scope, schema=schema))
    return PerformanceMetrics(
        total_tasks=found.ended + found.active,
        active_tasks=found.active,
        completed_tasks=found.completed,
        failed_tasks=found.failed,
        cancelled_tasks=found.cancelled,
        blocked_tasks=found.blocked,
        completion_rate=found.completion_rate or 0.0,
        error_rate=found.error_rate or 0.0,
        average_task_duration_seconds=found.task_avg_s or 0.0,
        average_step_duration_seconds=found.step_avg_s or 0.0,
        task_seconds=None if found.task_s is None else Percentiles.model_validate(found.task_s),
        step_seconds=None if found.step_s is None else Percentiles.model_validate(found.step_s),
        tasks_per_hour=found.tasks_per_hour or 0.0,
        steps_per_hour=found.steps_per_hour or 0.0,
        step_count=found.steps,
        step_errors=found.step_errors,
        step_retries=found.retries,
        system_health_score=found.health_score,
        analysis_period_start=found.since,
        covered_from=found.covered_from,
        percentile_error=found.percentile_error,
        calculated_at=found.until,
    )


class FindBottlenecks(OfTime):
    """Which are looked at, and how many are shown."""

    limit: int = Field(10, ge=1, le=100)
    min_executions: int = Field(5, ge=1, le=1_000_000, description="Groups with fewer are left out.")


class SlowStep(Answer):
    """A step that takes long; seconds."""

    namespace_name: str
    task_name: str | None
    version: str | None
    step_name: str | None
    average_duration_seconds: float
    max_duration_seconds: float
    p50_s: float
    p95_s: float
    p99_s: float
    execution_count: int
    error_count: int
    error_rate: float
    last_executed_at: datetime | None


class SlowTask(Answer):
    """A template whose tasks take long; seconds."""

    namespace_name: str
    task_name: str | None
    version: str | None
    average_duration_seconds: float
    max_duration_seconds: float
    p50_s: float
    p95_s: float
    p99_s: float
    average_step_count: float = Field(description="The steps of the template's newest revision.")
    execution_count: int
    error_count: int
    error_rate: float
    last_executed_at: datetime | None


class FrequentError(Answer):
    """One way in which a step fails, and how often it did."""

    code: str
    error_type: str | None
    namespace: str
    name: str
    step: str
    count: int
    last_at: datetime
    message: str | None
    task_uuid: UUID


class ResourceUtilization(Answer):
    """How busy the whole installation is; null for callers who are confined to namespaces."""

    database_pool_utilization: float = Field(description="Always 0: connections are not counted.")
    system_health: dict[str, int] = Field(
        description=f"Tasks (`<state>_tasks`) and steps (`<state>_steps`) by state, up to {COUNT_MAX} each. Of steps "
        "those are counted that are enqueued, in progress or waiting for a time; of the other states it says 0."
    )


class BottleneckAnalysis(Answer):
    """What takes longest, what fails most, and what to do about it."""

    slow_steps: list[SlowStep]
    slow_tasks: list[SlowTask]
    errors: list[FrequentError]
    resource_utilization: ResourceUtilization | None
    recommendations: list[str]


@operation("system:analytics_read", Scope.ACROSS)
async def get_bottlenecks(access: Access, given: FindBottlenecks) -> BottleneckAnalysis:
    """Show what takes longest and fails most, and what to do about it"""
    engine, schema, scope = access.engine, access.engine.settings.schema_name, given.scope(access)

    async def read(
        connection: Connection,
    ) -> tuple[model.Bottlenecks, ResourceUtilization | None, dict[tuple[Any, ...], int]]:
        found = await store.bottlenecks(
            connection, scope, limit=given.limit, executions_min=given.min_executions, schema=schema
        )
        use = await _read_utilization(engine, connection) if access.principal.namespaces is None else None
        steps = {(t.namespace, t.name, t.version): t.step_count for t in await engine.reads.templates(connection)}
        return found, use, steps

    found, use, steps = await engine.ask(read)
    return BottleneckAnalysis(
        slow_steps=[SlowStep(step_name=one.step, **_durations(one)) for one in found.slow_steps],
        slow_tasks=[
            SlowTask(average_step_count=steps.get((one.namespace, one.name, one.version), 0), **_durations(one))
            for one in found.slow_tasks
        ],
        errors=[FrequentError.model_validate(one) for one in found.errors],
        resource_utilization=use,
        recommendations=list(found.recommendations),
    )


def _durations(one: model.Durations) -> dict[str, Any]:
    return {
        "namespace_name": one.namespace,
        "task_name": one.name,
        "version": one.version,
        "average_duration_seconds": one.avg_s,
        "max_duration_seconds": one.max_s,
        "p50_s": one.p50_s,
        "p95_s": one.p95_s,
        "p99_s": one.p99_s,
        "execution_count": one.count,
        "error_count": one.errors,
        "error_rate": one.error_rate,
        "last_executed_at": one.last_at,
    }


async def _read_utilization(engine: Engine, connection: Connection) -> ResourceUtilization:
    stats = await engine.reads.stats(connection, count_max=COUNT_MAX)
    running = sum(session.held for session in await engine.reads.sessions(connection, limit=500))
    return _utilization(stats, running)


def _utilization(stats: Stats, running: int) -> ResourceUtilization:
    """Steps are counted where they lie waiting: nobody counts those of a million ended tasks."""
    known = {
        StepState.ENQUEUED: sum(one.ready for one in stats.channels),
        StepState.IN_PROGRESS: running,
        StepState.WAITING_FOR_RETRY: stats.due,
    }
    health = {
        **{f"{state.value}_tasks": stats.tasks.get(state.value, 0) for state in TaskState},
        "total_tasks": sum(stats.tasks.values()),
        **{f"{state.value}_steps": known.get(state, 0) for state in StepState},
        "total_steps": sum(known.values()),
    }
    return ResourceUtilization(database_pool_utilization=0.0, system_health=health)


class GroupDurations(OfTime):
    """How steps, or tasks, are put into groups, and which groups come first."""

    by: Literal["namespace", "template", "step", "handler", "tasks"] = Field(
        "step", description="`tasks` is about tasks by template, the others about steps."
    )
    order: Literal["p95", "avg", "max", "total", "errors", "count"] = "p95"
    min_executions: int = Field(1, ge=1, le=1_000_000)
    limit: int = Field(50, ge=1, le=500)


class GroupOfDurations(Answer):
    """How long the steps, or tasks, of one group took, in seconds; what the group is not about is null."""

    namespace: str
    name: str | None
    version: str | None
    step: str | None
    handler: str | None
    count: int
    errors: int
    retries: int
    avg_s: float
    min_s: float
    max_s: float
    p50_s: float
    p90_s: float
    p95_s: float
    p99_s: float
    total_s: float
    last_at: datetime
    percentile_error: float = Field(description=_ERROR)


@operation("system:analytics_read", Scope.ACROSS)
async def get_durations(access: Access, given: GroupDurations) -> list[GroupOfDurations]:
    """Show how long steps ran, or tasks took, by group, with percentiles"""
    schema, scope = access.engine.settings.schema_name, given.scope(access)
    options: dict[str, Any] = {
        "order": given.order, "executions_min": given.min_executions, "limit": given.limit, "schema": schema,
    }  # fmt: skip

    async def read(connection: Connection) -> list[model.Durations]:
        if given.by == "tasks":
            return await store.task_durations(connection, "template", scope, **options)
        return await store.step_durations(connection, given.by, scope, **options)

    return [GroupOfDurations.model_validate(one) for one in await access.engine.ask(read)]


class OfIntervals(OfTime):
    """How long each interval is."""

    interval_s: float = Field(3600, ge=1, le=31_536_000)


class IntervalFigures(Answer):
    """What ended from `at` on, until the next interval begins."""

    at: datetime
    completed: int
    failed: int
    cancelled: int
    task_avg_s: float | None
    task_p95_s: float | None
    steps: int
    percentile_error: float = Field(description=_ERROR)


@operation("system:analytics_read", Scope.ACROSS)
async def get_throughput(access: Access, given: OfIntervals) -> list[IntervalFigures]:
    """Show what ended in each interval of a time"""
    schema, scope = access.engine.settings.schema_name, given.scope(access)
    found = await access.engine.ask(
        lambda connection: store.throughput(connection, given.interval_s, scope, schema=schema)
    )
    return [IntervalFigures.model_validate(one) for one in found]


class TaskAnalysis(Answer):
    """A task as a graph at work; docs/analytics.md says what each part holds."""

    task_uuid: UUID
    state: str
    steps: list[dict[str, Any]]
    levels: list[dict[str, Any]]
    critical_path: list[str] = Field(description="The way that decided how long it took so far.")
    remaining_path: list[str] = Field(description="The longest way through what is open.")
    remaining_s: float | None
    bottlenecks: list[dict[str, Any]]
    error_chains: list[dict[str, Any]]


@operation("tasks:read", Scope.TASK)
async def analyze(access: Access, given: OfTask) -> TaskAnalysis:
    """Show a task as a graph at work: levels, critical path, bottlenecks, error chains"""
    schema = access.engine.settings.schema_name
    found = await access.engine.ask(lambda connection: store.analyze_task(connection, given.task_uuid, schema=schema))
    return TaskAnalysis.model_validate(found)
