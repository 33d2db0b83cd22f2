"""The worker as one object: `Worker.start(handler_packages=["app.handlers"])`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import ClassVar

from tasker_core import runtime
from tasker_core.bootstrap import bootstrap_worker, stop_worker
from tasker_core.event_bridge import EventBridge
from tasker_core.exceptions import WorkerBootstrapError
from tasker_core.registry import HandlerRegistry
from tasker_core.types import BootstrapConfig, BootstrapResult


class Worker:
    """Runs the steps of the handlers of these packages, and of those that are registered. One to a process."""

    _instance: ClassVar[Worker | None] = None
    _lock: ClassVar[threading.RLock] = threading.RLock()

    def __init__(self, result: BootstrapResult) -> None:
        self._result = result
        self._runtime = runtime.current()

    @classmethod
    def start(cls, handler_packages: Sequence[str] | None = None, config: BootstrapConfig | None = None) -> Worker:
        """Starts the worker, or gives the one that runs. Raises WorkerBootstrapError, InvalidHandler."""
        with cls._lock:
            if cls._instance is not None and cls._instance.is_running:
                return cls._instance
            result = bootstrap_worker(config)
            if not result.success and result.status != "already_running":
                raise WorkerBootstrapError(f"the worker did not start: {result.error_message}")
            try:
                EventBridge.instance().start()
                registry = HandlerRegistry.instance()
                for package in handler_packages or ():
                    registry.discover_handlers(package)
                runtime.current().serve(registry.to_engine())
            except BaseException:
                stop_worker()
                raise
            cls._instance = cls(result)
            return cls._instance

    @classmethod
    def instance(cls) -> Worker | None:
        """The worker of the process; None before start."""
        return cls._instance

    @classmethod
    def reset_instance(cls) -> None:
        """Stops the worker of the process, and forgets it."""
        with cls._lock:
            if cls._instance is not None:
                cls._instance.stop()
            cls._instance = None

    def stop(self) -> None:
        """Lets running steps finish, and stops."""
        if self.is_running:
            stop_worker()
        with Worker._lock:
            if Worker._instance is self:
                Worker._instance = None

    @property
    def worker_id(self) -> str:
        """Its name."""
        return self._runtime.worker_id

    @property
    def is_running(self) -> bool:
        """Whether it is connected to the engine; not where the worker of this process is a later one."""
        return runtime.is_current(self._runtime)

    @property
    def bootstrap_result(self) -> BootstrapResult:
        """How its start went."""
        return self._result

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
