"""Health, figures and configuration of the worker."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tasker_core.types.runtime import FfiDispatchMetrics


class ComponentHealth(BaseModel):
    """One part: `status` is healthy or unhealthy."""

    name: str
    status: str
    message: str | None = None


class HealthCheck(BaseModel):
    """The worker: `status` is healthy where all of its parts are.

    `rust` holds the engine's version, `python` what this process runs on.
    """

    status: str
    is_running: bool
    components: dict[str, ComponentHealth] = Field(default_factory=dict[str, ComponentHealth])
    rust: dict[str, Any] = Field(default_factory=dict)
    python: dict[str, Any] = Field(default_factory=dict)


class WorkerMetrics(FfiDispatchMetrics):
    """Executions of this process since its start, and the steps that wait for a poller."""

    model_config = ConfigDict(extra="allow")

    steps_processed: int = 0
    steps_succeeded: int = 0
    steps_failed: int = 0
    steps_in_progress: int = 0
    domain_events_published: int = 0
    domain_events_failed: int = 0
    domain_events_dropped: int = 0


class WorkerConfig(BaseModel):
    """What the worker runs with. Times are in milliseconds; a timeout of None is that of each step's template."""

    environment: str | None = None
    supported_namespaces: list[str] = Field(default_factory=list)
    polling_interval_ms: int
    starvation_threshold_ms: int
    max_concurrent_handlers: int
    handler_timeout_ms: int | None = None
