"""Figures for Prometheus: requests of this server, and how much lies where. No id and no namespace is a label.

With several server processes each counts into a folder that they share (PROMETHEUS_MULTIPROC_DIR), and any of them
answers for all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from tasker.model.fleet import FleetFigures, Stats
from tasker.model.states import TaskState

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class Figures:
    """Of one face: how many calls, how long they took, and what is under way. `labels` are those of a call."""

    def __init__(self, face: str, labels: tuple[str, str], registry: CollectorRegistry) -> None:
        name = f"tasker_{face}"
        self._requests = Counter(f"{name}_requests", "Requests, by status.", (*labels, "status"), registry=registry)
        self._seconds = Histogram(
            f"{name}_request_seconds",
            "How long requests took, streams left out.",
            labels,
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self._open = Gauge(
            f"{name}_requests_open", "Requests under way.", registry=registry, multiprocess_mode="livesum"
        )
        self._streams = Gauge(
            f"{name}_streams", "Event streams that are open.", registry=registry, multiprocess_mode="livesum"
        )

    def began(self) -> None:
        """A request has come."""
        self._open.inc()

    def answered(self, first: str, second: str, status: str, seconds: float | None) -> None:
        """A request was answered. `seconds` None: it was a stream."""
        self._open.dec()
        self._requests.labels(first, second, status).inc()
        if seconds is not None:
            self._seconds.labels(first, second).observe(seconds)

    def streams(self, change: int) -> None:
        """Streams were opened, or closed."""
        self._streams.inc(change)


class Metrics:
    """The figures of one process, of all its faces."""

    def __init__(self) -> None:
        self._own = CollectorRegistry()
        self.http = Figures("http", ("method", "route"), self._own)
        self.grpc = Figures("grpc", ("service", "method"), self._own)
        self._refused = Counter(
            "tasker_refused_calls", "Callers who were told no, by reason.", ("face", "reason"), registry=self._own
        )

    def refused(self, face: str, reason: str) -> None:
        """A caller was told no."""
        self._refused.labels(face, reason).inc()

    def text(self, stats: Stats | None, fleet: FleetFigures | None = None) -> bytes:
        """All figures in Prometheus' format; without those of the database where it did not answer."""
        registry = self._own
        if folder := os.environ.get(SHARED_FOLDER):
            registry = CollectorRegistry()
            forget_the_dead(Path(folder))
            MultiProcessCollector(registry)
        of_database = CollectorRegistry()
        of_database.register(_OfDatabase(stats, fleet))
        return generate_latest(registry) + generate_latest(of_database)


def forget_the_dead(folder: Path) -> None:
    """What processes that are no more had under way is over. What they have counted stays counted."""
    for file in folder.glob("gauge_live*_*.db"):
        number = file.stem.rpartition("_")[2]
        if number.isdigit() and not is_alive(int(number)):
            file.unlink(missing_ok=True)


def is_alive(process_id: int) -> bool:
    """Whether there is such a process on this machine."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


class _OfDatabase(Collector):
    """What the database said, as it is: no process keeps it."""

    def __init__(self, stats: Stats | None, fleet: FleetFigures | None) -> None:
        self._stats, self._fleet = stats, fleet

    def collect(self) -> Iterator[Metric]:
        """The figures."""
        stats = self._stats
        yield GaugeMetricFamily("tasker_database_up", "Whether the database answered.", value=stats is not None)
        if stats is None:
            return
        tasks = GaugeMetricFamily("tasker_tasks", "Tasks by state; 10000 is that many or more.", labels=["state"])
        for state in TaskState:
            tasks.add_metric([state.value], stats.tasks.get(state.value, 0))
        yield tasks
        ready = sum(channel.ready for channel in stats.channels)
        oldest_s = max((channel.oldest_s or 0.0 for channel in stats.channels), default=0.0)
        yield GaugeMetricFamily("tasker_ready_steps", "Steps that wait for a worker.", value=ready)
        yield GaugeMetricFamily("tasker_oldest_ready_seconds", "How long the oldest waits for one.", value=oldest_s)
        yield GaugeMetricFamily("tasker_due_steps", "Steps that wait for a time.", value=stats.due)
        yield GaugeMetricFamily("tasker_workers", "Living worker processes.", value=stats.sessions)
        if self._fleet is not None:
            yield from _of_fleet(self._fleet)


def _of_fleet(fleet: FleetFigures) -> Iterator[Metric]:
    by_state = GaugeMetricFamily("tasker_workers_by_state", "Living worker processes.", labels=["state"])
    by_state.add_metric(["running"], fleet.running_workers)
    by_state.add_metric(["paused"], fleet.paused_workers)
    by_state.add_metric(["draining"], fleet.draining_workers)
    yield by_state
    yield GaugeMetricFamily("tasker_pauses", "Namespaces, queues and handlers that are paused.", value=fleet.pauses)
    yield GaugeMetricFamily("tasker_paused_steps", "Steps that wait in paused queues.", value=fleet.paused_steps)
    said = "Steps that are ready, and no living worker has their handler."
    yield GaugeMetricFamily("tasker_unserved_steps", said, value=fleet.unserved_steps)
