"""The engine in this process: a client from the bootstrap on, and a worker once the handlers are known.

Client and worker have an event loop each, in threads of their own. So a handler may use the client, whatever loop it
runs on, and nothing waits for itself.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar
from uuid import UUID

import structlog

from tasker.app import Tasker
from tasker.handlers import Registry
from tasker.model.errors import HandlerNotFound, InvalidHandler
from tasker.model.task import Transition
from tasker.model.template import Template
from tasker.operations.engine import Engine
from tasker.settings import Settings
from tasker.store.connection import Connection
from tasker.store.reads import Reads
from tasker.sync import SyncTasker
from tasker_core.config import Config, load_templates
from tasker_core.exceptions import WorkerAlreadyRunningError, WorkerNotInitializedError
from tasker_core.executions import unwatch, watch
from tasker_core.pending import PendingSteps
from tasker_core.publication import Publication

T = TypeVar("T")
_log = structlog.get_logger("tasker_core.runtime")
_END_S = 10.0
POLLED_AT_ONCE = 1
"""Steps that wait for a poller at a time, unless TASKER_CONCURRENCY says more: their timeouts run meanwhile."""


class Runtime:
    """Started once a process: `current()` is the one that runs."""

    def __init__(self, config: Config, worker_id: str) -> None:
        self.worker_id = worker_id
        self.handlers: Registry | None = None
        self.pending: PendingSteps | None = None
        self.config = config
        self.templates, declared = load_templates(config)
        self._tasker = Tasker(config.dsn, worker=False, settings=config.settings)
        self._engine: Engine | None = None
        self._worker: SyncTasker | None = None
        self._publication = Publication(declared, self._moves) if declared else None
        self._publishing: asyncio.Task[None] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tasker-core-client", daemon=True)
        self._lock = threading.Lock()

    def start(self) -> None:
        """Finds the database, brings it up to date and publishes the templates, in new revisions where they changed."""
        self._thread.start()
        try:
            self.run(self._start())
        except BaseException:
            self.stop()
            raise

    async def _start(self) -> None:
        await self._tasker.start()
        self._engine = self._tasker.engine()
        for template in self.templates:
            await self._tasker.publish(template, force=True)
        if self._publication is not None:
            self._publishing = asyncio.create_task(self._publication.run())
            watch(self._publication.finished)

    def serve(self, handlers: Registry) -> None:
        """Begins to run steps. A step whose handler is not here is left to other workers.

        Raises WorkerAlreadyRunningError where the steps of this process are polled for.
        """
        with self._lock:
            if self.pending is not None:
                raise WorkerAlreadyRunningError("the steps of this process are polled for: stop the worker first")
            for template in self.templates:
                _warn_of_missing(template, handlers)
            self.handlers = handlers
            if handlers:
                self._work(handlers, self.config.settings)

    def polled(self) -> PendingSteps | None:
        """The steps for whoever polls, taken from the first call on; None where this process runs them by itself."""
        with self._lock:
            if self.pending is None and self.handlers is None:
                self.pending = PendingSteps()
                settings = self.config.settings
                if "TASKER_CONCURRENCY" not in os.environ:
                    settings = settings.model_copy(update={"concurrency": POLLED_AT_ONCE})
                self._work(self.pending.handlers(self.templates), settings)
            return self.pending

    def _work(self, handlers: Registry, settings: Settings) -> None:
        if handlers:
            self._worker = SyncTasker(self._tasker.dsn, handlers=handlers, settings=settings)
            self._worker.start()

    def stop(self) -> None:
        """Lets running steps finish, and closes everything."""
        worker, self._worker = self._worker, None
        if worker is not None:
            is_waiting = self.pending is not None and not self.pending.has_polled
            worker.stop(0 if is_waiting else None)
        if self._thread.is_alive():
            self.run(self._stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_END_S)

    async def _stop(self) -> None:
        if self._publication is not None and self._publishing is not None:
            unwatch(self._publication.finished)
            self._publishing.cancel()
            await asyncio.wait([self._publishing])
            await self._publication.last(_END_S)
        await self._tasker.stop()

    @property
    def tasker(self) -> Tasker:
        """The client; its coroutines go through `run`."""
        return self._tasker

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What the coroutine answers on the client's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def read(self, work: Callable[[Reads, Connection], Awaitable[T]]) -> T:
        """What the reads answer; after a lost connection they are asked once more. Raises DatabaseUnavailable."""
        return self.run(self._ask(work))

    async def _ask(self, work: Callable[[Reads, Connection], Awaitable[T]]) -> T:
        assert self._engine is not None  # noqa: S101 - started
        reads = self._engine.reads
        return await self._engine.ask(lambda connection: work(reads, connection))

    async def _moves(self, task_ids: Sequence[UUID], number: int) -> list[Transition]:
        return await self._ask(lambda reads, connection: reads.history(connection, task_ids, number))


def _warn_of_missing(template: Template, handlers: Registry) -> None:
    for step in template.steps:
        try:
            handlers.resolve(step.handler)
        except (HandlerNotFound, InvalidHandler) as error:
            _log.warning("a step has no handler here", template=template.full_name, step=step.name, why=str(error))


class _Current:
    """The runtime of the process. It stays until it has stopped: steps that end meanwhile still need it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.runtime: Runtime | None = None
        self.is_ending = False


_current = _Current()


def begin(make: Callable[[], Runtime]) -> Runtime | None:
    """Starts the process's runtime; None where one runs already, or is about to end."""
    with _current.lock:
        if _current.runtime is not None:
            return None
        runtime = make()
        runtime.start()
        _current.runtime = runtime
        return runtime


def end() -> bool:
    """Stops the process's runtime; whether there was one that nobody else stops."""
    with _current.lock:
        runtime = _current.runtime
        if runtime is None or _current.is_ending:
            return False
        _current.is_ending = True
    try:
        runtime.stop()
    finally:
        with _current.lock:
            _current.runtime, _current.is_ending = None, False
    return True


def is_running() -> bool:
    """Whether the process has a runtime."""
    return _current.runtime is not None


def is_current(runtime: Runtime) -> bool:
    """Whether this one is the process's."""
    return _current.runtime is runtime


def is_serving() -> bool:
    """Whether the worker of this process calls the handlers by itself."""
    runtime = _current.runtime
    return runtime is not None and runtime.handlers is not None


def current() -> Runtime:
    """The process's runtime. Raises WorkerNotInitializedError."""
    runtime = _current.runtime
    if runtime is None:
        raise WorkerNotInitializedError
    return runtime
