"""From an operation and its input to an HTTP request, and back. No input or output happens here.

Whatever a client sends may be sent twice: creating a task carries the task's id, an act its `act_id`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import quote

import orjson
from pydantic import TypeAdapter, ValidationError

from tasker.model.errors import InvalidInput, ServerFault
from tasker.operations import OPERATIONS, Operation
from tasker.operations.faults import message_of


@dataclass(frozen=True, slots=True)
class Place:
    """Where an operation is. `body_field` is the field of its input that is the whole body, where that is so."""

    method: str
    path: str
    body_field: str | None = None


_TASK = "/v1/tasks/{task_uuid}"
_STEP = f"{_TASK}/workflow_steps/{{step_uuid}}"
_TEMPLATE = "/v1/templates/{namespace}/{name}"
_JOB = "/v1/jobs/{job_uuid}"
_SESSION = "/v1/worker/sessions/{session_uuid}"
_WORKER = "/v1/workers/{session_uuid}"
_ENTRY = "/v1/dlq/entry/{dlq_entry_uuid}"

PLACES: dict[str, Place] = {
    "create_task": Place("POST", "/v1/tasks"),
    "list_tasks": Place("GET", "/v1/tasks"),
    "create_tasks": Place("POST", "/v1/tasks/bulk"),
    "watch_tasks": Place("GET", "/v1/tasks/events"),
    "get_task": Place("GET", _TASK),
    "cancel_task": Place("DELETE", _TASK),
    "pause_task": Place("POST", f"{_TASK}/pause"),
    "resume_task": Place("POST", f"{_TASK}/resume"),
    "watch_task": Place("GET", f"{_TASK}/events"),
    "get_task_summary": Place("GET", f"{_TASK}/summary"),
    "explain": Place("GET", f"{_TASK}/why"),
    "get_task_history": Place("GET", f"{_TASK}/history"),
    "get_task_context": Place("GET", f"{_TASK}/context"),
    "list_steps": Place("GET", f"{_TASK}/workflow_steps"),
    "get_step": Place("GET", _STEP),
    "act_on_step": Place("PATCH", _STEP, body_field="action"),
    "get_step_audit": Place("GET", f"{_STEP}/audit"),
    "list_templates": Place("GET", "/v1/templates"),
    "publish_template": Place("POST", "/v1/templates"),
    "publish_templates": Place("POST", "/v1/templates/bulk"),
    "validate_template": Place("POST", "/v1/templates/validate"),
    "list_versions": Place("GET", _TEMPLATE),
    "compare_versions": Place("GET", f"{_TEMPLATE}/diff"),
    "get_template": Place("GET", f"{_TEMPLATE}/{{version}}"),
    "get_template_graph": Place("GET", f"{_TEMPLATE}/{{version}}/graph"),
    "check_template": Place("POST", f"{_TEMPLATE}/{{version}}/validate"),
    "list_namespaces": Place("GET", "/v1/namespaces"),
    "list_handlers": Place("GET", "/v1/handlers"),
    "list_workers": Place("GET", "/v1/workers"),
    "pause_worker": Place("POST", f"{_WORKER}/pause"),
    "drain_worker": Place("POST", f"{_WORKER}/drain"),
    "resume_worker": Place("POST", f"{_WORKER}/resume"),
    "list_queues": Place("GET", "/v1/queues"),
    "list_pauses": Place("GET", "/v1/queues/pauses"),
    "pause_queue": Place("POST", "/v1/queues/pause"),
    "resume_queue": Place("POST", "/v1/queues/resume"),
    "list_dlq": Place("GET", "/v1/dlq"),
    "add_dlq_entry": Place("POST", "/v1/dlq"),
    "get_dlq_stats": Place("GET", "/v1/dlq/stats"),
    "get_investigation_queue": Place("GET", "/v1/dlq/investigation-queue"),
    "get_staleness": Place("GET", "/v1/dlq/staleness"),
    "get_dlq_of_task": Place("GET", "/v1/dlq/task/{task_uuid}"),
    "get_dlq_entry": Place("GET", _ENTRY),
    "update_dlq_entry": Place("PATCH", _ENTRY),
    "requeue_dlq_entry": Place("POST", f"{_ENTRY}/requeue"),
    "analyze": Place("GET", f"{_TASK}/analysis"),
    "rerun_task": Place("POST", f"{_TASK}/rerun"),
    "get_lineage": Place("GET", f"{_TASK}/lineage"),
    "list_jobs": Place("GET", "/v1/jobs"),
    "create_job": Place("POST", "/v1/jobs"),
    "get_job": Place("GET", _JOB),
    "list_job_items": Place("GET", f"{_JOB}/items"),
    "drive_job": Place("POST", f"{_JOB}/drive"),
    "stop_job": Place("POST", f"{_JOB}/stop"),
    "get_performance": Place("GET", "/v1/analytics/performance"),
    "get_bottlenecks": Place("GET", "/v1/analytics/bottlenecks"),
    "get_durations": Place("GET", "/v1/analytics/durations"),
    "get_throughput": Place("GET", "/v1/analytics/throughput"),
    "list_batches": Place("GET", f"{_TASK}/batches"),
    "list_breakers": Place("GET", "/v1/breakers"),
    "get_breaker": Place("GET", "/v1/breakers/one"),
    "list_breaker_moves": Place("GET", "/v1/breakers/moves"),
    "open_breaker": Place("POST", "/v1/breakers/open"),
    "reset_breaker": Place("POST", "/v1/breakers/reset"),
    "set_breaker_limits": Place("POST", "/v1/breakers/limits"),
    "list_domain_events": Place("GET", "/v1/events"),
    "watch_domain_events": Place("GET", "/v1/events/stream"),
    "get_domain_event": Place("GET", "/v1/events/{event_id}"),
    "get_caller": Place("GET", "/v1/caller"),
    "list_refusals": Place("GET", "/v1/refusals"),
    "list_keys": Place("GET", "/v1/keys"),
    "create_key": Place("POST", "/v1/keys"),
    "get_key": Place("GET", "/v1/keys/{key_id}"),
    "revoke_key": Place("DELETE", "/v1/keys/{key_id}"),
    "rotate_key": Place("POST", "/v1/keys/{key_id}/rotate"),
    "open_worker_session": Place("POST", "/v1/worker/sessions"),
    "take_worker_turn": Place("POST", f"{_SESSION}/turn"),
    "beat_worker_session": Place("POST", f"{_SESSION}/beat"),
    "load_for_worker": Place("POST", f"{_SESSION}/load"),
    "save_worker_checkpoints": Place("POST", f"{_SESSION}/checkpoints"),
    "await_work": Place("POST", f"{_SESSION}/wait"),
    "end_worker_session": Place("POST", f"{_SESSION}/end"),
    "get_config": Place("GET", "/config"),
}
"""Where each operation is, by its name; a test holds it against the server's own table."""


