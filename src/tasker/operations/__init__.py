"""The list of use cases. Each is one typed function with its permission; every face is thin on them."""

from __future__ import annotations

from importlib import import_module

from tasker.operations.engine import Engine as Engine
from tasker.operations.faults import fault_of as fault_of
from tasker.operations.faults import told as told
from tasker.operations.permissions import PERMISSIONS as PERMISSIONS
from tasker.operations.principal import ANYBODY as ANYBODY
from tasker.operations.principal import Principal as Principal
from tasker.operations.registry import OPERATIONS as OPERATIONS
from tasker.operations.registry import Operation as Operation
from tasker.operations.registry import Scope as Scope
from tasker.operations.registry import call as call
from tasker.operations.registry import stream as stream

_TOPICS = (
    "accounts",
    "analytics",
    "batches",
    "breakers",
    "callers",
    "configuration",
    "dlq",
    "events",
    "fleet",
    "jobs",
    "keys",
    "lists",
    "publishing",
    "queues",
    "reasons",
    "refusals",
    "reruns",
    "steps",
    "tasks",
    "templates",
    "watching",
    "worker_sessions",
    "worker_turns",
    "workers",
)
for _topic in _TOPICS:
    import_module(f"tasker.operations.{_topic}")  # each registers its operations
