"""`tasker analytics …` and `tasker task analyze`: how tasks and steps fare."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.analytics_ways import AnalyticsWay, DatabaseAnalytics, ServerAnalytics
from tasker.cli.common import TaskId, Where, many, moment
from tasker.cli.either import on_either
from tasker.cli.show import duration, print_json, print_line, print_table, time
from tasker.model.analytics import Bottlenecks, Durations, Interval, Percentiles, Performance, Scope, TaskAnalysis
from tasker.store.analytics import Grouping, Order

T = TypeVar("T")
Limit = Annotated[int, Parameter(help="How many.")]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """Which tasks the figures are of."""

    since: Annotated[str | None, Parameter(help="Ended at this time or later: ISO 8601, or an age; a day.")] = None
    until: Annotated[str | None, Parameter(help="Ended before this time.")] = None
    namespace: Annotated[tuple[str, ...] | None, many("Only of these namespaces.")] = None
    name: Annotated[str | None, Parameter(help="Only of templates of this name.")] = None
    version: Annotated[str | None, Parameter(help="Only of this version.")] = None

    def scope(self) -> Scope:
        """What the options say. Raises UsageError."""
        return Scope(
            since=moment(self.since, "--since"),
            until=moment(self.until, "--until"),
            namespaces=self.namespace or None,
            name=self.name,
            version=self.version,
        )


def _on(where: Where, work: Callable[[AnalyticsWay], Awaitable[T]]) -> T:
    return on_either(where, DatabaseAnalytics, ServerAnalytics, work)


def performance(*, over: Over = Over(), common: Where = Where()) -> int:  # noqa: B008
    """Shows how the tasks of a time fared."""

    async def work(way: AnalyticsWay) -> Performance:
        return await way.performance(over.scope())

    found = _on(common, work)
    if common.json:
        print_json(found)
        return exits.OK
    print_line(f"{found.ended} tasks ended since {time(found.covered_from)}, {found.active} are open")
    for what, count in (("complete", found.completed), ("error", found.failed), ("cancelled", found.cancelled)):
        share = f" ({count / found.ended:.1%})" if found.ended else ""
        print_line(f"  {what:12}{count}{share}")
    rows = [
        (what, count, f"{hourly or 0:.1f}", duration(average), *(duration(each) for each in seconds))
        for what, count, hourly, average, seconds in (
            ("tasks", found.ended, found.tasks_per_hour, found.task_avg_s, _percentiles(found.task_s)),
            ("steps", found.steps, found.steps_per_hour, found.step_avg_s, _percentiles(found.step_s)),
        )
    ]
    print_table(("", "ended", "an hour", "average", "p50", "p90", "p95", "p99"), rows, empty="")
    print_line(
        f"health {found.health_score:.2f} of 1, {found.retries} retries, {found.step_errors} steps failed for good"
    )
    _print_error(found.percentile_error)
    return exits.OK


def _print_error(share: float) -> None:
    if share:
        print_line(f"of whole hours; p50 to p99 are within {share:.0%} of true ones: too many ended to look at each")


def _percentiles(found: Percentiles | None) -> tuple[float | None, ...]:
    return (found.p50, found.p90, found.p95, found.p99) if found else (None,) * 4


def durations(
    *,
    by: Annotated[Grouping, Parameter(help="What one line is about.")] = "step",
    order: Annotated[Order, Parameter(help="What the first line has most of.")] = "p95",
    limit: Limit = 20,
    over: Over = Over(),
    common: Where = Where(),  # noqa: B008
) -> int:
    """Shows how long steps ran."""

    async def work(way: AnalyticsWay) -> Sequence[Durations]:
        return await way.durations(by, over.scope(), order, limit)

    found = _on(common, work)
    if common.json:
        print_json({"by": by, "durations": found})
    else:
        _print_durations(found)
    return exits.OK


def tasks(*, limit: Limit = 20, over: Over = Over(), common: Where = Where()) -> int:  # noqa: B008
    """Shows how long tasks took, by template."""

    async def work(way: AnalyticsWay) -> Sequence[Durations]:
        return await way.tasks(over.scope(), limit)

    found = _on(common, work)
    if common.json:
        print_json({"by": "template", "durations": found})
    else:
        _print_durations(found)
    return exits.OK


def _print_durations(found: Sequence[Durations]) -> None:
    rows = [
        (
            _label(one),
            one.count,
            f"{one.error_rate:.1%}",
            *(duration(s) for s in (one.avg_s, one.p50_s, one.p95_s, one.p99_s, one.max_s, one.total_s)),
        )
        for one in found
    ]
    columns = ("", "ended", "failed", "average", "p50", "p95", "p99", "longest", "together")
    print_table(columns, rows, empty="nothing ended in this time")
    _print_error(max((one.percentile_error for one in found), default=0))


def _label(one: Durations) -> str:
    template = f"{one.namespace}/{one.name}@{one.version}" if one.name else one.namespace
    return " ".join(part for part in (template, one.step or one.handler) if part)


def throughput(
    *,
    interval: Annotated[float, Parameter(help="Seconds that one line is about.")] = 3600,
    over: Over = Over(),
    common: Where = Where(),  # noqa: B008
) -> int:
    """Shows what ended in each interval."""

    async def work(way: AnalyticsWay) -> Sequence[Interval]:
        return await way.throughput(interval, over.scope())

    found = _on(common, work)
    if common.json:
        print_json({"interval_s": interval, "intervals": found})
    else:
        rows = [
            (time(i.at), i.completed, i.failed, i.cancelled, i.steps, duration(i.task_avg_s), duration(i.task_p95_s))
            for i in found
        ]
        print_table(("from", "complete", "error", "cancelled", "steps", "average", "p95"), rows, empty="")
    return exits.OK


def bottlenecks(*, limit: Limit = 10, over: Over = Over(), common: Where = Where()) -> int:  # noqa: B008
    """Shows what takes longest and fails most."""

    async def work(way: AnalyticsWay) -> Bottlenecks:
        return await way.bottlenecks(over.scope(), limit)

    found = _on(common, work)
    if common.json:
        print_json(found)
        return exits.OK
    _print_durations(found.slow_steps)
    _print_durations(found.slow_tasks)
    rows = [(f"{one.namespace}/{one.name} {one.step}", one.code, one.count, one.message) for one in found.errors]
    print_table(("step", "error", "count", "last message"), rows, empty="no step failed for good")
    for said in found.recommendations:
        print_line(said, style="yellow")
    return exits.OK


def analyze(task: TaskId, /, *, common: Where = Where()) -> int:  # noqa: B008
    """Shows a task as a graph at work."""

    async def work(way: AnalyticsWay) -> TaskAnalysis:
        return await way.analyze(task)

    found = _on(common, work)
    if common.json:
        print_json(found)
        return exits.OK
    print_line(f"decided so far by: {' → '.join(found.critical_path) or 'nothing yet'}")
    if found.remaining_path:
        print_line(f"still to go:       {' → '.join(found.remaining_path)}, about {duration(found.remaining_s)}")
    columns = ("level", "steps", "done", "running", "ready", "waiting", "failed")
    print_table(columns, [tuple(level[column] for column in columns) for level in found.levels], empty="no steps")
    rows = [
        (b["name"], b["state"], b["severity"], f"{b['impact']:g}", b["downstream"], b["advice"])
        for b in found.bottlenecks
    ]
    print_table(
        ("bottleneck", "state", "severity", "impact", "steps below", "advice"), rows, empty="nothing holds it up"
    )
    for chain in found.error_chains:
        print_line(f"{chain['name']} failed and holds up {chain['downstream']}: {', '.join(chain['holds_up'])}")
    return exits.OK
