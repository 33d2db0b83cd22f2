"""Figures over a time, and the analysis of single tasks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import orjson

from tasker import sql
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
from tasker.store.asking import ask
from tasker.store.connection import Connection
from tasker.store.reads import task_not_found

Grouping = Literal["namespace", "template", "step", "handler"]
Order = Literal["p95", "avg", "max", "total", "errors", "count"]
SLOW_STEP_S = 30.0
"""A step whose 95th percentile is longer is worth a recommendation."""
ERROR_RATE_MAX = 0.2
"""So is one that fails more often."""


async def performance(
    connection: Connection,
    scope: Scope | None = None,
    *,
    now: datetime | None = None,
    schema: str = sql.DEFAULT_SCHEMA,
) -> Performance:
    """How the tasks of a time fared; the last day where no time is given."""
    scope = scope or Scope()
    call = "measure_performance($1, $2, $3::text[], $4, $5, $6, $7)"
    arguments = (scope.since, scope.until, scope.namespaces, scope.name, scope.version, scope.tasks_max, now)
    (row,) = await ask(connection, call, *arguments, schema=schema)
    known: dict[str, Any] = dict(row)
    for name in ("task", "step"):
        found = known.pop(f"{name}_percentiles_s")
        known[f"{name}_s"] = found and Percentiles(p50=found[0], p90=found[1], p95=found[2], p99=found[3])
    return Performance(**known)


async def step_durations(
    connection: Connection,
    by: Grouping = "step",
    scope: Scope | None = None,
    *,
    order: Order = "p95",
    executions_min: int = 1,
    limit: int = 50,
    schema: str = sql.DEFAULT_SCHEMA,
) -> list[Durations]:
    """How long steps ran, by namespace, template, step or handler; the groups with the most of `order` first."""
    call = "measure_step_durations($1, $2, $3, $4::text[], $5, $6, $7, $8, $9, $10)"
    found = await ask(connection, call, *_grouped(by, scope, order, executions_min, limit), schema=schema)
    return [Durations(**dict(row)) for row in found]


async def task_durations(
    connection: Connection,
    by: Literal["namespace", "template"] = "template",
    scope: Scope | None = None,
    *,
    order: Order = "p95",
    executions_min: int = 1,
    limit: int = 50,
    schema: str = sql.DEFAULT_SCHEMA,
) -> list[Durations]:
    """How long tasks took, from when they might begin until they ended."""
    call = "measure_task_durations($1, $2, $3, $4::text[], $5, $6, $7, $8, $9, $10)"
    found = await ask(connection, call, *_grouped(by, scope, order, executions_min, limit), schema=schema)
    return [_task_durations(row) for row in found]


async def throughput(
    connection: Connection, interval_s: float, scope: Scope | None = None, *, schema: str = sql.DEFAULT_SCHEMA
) -> list[Interval]:
    """What ended in each interval of a time, the empty ones too. Raises InvalidInput for more than 1,000 of them."""
    scope, (since, until) = scope or Scope(), _times(scope)
    call = "measure_throughput($1, $2, $3, $4::text[], $5, $6, $7)"
    arguments = (since, until, interval_s, scope.namespaces, scope.name, scope.version, scope.tasks_max)
    return [Interval(**dict(row)) for row in await ask(connection, call, *arguments, schema=schema)]


async def errors(
    connection: Connection, scope: Scope | None = None, *, limit: int = 20, schema: str = sql.DEFAULT_SCHEMA
) -> list[ErrorCount]:
    """What steps failed of, the most frequent first."""
    scope, (since, until) = scope or Scope(), _times(scope)
    call = "read_errors($1, $2, $3::text[], $4, $5, $6, $7)"
    arguments = (since, until, scope.namespaces, scope.name, scope.version, limit, scope.tasks_max)
    found = await ask(connection, call, *arguments, schema=schema)
    return [ErrorCount(task_uuid=row["task_id"], **_but(row, "task_id")) for row in found]


async def bottlenecks(
    connection: Connection,
    scope: Scope | None = None,
    *,
    limit: int = 10,
    executions_min: int = 5,
    schema: str = sql.DEFAULT_SCHEMA,
) -> Bottlenecks:
    """The slowest steps and tasks (of those with enough executions), the most frequent errors, and what to do."""
    options: Any = {"executions_min": executions_min, "limit": limit, "schema": schema}
    steps = await step_durations(connection, "step", scope, **options)
    tasks = await task_durations(connection, "template", scope, **options)
    found = await errors(connection, scope, limit=limit, schema=schema)
    return Bottlenecks(
        slow_steps=tuple(steps),
        slow_tasks=tuple(tasks),
        errors=tuple(found),
        recommendations=tuple(_recommendations(steps)),
    )


async def analyze_tasks(
    connection: Connection, task_uuids: Sequence[UUID], *, now: datetime | None = None, schema: str = sql.DEFAULT_SCHEMA
) -> list[TaskAnalysis]:
    """Tasks as graphs at work, in the order asked; unknown ones are left out."""
    found = await ask(connection, "analyze_tasks($1::uuid[], $2)", task_uuids, now, schema=schema)
    return [_analysis(orjson.loads(row["analysis"])) for row in found]


async def analyze_task(
    connection: Connection, task_uuid: UUID, *, now: datetime | None = None, schema: str = sql.DEFAULT_SCHEMA
) -> TaskAnalysis:
    """One task as a graph at work. Raises TaskNotFound."""
    found = await analyze_tasks(connection, [task_uuid], now=now, schema=schema)
    if not found:
        raise task_not_found(task_uuid)
    return found[0]


def _analysis(known: dict[str, Any]) -> TaskAnalysis:
    return TaskAnalysis(
        task_uuid=UUID(known["task_uuid"]),
        state=TaskState(known["state"]),
        steps=tuple(known["steps"]),
        levels=tuple(known["levels"]),
        critical_path=tuple(known["critical_path"]),
        remaining_path=tuple(known["remaining_path"]),
        remaining_s=known["remaining_s"],
        bottlenecks=tuple(known["bottlenecks"]),
        error_chains=tuple(known["error_chains"]),
    )


def _grouped(by: str, scope: Scope | None, order: str, executions_min: int, limit: int) -> tuple[Any, ...]:
    scope = scope or Scope()
    which = (scope.namespaces, scope.name, scope.version)
    return (by, *_times(scope), *which, order, executions_min, limit, scope.tasks_max)


def _times(scope: Scope | None) -> tuple[datetime, datetime]:
    scope = scope or Scope()
    until = scope.until or datetime.now(UTC) + timedelta(seconds=60)  # past what the server's clock may be ahead
    return scope.since or until - timedelta(days=1), until


def _task_durations(row: Any) -> Durations:
    known = _but(row, "cancelled", "step_count")
    return Durations(step=None, handler=None, retries=0, **known)


def _but(row: Any, *names: str) -> dict[str, Any]:
    return {name: value for name, value in dict(row).items() if name not in names}


def _recommendations(steps: Sequence[Durations]) -> list[str]:
    """What stands out, the worst first."""
    said: list[str] = []
    for step in sorted(steps, key=lambda one: one.error_rate, reverse=True):
        if step.error_rate > ERROR_RATE_MAX:
            what = f"{step.error_rate:.0%} of {step.count} executions failed for good"
            said.append(f"{step.namespace}/{step.name}@{step.version} {step.step}: {what}: look at its errors")
    for step in sorted(steps, key=lambda one: one.p95_s, reverse=True):
        if step.p95_s > SLOW_STEP_S:
            what = f"one of twenty executions takes longer than {step.p95_s:.0f} s"
            said.append(f"{step.namespace}/{step.name}@{step.version} {step.step}: {what}: cut it, or speed it up")
    return said[:5]
