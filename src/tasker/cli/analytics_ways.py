"""Figures of a database, and of a server; see `tasker.cli.either`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from tasker.cli.database import Database
from tasker.cli.either import record
from tasker.model.analytics import (
    Bottlenecks,
    Durations,
    ErrorCount,
    Interval,
    Percentiles,
    Performance,
    Scope,
    TaskAnalysis,
)
from tasker.model.states import TaskState
from tasker.store import analytics
from tasker.store.analytics import Grouping, Order

if TYPE_CHECKING:
    from tasker.client import AsyncTaskerClient


class AnalyticsWay(Protocol):
    """What the commands ask."""

    async def performance(self, scope: Scope) -> Performance:
        """How the tasks of a time fared."""
        ...

    async def durations(self, by: Grouping, scope: Scope, order: Order, limit: int) -> Sequence[Durations]:
        """How long steps ran."""
        ...

    async def tasks(self, scope: Scope, limit: int) -> Sequence[Durations]:
        """How long tasks took, by template."""
        ...

    async def throughput(self, interval_s: float, scope: Scope) -> Sequence[Interval]:
        """What ended in each interval."""
        ...

    async def bottlenecks(self, scope: Scope, limit: int) -> Bottlenecks:
        """What takes longest and fails most."""
        ...

    async def analyze(self, task: UUID) -> TaskAnalysis:
        """A task as a graph at work."""
        ...


class DatabaseAnalytics:
    """By the reads."""

    def __init__(self, database: Database) -> None:
        self._on, self._schema = database.connection, database.settings.schema_name

    async def performance(self, scope: Scope) -> Performance:
        """One query."""
        return await analytics.performance(self._on, scope, schema=self._schema)

    async def durations(self, by: Grouping, scope: Scope, order: Order, limit: int) -> Sequence[Durations]:
        """One query."""
        return await analytics.step_durations(self._on, by, scope, order=order, limit=limit, schema=self._schema)

    async def tasks(self, scope: Scope, limit: int) -> Sequence[Durations]:
        """One query."""
        return await analytics.task_durations(self._on, "template", scope, limit=limit, schema=self._schema)

    async def throughput(self, interval_s: float, scope: Scope) -> Sequence[Interval]:
        """One query."""
        return await analytics.throughput(self._on, interval_s, scope, schema=self._schema)

    async def bottlenecks(self, scope: Scope, limit: int) -> Bottlenecks:
        """Three queries."""
        return await analytics.bottlenecks(self._on, scope, limit=limit, executions_min=1, schema=self._schema)

    async def analyze(self, task: UUID) -> TaskAnalysis:
        """One query."""
        return await analytics.analyze_task(self._on, task, schema=self._schema)


class ServerAnalytics:
    """By the client."""

    def __init__(self, client: AsyncTaskerClient) -> None:
        self._client = client

    async def performance(self, scope: Scope) -> Performance:
        """One request. Where nothing ended, the API says 0 of rates and averages that there are none of."""
        found = await self._client.get_performance(**_asked(scope))
        ended, has_time = found.total_tasks - found.active_tasks, found.calculated_at > found.covered_from
        same = ("completed_tasks", "failed_tasks", "cancelled_tasks", "active_tasks", "blocked_tasks")
        return Performance(
            **{name.removesuffix("_tasks"): getattr(found, name) for name in same},
            since=found.analysis_period_start,
            until=found.calculated_at,
            covered_from=found.covered_from,
            percentile_error=found.percentile_error,
            ended=ended,
            completion_rate=found.completion_rate if ended else None,
            error_rate=found.error_rate if ended else None,
            tasks_per_hour=found.tasks_per_hour if has_time else None,
            task_avg_s=None if found.task_seconds is None else found.average_task_duration_seconds,
            task_s=_percentiles(found.task_seconds),
            steps=found.step_count,
            step_errors=found.step_errors,
            retries=found.step_retries,
            steps_per_hour=found.steps_per_hour if has_time else None,
            step_avg_s=None if found.step_seconds is None else found.average_step_duration_seconds,
            step_s=_percentiles(found.step_seconds),
            health_score=found.system_health_score,
        )

    async def durations(self, by: Grouping, scope: Scope, order: Order, limit: int) -> Sequence[Durations]:
        """One request."""
        found = await self._client.get_durations(by=by, order=order, limit=limit, **_asked(scope))
        return [record(Durations, one) for one in found]

    async def tasks(self, scope: Scope, limit: int) -> Sequence[Durations]:
        """One request."""
        found = await self._client.get_durations(by="tasks", limit=limit, **_asked(scope))
        return [record(Durations, one) for one in found]

    async def throughput(self, interval_s: float, scope: Scope) -> Sequence[Interval]:
        """One request."""
        found = await self._client.get_throughput(interval_s=interval_s, **_asked(scope))
        return [record(Interval, one) for one in found]

    async def bottlenecks(self, scope: Scope, limit: int) -> Bottlenecks:
        """Three requests: the API's own answer has less of each step."""
        found = await self._client.get_bottlenecks(limit=limit, min_executions=1, **_asked(scope))
        return Bottlenecks(
            slow_steps=tuple(await self.durations("step", scope, "p95", limit)),
            slow_tasks=tuple(await self.tasks(scope, limit)),
            errors=tuple(record(ErrorCount, one) for one in found.errors),
            recommendations=tuple(found.recommendations),
        )

    async def analyze(self, task: UUID) -> TaskAnalysis:
        """One request."""
        found = await self._client.analyze(task)
        several = ("steps", "levels", "critical_path", "remaining_path", "bottlenecks", "error_chains")
        lists: dict[str, Any] = {name: tuple(getattr(found, name)) for name in several}
        return record(TaskAnalysis, found, state=TaskState(found.state), **lists)


def _asked(scope: Scope) -> dict[str, Any]:
    """A scope as the API takes it."""
    same = {name: getattr(scope, name) for name in ("since", "until", "name", "version")}
    return {name: value for name, value in {**same, "namespace": scope.namespaces}.items() if value is not None}


def _percentiles(answer: Any) -> Percentiles | None:
    return None if answer is None else record(Percentiles, answer)
