"""Health, figures and configuration of the worker. All raise WorkerNotInitializedError before bootstrap_worker."""

from __future__ import annotations

from tasker_core import _tasker_core
from tasker_core.types import ComponentHealth, HealthCheck, WorkerConfig, WorkerMetrics

__all__ = [
    "ComponentHealth",
    "HealthCheck",
    "WorkerConfig",
    "WorkerMetrics",
    "get_health_check",
    "get_metrics",
    "get_worker_config",
]


def get_health_check() -> HealthCheck:
    """Whether the worker and its database are well: the database is asked."""
    return HealthCheck.model_validate(_tasker_core.get_health_check())


def get_metrics() -> WorkerMetrics:
    """Counts of this process since its start."""
    return WorkerMetrics.model_validate(_tasker_core.get_metrics())


def get_worker_config() -> WorkerConfig:
    """What the worker runs with."""
    return WorkerConfig.model_validate(_tasker_core.get_worker_config())
