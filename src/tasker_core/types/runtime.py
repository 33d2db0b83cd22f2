"""The worker's configuration and state."""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class BootstrapConfig(BaseModel):
    """How to start. `config_path` stands in for TASKER_CONFIG_PATH; `namespace` is for people only: a worker serves the
    namespaces of its templates."""

    model_config = ConfigDict(extra="forbid")

    worker_id: str | None = None
    namespace: str = "default"
    config_path: str | None = None
    log_level: Literal["trace", "debug", "info", "warn", "error"] = "info"


class BootstrapResult(BaseModel):
    """How starting went: `status` is started, already_running or error."""

    success: bool
    handle_id: str = ""
    worker_id: str = ""
    status: str
    message: str = ""
    error_message: str | None = None


class WorkerState(str, Enum):  # noqa: UP042 - str() gives what it always gave
    """Where the worker stands."""

    INITIALIZING = "initializing"
    RUNNING = "running"
    SHUTTING_DOWN = "shutting_down"
    STOPPED = "stopped"
    ERROR = "error"


class WorkerStatus(BaseModel):
    """The worker of this process."""

    model_config = ConfigDict(extra="allow")

    running: bool
    worker_id: str | None = None
    status: str | None = None
    error: str | None = None
    environment: str | None = None
    handlers: list[str] = Field(default_factory=list)


class LogContext(BaseModel):
    """Fields of a log line; None is left out."""

    correlation_id: str | None = None
    task_uuid: str | None = None
    step_uuid: str | None = None
    namespace: str | None = None
    operation: str | None = None

    def to_dict(self) -> dict[str, str]:
        """The fields that are set, as text."""
        return {key: str(value) for key, value in self.model_dump().items() if value is not None}


class FfiDispatchMetrics(BaseModel):
    """Steps on their way to handlers."""

    pending_count: int = 0
    oldest_pending_age_ms: int | None = None
    newest_pending_age_ms: int | None = None
    oldest_event_id: str | None = None
    starvation_detected: bool = False
    starving_event_count: int = 0


class StarvationWarning(BaseModel):
    """A step that waits too long for its handler."""

    event_id: str
    step_uuid: str
    pending_duration_ms: int
    threshold_ms: int
    details: dict[str, Any] = Field(default_factory=dict)
