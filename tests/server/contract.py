"""The published HTTP API of tasker-core, as its clients know it: routes, permissions, and the fields of each body.

A field may be more than these; none of these may be missing, or be of another kind of JSON value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tasker.model.states import StepState, TaskState

Fields = dict[str, Any]
"""By name the kind: `str`, `int`, `num`, `bool`, `any`, `obj`, with `?` if it may be null; dicts and lists nest."""

READINESS: Fields = {
    "workflow_step_uuid": "str", "task_uuid": "str", "named_step_uuid": "str", "name": "str", "current_state": "str",
    "dependencies_satisfied": "bool", "retry_eligible": "bool", "ready_for_execution": "bool",
    "last_failure_at": "str?", "next_retry_at": "str?", "total_parents": "int", "completed_parents": "int",
    "attempts": "int", "max_attempts": "int", "backoff_request_seconds": "num?", "last_attempted_at": "str?",
}  # fmt: skip
TASK: Fields = {
    "task_uuid": "str", "name": "str", "namespace": "str", "version": "str", "status": "str", "created_at": "str",
    "updated_at": "str", "completed_at": "str?", "context": "any", "initiator": "str", "source_system": "str",
    "reason": "str", "priority": "int?", "tags": "any", "correlation_id": "str", "parent_correlation_id": "str?",
    "total_steps": "int", "pending_steps": "int", "in_progress_steps": "int", "completed_steps": "int",
    "failed_steps": "int", "ready_steps": "int", "execution_status": "str", "recommended_action": "str?",
    "completion_percentage": "num", "health_status": "str", "steps": [READINESS],
}  # fmt: skip
PAGINATION: Fields = {
    "page": "int", "per_page": "int", "total_count": "int", "total_pages": "int", "has_next": "bool",
    "has_previous": "bool",
}  # fmt: skip
STEP: Fields = {
    "step_uuid": "str", "task_uuid": "str", "name": "str", "created_at": "str", "updated_at": "str",
    "completed_at": "str?", "results": "any", "current_state": "str", "dependencies_satisfied": "bool",
    "retry_eligible": "bool", "ready_for_execution": "bool", "total_parents": "int", "completed_parents": "int",
    "attempts": "int", "max_attempts": "int", "last_failure_at": "str?", "next_retry_at": "str?",
    "last_attempted_at": "str?",
}  # fmt: skip
AUDIT: Fields = {
    "audit_uuid": "str", "workflow_step_uuid": "str", "transition_uuid": "str", "task_uuid": "str",
    "recorded_at": "str", "worker_uuid": "str?", "correlation_id": "str?", "success": "bool",
    "execution_time_ms": "int?", "result": "any", "step_name": "str", "from_state": "str?", "to_state": "str",
}  # fmt: skip
SUMMARY: Fields = {
    "task": {name: kind for name, kind in TASK.items() if name not in ("steps", "context", "tags", "priority",
             "parent_correlation_id", "ready_steps")},
    "template": {"steps": [{
        "name": "str", "step_type": "str", "handler": "str", "dependencies": "any", "retryable": "bool",
        "max_attempts": "int"}]},
    "steps": [{
        "step_uuid": "str", "name": "str", "current_state": "str", "created_at": "str?", "completed_at": "str?",
        "last_attempted_at": "str?", "attempts": "int", "max_attempts": "int", "dependencies_satisfied": "bool",
        "retry_eligible": "bool", "error": "any"}],
    "dlq": {"in_dlq": "bool", "dlq_reason": "str?", "resolution_status": "str?"},
    "links": {"task": "str", "steps": "str", "dlq": "str"},
}  # fmt: skip
TEMPLATES: Fields = {
    "namespaces": [{"name": "str", "description": "str?", "template_count": "int"}],
    "templates": [
        {"name": "str", "namespace": "str", "version": "str", "description": "str?", "step_count": "int"}
    ],
    "total_count": "int",
}  # fmt: skip
TEMPLATE: Fields = {
    "name": "str", "namespace": "str", "version": "str", "description": "str?", "configuration": "obj",
    "steps": [
        {"name": "str", "description": "str?", "default_retryable": "bool", "default_max_attempts": "int"}
    ],
}  # fmt: skip
VALIDATION: Fields = {"valid": "bool", "errors": "any", "required_capabilities": "any", "step_handlers": "any"}
DLQ: Fields = {
    "dlq_entry_uuid": "str", "task_uuid": "str", "original_state": "str", "dlq_reason": "str", "dlq_timestamp": "str",
    "resolution_status": "str", "resolution_timestamp": "str?", "resolution_notes": "str?", "resolved_by": "str?",
    "task_snapshot": "obj", "metadata": "any", "created_at": "str", "updated_at": "str",
}  # fmt: skip
DLQ_STATS: Fields = {
    "dlq_reason": "str", "total_entries": "int", "pending": "int", "manually_resolved": "int",
    "permanent_failures": "int", "cancelled": "int", "oldest_entry": "str?", "newest_entry": "str?",
    "avg_resolution_time_minutes": "num?",
}  # fmt: skip
INVESTIGATION: Fields = {
    "dlq_entry_uuid": "str", "task_uuid": "str", "original_state": "str", "dlq_reason": "str", "dlq_timestamp": "str",
    "minutes_in_dlq": "num", "namespace_name": "str?", "task_name": "str?", "current_state": "str?",
    "time_in_state_minutes": "num?", "priority_score": "num",
}  # fmt: skip
STALENESS: Fields = {
    "task_uuid": "str", "namespace_name": "str?", "task_name": "str?", "current_state": "str",
    "time_in_state_minutes": "num", "task_age_minutes": "num", "staleness_threshold_minutes": "num",
    "health_status": "str", "priority": "int",
}  # fmt: skip
PERFORMANCE: Fields = {
    "total_tasks": "int", "active_tasks": "int", "completed_tasks": "int", "failed_tasks": "int",
    "completion_rate": "num", "error_rate": "num", "average_task_duration_seconds": "num",
    "average_step_duration_seconds": "num", "tasks_per_hour": "num", "steps_per_hour": "num",
    "system_health_score": "num", "analysis_period_start": "str", "calculated_at": "str",
}  # fmt: skip
SLOW_STEP: Fields = {
    "namespace_name": "str", "task_name": "str", "version": "str", "step_name": "str",
    "average_duration_seconds": "num", "max_duration_seconds": "num", "execution_count": "int", "error_count": "int",
    "error_rate": "num", "last_executed_at": "str?",
}  # fmt: skip
SLOW_TASK: Fields = {
    **{name: kind for name, kind in SLOW_STEP.items() if name != "step_name"},
    "average_step_count": "num",
}
HEALTH_COUNTS: Fields = {
    **{f"{state}_tasks": "int" for state in TaskState},
    "total_tasks": "int",
    **{f"{state}_steps": "int" for state in StepState},
    "total_steps": "int",
}
BOTTLENECKS: Fields = {
    "slow_steps": [SLOW_STEP],
    "slow_tasks": [SLOW_TASK],
    "resource_utilization": {"database_pool_utilization": "num", "system_health": HEALTH_COUNTS},
    "recommendations": "any",
}
CONFIG: Fields = {
    "metadata": {"timestamp": "str", "environment": "str", "version": "str"},
    "auth": {
        "enabled": "bool", "verification_method": "str", "jwt_issuer": "str?", "jwt_audience": "str?",
        "api_key_header": "str", "api_key_count": "int", "strict_validation": "bool", "allowed_algorithms": "any"},
    "circuit_breakers": {
        "enabled": "bool", "failure_threshold": "int", "timeout_seconds": "num", "success_threshold": "int"},
    "database_pools": {"web_api_pool_size": "int", "web_api_max_connections": "int"},
    "deployment_mode": "str",
    "messaging": {"backend": "str", "queues": "any"},
}  # fmt: skip
CHECK: Fields = {"status": "str", "message": "str?", "duration_ms": "num"}
HEALTH: Fields = {"status": "str", "timestamp": "str"}
READY: Fields = {
    **HEALTH,
    "checks": dict.fromkeys(
        ("web_database", "orchestration_database", "circuit_breaker", "orchestration_system", "command_processor"),
        CHECK,
    ),
    "info": {"version": "str", "environment": "str", "operational_state": "str"},
}
ERROR: Fields = {"error": {"code": "str", "message": "str"}}


@dataclass(frozen=True)
class Call:
    """A route, the permission that it needs (None: open to all), and what it takes and answers.

    `{name}` in the path or in the body is something that the test has made. `gives` a list of one is a list.
    """

    method: str
    path: str
    permission: str | None
    gives: Any
    body: Fields | None = None
    refused: list[tuple[str, int, str]] = field(default_factory=list[tuple[str, int, str]])
    """Other paths of the same route, each with its status and code."""


NOBODY = "01987654-0000-7000-8000-000000000001"
_TASK, _STEP = "/v1/tasks/{task}", "/v1/tasks/{failed}/workflow_steps/{step}"
CALLS = (
    Call("POST", "/v1/tasks", "tasks:create", TASK, {
        "name": "order", "namespace": "shop", "version": "1.0.0", "context": {"amount": 1}, "initiator": "ada",
        "source_system": "till", "reason": "a sale", "tags": ["a"], "requested_at": "2030-01-01T00:00:00",
        "options": None, "priority": 5, "correlation_id": NOBODY, "parent_correlation_id": NOBODY,
        "idempotency_key": "contract"}),
    Call("GET", "/v1/tasks?page=1&per_page=25&namespace=shop&status=completed&initiator=ada&source_system=till",
         "tasks:list", {"tasks": [TASK], "pagination": PAGINATION}),
    Call("GET", _TASK, "tasks:read", TASK,
         refused=[("/v1/tasks/abc", 400, "INVALID_UUID"), (f"/v1/tasks/{NOBODY}", 404, "NOT_FOUND")]),
    Call("GET", f"{_TASK}/summary", "tasks:read", SUMMARY, refused=[(f"/v1/tasks/{NOBODY}/summary", 404, "NOT_FOUND")]),
    Call("GET", f"{_TASK}/workflow_steps", "steps:read", [STEP],
         refused=[(f"/v1/tasks/{NOBODY}/workflow_steps", 404, "NOT_FOUND")]),
    Call("GET", _STEP, "steps:read", STEP,
         refused=[(f"/v1/tasks/{{failed}}/workflow_steps/{NOBODY}", 404, "NOT_FOUND"),
                  ("/v1/tasks/{failed}/workflow_steps/abc", 400, "INVALID_UUID")]),
    Call("GET", f"{_STEP}/audit", "steps:read", [AUDIT]),
    Call("PATCH", _STEP, "steps:resolve", STEP, {"action_type": "reset_for_retry", "reason": "r", "reset_by": "ada"}),
    Call("PATCH", _STEP, "steps:resolve", STEP, {
        "action_type": "complete_manually", "completion_data": {"result": {"paid": True}, "metadata": {"by": "hand"}},
        "reason": "r", "completed_by": "ada"}),
    Call("DELETE", "/v1/tasks/{held}", "tasks:cancel", TASK,
         refused=[("/v1/tasks/{held}", 400, "BAD_REQUEST"), (f"/v1/tasks/{NOBODY}", 404, "NOT_FOUND")]),
    Call("GET", "/v1/templates?namespace=shop", "templates:read", TEMPLATES),
    Call("GET", "/v1/templates/shop/order/1.0.0", "templates:read", TEMPLATE,
         refused=[("/v1/templates/shop/order/9.9.9", 404, "NOT_FOUND")]),
    Call("POST", "/v1/templates/shop/order/1.0.0/validate", "templates:validate", VALIDATION, {}),
    Call("GET", "/v1/dlq?resolution_status=pending&limit=50&offset=0", "dlq:read", [DLQ]),
    Call("GET", "/v1/dlq/task/{investigated}", "dlq:read", DLQ, refused=[(f"/v1/dlq/task/{NOBODY}", 404, "NOT_FOUND")]),
    Call("GET", "/v1/dlq/stats", "dlq:stats", [DLQ_STATS]),
    Call("GET", "/v1/dlq/investigation-queue?limit=100", "dlq:read", [INVESTIGATION]),
    Call("GET", "/v1/dlq/staleness?limit=100", "dlq:read", [STALENESS]),
    Call("PATCH", "/v1/dlq/entry/{entry}", "dlq:update", {
        "success": "bool", "message": "str", "dlq_entry_uuid": "str"}, {
        "resolution_status": "manually_resolved", "resolution_notes": "n", "resolved_by": "ada", "metadata": {"a": 1}}),
    Call("GET", "/v1/analytics/performance?hours=24", "system:analytics_read", PERFORMANCE),
    Call("GET", "/v1/analytics/bottlenecks?limit=10&min_executions=1", "system:analytics_read", BOTTLENECKS),
    Call("GET", "/config", "system:config_read", CONFIG),
    Call("GET", "/health", None, HEALTH),
    Call("GET", "/health/ready", None, READY),
    Call("GET", "/health/live", None, HEALTH),
    Call("GET", "/health/detailed", None, READY),
)  # fmt: skip
TEXTS = ("/metrics", "/api-docs/ui", "/api-docs/openapi.json")
