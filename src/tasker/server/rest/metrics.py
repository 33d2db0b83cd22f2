"""Figures for Prometheus: requests of this server, and how much lies where. No id and no namespace is a label.

With several server processes each counts into a folder that they share (PROMETHEUS_MULTIPROC_DIR), and any of them
answers for all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from tasker.model.fleet import Stats
from tasker.model.states import TaskState

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class Metrics:
    """The figures of one application."""

    def __init__(self) -> None:
        self._own = CollectorRegistry()
        self._requests = Counter(
            "tasker_http_requests", "Requests, by route and status.", ("method", "route", "status"), registry=self._own
        )
        self._seconds = Histogram(
            "tasker_http_request_seconds",
            "How long requests took, streams left out.",
            ("method", "route"),
            buckets=_BUCKETS_S,
            registry=self._own,
        )
        self._open = Gauge(
            "tasker_http_requests_open", "Requests under way.", registry=self._own, multiprocess_mode="livesum"
        )
        self._streams = Gauge(
            "tasker_http_streams", "Event streams that are open.", registry=self._own, multiprocess_mode="livesum"
        )

    def began(self) -> None:
        """A request has come."""
        self._open.inc()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._open.dec()
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def streams(self, change: int) -> None:
        """Streams were opened, or closed."""
        self._streams.inc(change)

    def text(self, stats: Stats | None) -> bytes:
        """All figures in Prometheus' format; without those of the database where it did not answer."""
        registry = self._own
        if os.environ.get(SHARED_FOLDER):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        of_database = CollectorRegistry()
        of_database.register(_OfDatabase(stats))
        return generate_latest(registry) + generate_latest(of_database)


class _OfDatabase(Collector):
    """What the database said, as it is: no process keeps it."""

    def __init__(self, stats: Stats | None) -> None:
        self._stats = stats

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
