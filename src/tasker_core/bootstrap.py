"""Starting and stopping."""

from __future__ import annotations

from tasker_core import _tasker_core
from tasker_core.types import BootstrapConfig, BootstrapResult, WorkerStatus


def bootstrap_worker(config: BootstrapConfig | None = None) -> BootstrapResult:
    """Connects this process to the engine and publishes its templates. Steps run once Worker.start has the handlers.

    A second call answers `already_running`. What goes wrong is in the answer, not raised.
    """
    given = None if config is None else config.model_dump(exclude_none=True)
    return BootstrapResult.model_validate(_tasker_core.bootstrap_worker(given))


def stop_worker() -> str:
    """Lets running steps finish, and stops."""
    return _tasker_core.stop_worker()


def transition_to_graceful_shutdown() -> str:
    """The same: stopping is always graceful."""
    return _tasker_core.transition_to_graceful_shutdown()


def is_worker_running() -> bool:
    """Whether this process is connected to the engine."""
    return _tasker_core.is_worker_running()


def get_worker_status() -> WorkerStatus:
    """The worker of this process."""
    return WorkerStatus.model_validate(_tasker_core.get_worker_status())
