"""What the worker of this process says of itself."""

from __future__ import annotations

import os
import platform
from typing import Any

from tasker import __version__
from tasker_core.client_answers import health
from tasker_core.exceptions import TROUBLE
from tasker_core.pending import STARVING_MS
from tasker_core.runtime import Runtime


def health_of(runtime: Runtime) -> dict[str, Any]:
    """The fields of HealthCheck: the database is asked."""
    database: dict[str, Any] = {"name": "database", "status": "healthy", "message": None}
    try:
        health()
    except TROUBLE as error:
        database.update(status="unhealthy", message=str(error))
    worker = {"name": "worker", "status": "healthy", "message": _role(runtime)}
    return {
        "status": database["status"],
        "is_running": True,
        "components": {"database": database, "worker": worker},
        "rust": {"status": database["status"], "version": __version__, "worker_id": runtime.worker_id},
        "python": {"status": "healthy", "version": platform.python_version()},
    }


def worker_config_of(runtime: Runtime) -> dict[str, Any]:
    """The fields of WorkerConfig."""
    settings = runtime.config.settings
    return {
        "environment": settings.env or os.environ.get("TASKER_ENV"),
        "supported_namespaces": sorted({one.namespace for one in runtime.templates}),
        "polling_interval_ms": int(settings.poll_s * 1000),
        "starvation_threshold_ms": STARVING_MS,
        "max_concurrent_handlers": settings.threads,
        "handler_timeout_ms": None,
    }


def _role(runtime: Runtime) -> str:
    if runtime.pending is not None:
        return "its steps are polled for"
    return "connected" if runtime.handlers is None else f"serves {len(runtime.handlers)} handlers"
