"""From measurements to figures: for programs one JSON object, for people a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

from tasker.bench.costs import Costs
from tasker.bench.lone import Latencies
from tasker.bench.saturated import Saturated
from tasker.bench.shapes import Shape


@dataclass(slots=True)
class Measured:
    """What was measured of one engine."""

    latencies: Latencies
    runs: list[Saturated] = field(default_factory=list[Saturated])

    @property
    def steps_per_second(self) -> float:
        """The median run's throughput."""
        return median(run.steps_per_second for run in self.runs)

    @property
    def submit_per_second(self) -> float:
        """The median run's rate of tasks created."""
        return median(run.submit_per_second for run in self.runs)


@dataclass(frozen=True, slots=True)
class Report:
    """All of one benchmark. The bare engine's latencies are those of a chain of four, whatever the shape."""

    shape: Shape
    processes: int
    server: str
    tasker: Measured
    bare: Measured

    def as_json(self) -> dict[str, Any]:
        """The figures by name; rates a second, times in ms, costs a step at saturation."""
        runs = self.tasker.runs
        return {
            "shape": self.shape.name,
            "tasks": sum(run.tasks for run in runs),
            "steps": sum(run.steps for run in runs),
            "steps_per_second": round(self.tasker.steps_per_second, 1),
            "submit_per_second": round(self.tasker.submit_per_second, 1),
            "latency_ms": _percentiles(self.tasker.latencies),
            "bare": {
                "steps_per_second": round(self.bare.steps_per_second, 1),
                "submit_per_second": round(self.bare.submit_per_second, 1),
                "chain_p50_ms": round(self.bare.latencies.percentile(0.5), 3),
            },
            "ratio_to_bare": round(self.ratio_to_bare, 4),
            "latency_ratio_to_bare": None if self.latency_ratio is None else round(self.latency_ratio, 4),
            **_per_step(sum((run.costs for run in runs), Costs()), sum(run.steps for run in runs)),
            "alone": {
                "tasks": len(self.tasker.latencies.ms),
                **_per_step(self.tasker.latencies.costs, self.tasker.latencies.steps),
            },
            "runs": {
                name: [round(run.steps_per_second, 1) for run in measured.runs]
                for name, measured in (("tasker", self.tasker), ("bare", self.bare))
            },
            "processes": self.processes,
            "server": self.server,
        }

    @property
    def ratio_to_bare(self) -> float:
        """Tasker's throughput as a share of the bare engine's."""
        return self.tasker.steps_per_second / self.bare.steps_per_second

    @property
    def latency_ratio(self) -> float | None:
        """How many times as long Tasker takes for a chain alone; None for other shapes."""
        if self.shape.name != "chain":
            return None
        return self.tasker.latencies.percentile(0.5) / self.bare.latencies.percentile(0.5)

    def rows(self) -> list[tuple[str, str, str, str]]:
        """The same for people: what, Tasker, bare engine, ratio."""
        tasker, bare = self.tasker, self.bare
        lone, chain = _percentiles(tasker.latencies), bare.latencies.percentile(0.5)
        figures = self.as_json()
        is_chain = self.latency_ratio is not None
        return [
            _rates("steps a second", tasker.steps_per_second, bare.steps_per_second),
            _rates("tasks submitted a second", tasker.submit_per_second, bare.submit_per_second),
            (
                "a task alone, p50 ms",
                f"{lone['p50']:.2f}",
                f"{chain:.2f}" if is_chain else "",
                f"{self.latency_ratio:.2f}" if is_chain else "",
            ),
            ("a task alone, p95 ms", f"{lone['p95']:.2f}", "", ""),
            ("a task alone, p99 ms", f"{lone['p99']:.2f}", "", ""),
            *(
                (f"{what} a step, {when}", f"{costs[key]:,.{digits}f}", "", "")
                for what, key, digits in _COSTS
                for when, costs in (("saturated", figures), ("alone", figures["alone"]))
            ),
        ]


_COSTS = (
    ("statements", "statements_per_step", 3),
    ("commits", "commits_per_step", 3),
    ("bytes of log", "wal_bytes_per_step", 0),
)


def _percentiles(latencies: Latencies) -> dict[str, float]:
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    return {name: round(latencies.percentile(share), 3) for name, share in shares.items()}


def _per_step(costs: Costs, steps: int) -> dict[str, float]:
    return {
        "statements_per_step": round(costs.statements / steps, 4),
        "commits_per_step": round(costs.commits / steps, 4),
        "wal_bytes_per_step": round(costs.wal_bytes / steps, 1),
    }


def _rates(what: str, tasker: float, bare: float) -> tuple[str, str, str, str]:
    return what, f"{tasker:,.0f}", f"{bare:,.0f}", f"{tasker / bare:.2f}"
