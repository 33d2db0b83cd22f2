"""SyncTasker: Tasker for programs without an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

from tasker.app import Tasker
from tasker.breaker_calls import SyncBreakerCalls
from tasker.model.errors import NotStarted
from tasker.model.event import DomainEvent, SubscriberInfo
from tasker.model.task import BatchProgress, TaskView
from tasker.model.template import Template
from tasker.submission import SubmittedTask, TaskRequest
from tasker.templates.publishing import Published

T = TypeVar("T")


class SyncTasker(SyncBreakerCalls[Tasker]):
    """Tasker without await: the same methods, on a loop of its own in a thread."""

    def __init__(self, dsn: str | None = None, **options: Any) -> None:
        self._tasker = Tasker(dsn, **options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tasker", daemon=True)

    def __enter__(self) -> SyncTasker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if not self._thread.is_alive():
            work.close()
            raise NotStarted("this SyncTasker is not started: use `with SyncTasker(...)`, or call start()")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def start(self) -> None:
        """See Tasker.start."""
        self._thread.start()
        try:
            self._run(self._tasker.start())
        except BaseException:
            self._end_loop()
            raise

    def stop(self, drain_s: float | None = None) -> None:
        """See Tasker.stop."""
        self._run(self._tasker.stop(drain_s))
        self._end_loop()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def submit(self, name: str, **options: Any) -> SubmittedTask:
        """See Tasker.submit."""
        return self._run(self._tasker.submit(name, **options))

    def submit_many(
        self, name: str, requests: Sequence[TaskRequest | Mapping[str, Any]], **options: Any
    ) -> list[SubmittedTask]:
        """See Tasker.submit_many."""
        return self._run(self._tasker.submit_many(name, requests, **options))

    def wait(self, task_uuid: UUID, timeout: float | None = None) -> TaskView:
        """See Tasker.wait."""
        return self._run(self._tasker.wait(task_uuid, timeout))

    def get(self, task_uuid: UUID) -> TaskView:
        """See Tasker.get."""
        return self._run(self._tasker.get(task_uuid))

    def batches(self, task_uuid: UUID) -> list[BatchProgress]:
        """See Tasker.batches."""
        return self._run(self._tasker.batches(task_uuid))

    def cancel(self, task_uuid: UUID, **options: Any) -> dict[str, Any]:
        """See Tasker.cancel."""
        return self._run(self._tasker.cancel(task_uuid, **options))

    def act(self, action: str, task_uuid: UUID, **options: Any) -> dict[str, Any]:
        """See Tasker.act."""
        return self._run(self._tasker.act(action, task_uuid, **options))

    def stats(self) -> dict[str, Any]:
        """See Tasker.stats."""
        return self._run(self._tasker.stats())

    def publish(self, template: Template, *, force: bool = False) -> Published:
        """See Tasker.publish."""
        return self._run(self._tasker.publish(template, force=force))

    def events(self, **options: Any) -> list[DomainEvent]:
        """See Tasker.events."""
        return self._run(self._tasker.events(**options))

    def event_subscribers(self) -> list[SubscriberInfo]:
        """See Tasker.event_subscribers."""
        return self._run(self._tasker.event_subscribers())

    def forget_subscriber(self, name: str) -> int:
        """See Tasker.forget_subscriber."""
        return self._run(self._tasker.forget_subscriber(name))
