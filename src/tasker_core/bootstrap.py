"""Starting and stopping."""

from __future__ import annotations

import os
from uuid import uuid4

from tasker.model.errors import TaskerError
from tasker_core import runtime
from tasker_core.config import read_config
from tasker_core.types import BootstrapConfig, BootstrapResult, WorkerStatus


def bootstrap_worker(config: BootstrapConfig | None = None) -> BootstrapResult:
    """Connects this process to the engine and publishes its templates. Steps run once Worker.start has the handlers.

    A second call answers `already_running`. What goes wrong is in the answer, not raised.
    """
    given = config or BootstrapConfig()
    worker_id = given.worker_id or f"python-worker-{uuid4()}"
    try:
        began = runtime.begin(lambda: runtime.Runtime(read_config(given), worker_id))
    except (TaskerError, OSError) as error:
        return BootstrapResult(success=False, status="error", message="not started", error_message=str(error))
    if began is None:
        return BootstrapResult(success=False, status="already_running", message="Worker system already running")
    return BootstrapResult(
        success=True, handle_id=str(uuid4()), worker_id=worker_id, status="started", message="Worker system started"
    )


def stop_worker() -> str:
    """Lets running steps finish, and stops."""
    return "Worker system stopped" if runtime.end() else "Worker system not running"


def transition_to_graceful_shutdown() -> str:
    """The same: stopping is always graceful."""
    return stop_worker()


def is_worker_running() -> bool:
    """Whether this process is connected to the engine."""
    return runtime.is_running()


def get_worker_status() -> WorkerStatus:
    """The worker of this process."""
    if not runtime.is_running():
        return WorkerStatus(running=False, error="Worker system not initialized")
    found = runtime.current()
    return WorkerStatus(
        running=True,
        worker_id=found.worker_id,
        status="running",
        environment=os.environ.get("TASKER_ENV"),
        handlers=sorted(found.handlers or ()),
    )
