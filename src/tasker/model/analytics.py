"""How tasks and steps fare: figures over a time, and one task as a graph at work. Durations are in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from tasker.model.states import TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which tasks are looked at: those that ended within a time, of these templates; None is all.

    `since` is a day before `until`, and `until` is now, where they are not given. Where more than 10,000 ended, the
    figures are of whole hours, and percentiles within `percentile_error`; while the sweep has not gathered them yet, at
    most `tasks_max` tasks are looked at, the last that ended: the answer says from when on it holds.
    """

    since: datetime | None = None
    until: datetime | None = None
    namespaces: tuple[str, ...] | None = None
    name: str | None = None
    version: str | None = None
    tasks_max: int = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Durations below which so many lie, of all."""

    p50: float
    p90: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """How the tasks of a time fared. Rates are shares of those that ended, from 0 to 1; None where none did."""

    since: datetime
    until: datetime
    covered_from: datetime
    """From when on the figures hold; later than `since` where too many tasks ended."""
    ended: int
    active: int
    """Open tasks now, each state counted up to 10,000."""
    blocked: int
    """Those of them that a failure blocks."""
    completed: int
    failed: int
    cancelled: int
    completion_rate: float | None
    error_rate: float | None
    tasks_per_hour: float | None
    task_avg_s: float | None
    task_s: Percentiles | None
    steps: int
    """Steps that ran, of these tasks."""
    step_errors: int
    retries: int
    steps_per_hour: float | None
    step_avg_s: float | None
    step_s: Percentiles | None
    percentile_error: float
    """How far percentiles may be from true ones, as a share of them; 0 where every task was looked at."""
    health_score: float
    """From 0 to 1: the share that did not end in error, times the share of open tasks that no failure blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """How long steps (their last tries), or tasks, of one group took. What the group is not about is None."""

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
    percentile_error: float = 0.0
    """See Performance."""

    @property
    def error_rate(self) -> float:
        """The share that failed, from 0 to 1."""
        return self.errors / self.count


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What ended from `at` on, until the next interval begins."""

    at: datetime
    completed: int
    failed: int
    cancelled: int
    task_avg_s: float | None
    task_p95_s: float | None
    steps: int
    percentile_error: float = 0.0
    """See Performance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCount:
    """One way in which a step fails, how often it did, and the last time."""

    code: str
    error_type: str | None
    namespace: str
    name: str
    step: str
    count: int
    last_at: datetime
    message: str | None
    task_uuid: UUID
    """The last task that it happened to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottlenecks:
    """What takes longest, what fails most, and what to do about it."""

    slow_steps: tuple[Durations, ...]
    slow_tasks: tuple[Durations, ...]
    errors: tuple[ErrorCount, ...]
    recommendations: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAnalysis:
    """A task as a graph at work: what docs/analytics.md says of each part."""

    task_uuid: UUID
    state: TaskState
    steps: tuple[Mapping[str, Any], ...]
    levels: tuple[Mapping[str, Any], ...]
    critical_path: tuple[str, ...]
    """The way that decided how long it took so far."""
    remaining_path: tuple[str, ...]
    """The longest way through what is open."""
    remaining_s: float | None
    bottlenecks: tuple[Mapping[str, Any], ...]
    error_chains: tuple[Mapping[str, Any], ...]