@dataclass(frozen=True, slots=True)
class Call:
    """An HTTP request."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict[str, Any])
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    is_stream: bool = False


def call_of(operation: Operation[Any], fields: Mapping[str, Any], *, behind: str | None = None) -> Call:
    """The request for an operation. A stream goes on `behind` an update's cursor. Raises InvalidInput before anything
    is sent."""
    given, place = given_of(operation, fields), PLACES[operation.name]
    in_path = re.findall(r"\{(\w+)\}", place.path)
    path = place.path.format(**{name: quote(str(given.pop(name)), safe="") for name in in_path})
    if place.method in ("POST", "PUT", "PATCH"):
        body = given[place.body_field] if place.body_field else given
        return Call(place.method, path, body=orjson.dumps(body), headers={"content-type": "application/json"})
    headers = {} if behind is None else {"last-event-id": behind}
    query = {name: _text(value) for name, value in given.items()}
    return Call(place.method, path, query, headers=headers, is_stream=operation.is_stream)


def given_of(operation: Operation[Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The input of an operation as JSON has it; a field that is None is not said. Raises InvalidInput."""
    said = {name: value for name, value in fields.items() if value is not None}
    try:
        return operation.given.model_validate(said).model_dump(mode="json", exclude_unset=True)
    except ValidationError as error:
        raise InvalidInput(message_of(error)) from None


def _text(value: Any) -> Any:
    """As a query has it."""
    if isinstance(value, float):
        return f"{value:.3f}"
    return str(value).lower() if isinstance(value, bool) else value


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(OPERATIONS[name].answer)


def answer_of(operation: Operation[Any], content: bytes | str, url: str) -> Any:
    """What an operation answers, of its JSON. Raises ServerFault for what is none."""
    try:
        return _adapter(operation.name).validate_json(content)
    except ValidationError as error:
        raise ServerFault(f"{url} answers no {operation.name} of Tasker's API: {message_of(error)}") from None
