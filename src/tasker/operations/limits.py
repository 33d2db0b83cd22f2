"""Limits that hold for every face: how many tasks a caller may create, and how many lie waiting before none may."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tasker.model.errors import Backpressure, QuotaExceeded
from tasker.settings import Settings

_BUCKETS_MAX = 10_000
BACKLOG_KNOWN_S = 1.0
_RETRY_AFTER_S = ((2.0, 30.0), (1.5, 15.0), (1.0, 5.0))
"""What a caller is told to wait, by how many times the limit lies waiting."""


@dataclass(slots=True)
class _Bucket:
    """What is left of a quota that fills again evenly."""

    left: float
    at: float


@dataclass(slots=True)
class Quota:
    """At most `per_minute` for each name, in this process, as a bucket that fills evenly; 0 is no limit."""

    per_minute: int
    what: str
    clock: Callable[[], float] = time.monotonic
    _buckets: dict[str, _Bucket] = field(default_factory=dict[str, _Bucket])

    def lacks_s(self, name: str, count: int) -> float:
        """Seconds until `count` are left for this name; 0 where they are now. Takes none."""
        if self.per_minute == 0:
            return 0
        bucket = self._filled(name)
        wanted = min(count, self.per_minute)
        return max(0.0, (wanted - bucket.left) * 60 / self.per_minute)

    def take(self, name: str, count: int) -> None:
        """Takes them. A batch larger than the whole quota takes it all, and more."""
        if self.per_minute:
            self._filled(name).left -= count

    def _filled(self, name: str) -> _Bucket:
        now = self.clock()
        bucket = self._buckets.get(name)
        if bucket is None:
            self._forget_full(now)
            bucket = self._buckets[name] = _Bucket(float(self.per_minute), now)
        bucket.left = min(float(self.per_minute), bucket.left + (now - bucket.at) * self.per_minute / 60)
        bucket.at = now
        return bucket

    def _forget_full(self, now: float) -> None:
        """Names that have used nothing for a minute need no bucket."""
        if len(self._buckets) >= _BUCKETS_MAX:
            self._buckets = {name: one for name, one in self._buckets.items() if now - one.at < 60}


class Limits:
    """The quotas of this process, and what it knows of the backlog."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._by_key = Quota(settings.creates_per_minute_by_key, "caller", clock)
        self._by_namespace = Quota(settings.creates_per_minute_by_namespace, "namespace", clock)
        self._backlog_max = settings.backlog_max
        self._backlog = 0
        self._counted_at = float("-inf")
        self._clock = clock

    @property
    def backlog_to_count(self) -> int:
        """Up to how many ready steps have to be counted before a task may be created; 0 where it is known."""
        is_known = self._clock() - self._counted_at < BACKLOG_KNOWN_S
        return 0 if self._backlog_max == 0 or is_known else self._backlog_max * 2

    def know_backlog(self, ready_steps: int) -> None:
        """How many steps are ready and wait for a worker, as counted now."""
        self._backlog, self._counted_at = ready_steps, self._clock()

    def check_create(self, key: str, namespace: str, count: int) -> None:
        """Takes `count` creations from the quotas. Raises Backpressure or QuotaExceeded, and then takes none."""
        self._check_backlog()
        for quota, name in ((self._by_key, key), (self._by_namespace, namespace)):
            wait_s = quota.lacks_s(name, count)
            if wait_s > 0:
                raise QuotaExceeded(
                    f'the {quota.what} "{name}" may create {quota.per_minute} tasks a minute: try again later', wait_s
                )
        self._by_key.take(key, count)
        self._by_namespace.take(namespace, count)

    def _check_backlog(self) -> None:
        if self._backlog_max and self._backlog >= self._backlog_max:
            share = self._backlog / self._backlog_max
            raise Backpressure(
                f"{self._backlog} steps wait for workers, and no task is taken from {self._backlog_max} on: try later",
                next(wait_s for times, wait_s in _RETRY_AFTER_S if share >= times),
            )
