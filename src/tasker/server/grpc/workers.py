"""What clients of a worker ask. Workers turn on the database and listen nowhere, so the server answers for them."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tasker.model.errors import DatabaseUnavailable
from tasker.operations import configuration, health, templates
from tasker.server.grpc.asked import Asked, Fields

LIST = replace(templates.list_templates, permission="worker:templates_read")
GET = replace(templates.get_template, permission="worker:templates_read")
CONFIG = replace(configuration.get_config, permission="worker:config_read")
"""The operations that clients of a server have, under the permissions of those of a worker."""
_TYPE = "python"


def _who() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


async def get_config(asked: Asked) -> Fields:
    """Settings, as far as workers have them."""
    found = await asked.call(CONFIG)
    return {
        "metadata": found.metadata,
        "worker_id": _who(),
        "worker_type": _TYPE,
        "auth": found.auth,
        "messaging": found.messaging,
    }


async def list_templates(asked: Asked) -> Fields:
    """What is published; nothing is cached, so figures of a cache are zeros."""
    wants_cache = asked.fields.get("include_cache_stats", False)
    found = await asked.call(LIST, {"namespace": asked.fields.get("namespace")})
    names = [one.name for one in found.namespaces]
    return {
        "supported_namespaces": names,
        "template_count": found.total_count,
        "cache_stats": {"supported_namespaces": names} if wants_cache else None,
        "worker_capabilities": ["step_execution", "decision", "batch"],
    }


async def get_template(asked: Asked) -> Fields:
    """A template with the steps and the handler names that workers need for it."""
    found = await asked.call(GET)
    steps = [
        {"name": s.name, "description": s.description, "retryable": s.default_retryable}
        | {"max_attempts": s.default_max_attempts}
        for s in found.steps
    ]
    return {
        "template": {
            "name": found.name,
            "namespace": found.namespace,
            "version": found.version,
            "description": found.description,
            "steps": steps,
        },
        "handler_metadata": {
            "namespace": found.namespace,
            "handler_name": ", ".join(dict.fromkeys(step.handler for step in found.steps)),
            "version": found.version,
            "description": found.description,
            "step_names": [step.name for step in found.steps],
        },
        "cached": False,
    }


async def alive(asked: Asked) -> Fields:
    """The process answers."""
    return {"status": "healthy", "timestamp": datetime.now(UTC), "worker_id": _who()}


async def readiness(asked: Asked) -> Fields:
    """Raises DatabaseUnavailable where no step can be run."""
    found = await health.readiness(asked.engine)
    if not found.is_ready:
        raise DatabaseUnavailable
    return _report(asked, found)


async def details(asked: Asked) -> Fields:
    """The same, whatever it is."""
    report = _report(asked, await health.details(asked.engine))
    return {**report, "distributed_cache": {"enabled": False, "provider": "none", "healthy": True}}


def _report(asked: Asked, found: Any) -> Fields:
    checks, at = found.checks, found.timestamp
    named = {
        "database": checks.web_database,
        "command_processor": checks.command_processor,
        "queue_processing": checks.orchestration_system,
        "event_system": checks.command_processor,
        "step_processing": checks.orchestration_system,
        "circuit_breakers": checks.circuit_breaker,
    }
    return {
        "status": found.status,
        "timestamp": at,
        "worker_id": _who(),
        "checks": {name: {**check.model_dump(), "last_checked": at} for name, check in named.items()},
        "system_info": {
            "version": found.info.version,
            "environment": found.info.environment,
            "uptime_seconds": found.info.uptime_s,
            "worker_type": _TYPE,
            "database_pool_size": asked.engine.settings.read_connections,
            "command_processor_active": True,
        },
    }
