"""The private module under the public one, which was native code once: plain values in, plain values out.

The public functions and classes call these by their names here, so that whoever replaces one of them in a test replaces
it for all. What needs the worker raises WorkerNotInitializedError, a RuntimeError, before bootstrap_worker.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from tasker import __version__
from tasker_core import client_answers, runtime
from tasker_core.config import read_config
from tasker_core.domain_events.bus import bus
from tasker_core.exceptions import TROUBLE
from tasker_core.executions import tally
from tasker_core.health import health_of, worker_config_of
from tasker_core.logging import log_debug, log_error, log_info, log_trace, log_warn
from tasker_core.remote import remote
from tasker_core.types import BootstrapConfig, FfiDispatchMetrics

__all__ = [
    "bootstrap_worker",
    "check_starvation_warnings",
    "checkpoint_yield_step_event",
    "cleanup_timeouts",
    "client_cancel_task",
    "client_create_task",
    "client_get_step",
    "client_get_step_audit_history",
    "client_get_task",
    "client_health_check",
    "client_list_task_steps",
    "client_list_tasks",
    "complete_step_event",
    "get_ffi_dispatch_metrics",
    "get_health_check",
    "get_metrics",
    "get_rust_version",
    "get_version",
    "get_worker_config",
    "get_worker_status",
    "health_check",
    "is_worker_running",
    "log_debug",
    "log_error",
    "log_info",
    "log_trace",
    "log_warn",
    "poll_in_process_events",
    "poll_step_events",
    "stop_worker",
    "transition_to_graceful_shutdown",
]


# Versions and the worker's life ---------------------------------------------------------------------------------------


def get_version() -> str:
    """Tasker's version."""
    return __version__


def get_rust_version() -> str:
    """Tasker's version too: nothing here is Rust."""
    return f"python {__version__}"


def health_check() -> bool:
    """True: the package works."""
    return True


def bootstrap_worker(config: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Connects this process to the engine: success, status (started, already_running, error), worker_id, …"""
    given = BootstrapConfig.model_validate(config or {})
    worker_id = given.worker_id or f"python-worker-{uuid4()}"
    try:
        began = runtime.begin(lambda: runtime.Runtime(read_config(given), worker_id))
    except TROUBLE as error:
        return {"success": False, "status": "error", "message": "not started", "error_message": str(error)}
    if began is None:
        return {"success": False, "status": "already_running", "message": "Worker system already running"}
    return {
        "success": True,
        "handle_id": str(uuid4()),
        "worker_id": worker_id,
        "status": "started",
        "message": "Worker system started",
    }


def stop_worker() -> str:
    """Lets running steps finish, and stops."""
    return "Worker system stopped" if runtime.end() else "Worker system not running"


def transition_to_graceful_shutdown() -> str:
    """The same: stopping is always graceful."""
    return stop_worker()


def is_worker_running() -> bool:
    """Whether this process is connected to the engine."""
    return runtime.is_running()


def get_worker_status() -> dict[str, Any]:
    """running, worker_id, status, environment, handlers; or running and error."""
    if not runtime.is_running():
        return {"running": False, "error": "Worker system not initialized"}
    found = runtime.current()
    return {
        "running": True,
        "worker_id": found.worker_id,
        "status": "running",
        "environment": os.environ.get("TASKER_ENV"),
        "handlers": sorted(found.handlers or ()),
    }


# Steps for whoever polls ----------------------------------------------------------------------------------------------


def poll_step_events() -> dict[str, Any] | None:
    """A step to run, as the fields of FfiStepEvent; None where there is none.

    The first call lets this process take steps. With Worker.start it runs them by itself, and here is never one.
    """
    steps = runtime.current().polled()
    event = None if steps is None else steps.poll()
    return None if event is None else event.model_dump()


def complete_step_event(event_id: str, result: Mapping[str, Any]) -> bool:
    """Ends a step with the fields of StepExecutionResult. False where nobody waits for it any more.

    Raises ValueError for a completion that is none.
    """
    steps = runtime.current().polled()
    return steps is not None and steps.complete(event_id, result)


def checkpoint_yield_step_event(event_id: str, checkpoint: Mapping[str, Any]) -> bool:
    """Saves cursor, items_processed and accumulated_results of a step, which is then handed out again.

    False where nobody waits for it any more.
    """
    steps = runtime.current().polled()
    return steps is not None and steps.checkpoint(event_id, checkpoint)


def get_ffi_dispatch_metrics() -> dict[str, Any]:
    """How many steps wait for a poller, and for how long."""
    steps = runtime.current().pending
    return (FfiDispatchMetrics() if steps is None else steps.metrics()).model_dump()


def check_starvation_warnings() -> list[dict[str, Any]]:
    """The steps that wait for a poller too long; each is logged."""
    steps = runtime.current().pending
    found = [] if steps is None else [one.model_dump() for one in steps.starving()]
    for one in found:
        log_warn("a step waits for a poller", one)
    return found


def cleanup_timeouts() -> None:
    """Nothing is to be done: the engine ends what has run out of time by itself."""
    runtime.current()


def poll_in_process_events() -> dict[str, Any] | None:
    """The oldest domain event of this process, handed out once; None where there is none."""
    event = bus.poll()
    return None if event is None else event.model_dump()


# Health and figures ---------------------------------------------------------------------------------------------------


def get_health_check() -> dict[str, Any]:
    """The fields of HealthCheck."""
    return health_of(runtime.current())


def get_metrics() -> dict[str, Any]:
    """The fields of WorkerMetrics."""
    steps = {f"steps_{name}": count for name, count in tally.read().items()}
    events = {f"domain_events_{name}": bus.counts[name] for name in ("published", "failed", "dropped")}
    return {**get_ffi_dispatch_metrics(), **steps, **events}


def get_worker_config() -> dict[str, Any]:
    """The fields of WorkerConfig."""
    return worker_config_of(runtime.current())


# The client -----------------------------------------------------------------------------------------------------------


def _answers() -> Any:
    """Who answers the client: a server, where one is named, else the database of this process's worker."""
    return remote() or client_answers


def client_create_task(request: Mapping[str, Any]) -> dict[str, Any]:
    """Creates a task: name, namespace, version, context, initiator, source_system and reason are needed."""
    return _answers().create_task(request)


def client_get_task(task_uuid: str) -> dict[str, Any]:
    """A task with its steps."""
    return _answers().get_task(task_uuid)


def client_list_tasks(
    limit: int = 50, offset: int = 0, namespace: str | None = None, status: str | None = None
) -> dict[str, Any]:
    """tasks and pagination."""
    return _answers().list_tasks(limit, offset, namespace, status)


def client_cancel_task(task_uuid: str) -> dict[str, Any]:
    """Ends a task."""
    return _answers().cancel_task(task_uuid)


def client_list_task_steps(task_uuid: str) -> list[dict[str, Any]]:
    """The steps of a task."""
    return _answers().list_steps(task_uuid)


def client_get_step(task_uuid: str, step_uuid: str) -> dict[str, Any]:
    """A step."""
    return _answers().get_step(task_uuid, step_uuid)


def client_get_step_audit_history(task_uuid: str, step_uuid: str) -> list[dict[str, Any]]:
    """The moves of a step."""
    return _answers().audit_history(task_uuid, step_uuid)


def client_health_check() -> dict[str, Any]:
    """status and timestamp."""
    return _answers().health()
