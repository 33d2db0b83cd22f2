"""The table of routes: which operation answers which method and path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tasker.operations import (
    Operation,
    accounts,
    analytics,
    batches,
    breakers,
    callers,
    configuration,
    dlq,
    events,
    fleet,
    jobs,
    keys,
    lists,
    publishing,
    queues,
    reasons,
    refusals,
    reruns,
    steps,
    tasks,
    templates,
    watching,
    worker_sessions,
    worker_turns,
    workers,
)


@dataclass(frozen=True, slots=True)
class Route:
    """An operation at a method and a path.

    What the path does not name comes from the body of a POST, PUT or PATCH, else from the query. `body_field` is the
    field of the input that is the whole body, where that is so.
    """

    method: str
    path: str
    operation: Operation[Any]
    status: int = 200
    body_field: str | None = None
    is_for_workers: bool = False
    """What workers send may be as large as results are."""

    @property
    def has_body(self) -> bool:
        """Whether the input comes from a body."""
        return self.method in ("POST", "PUT", "PATCH")

    @property
    def in_path(self) -> tuple[str, ...]:
        """The fields that the path names."""
        return tuple(re.findall(r"\{(\w+)\}", self.path))


_TASK = "/v1/tasks/{task_uuid}"
_STEP = f"{_TASK}/workflow_steps/{{step_uuid}}"
_TEMPLATE = "/v1/templates/{namespace}/{name}"
_SESSION = "/v1/worker/sessions/{session_uuid}"
_WORKER = "/v1/workers/{session_uuid}"

ROUTES: tuple[Route, ...] = (
    Route("POST", "/v1/tasks", tasks.create_task),
    Route("GET", "/v1/tasks", lists.list_tasks),
    Route("POST", "/v1/tasks/bulk", tasks.create_tasks),
    Route("GET", "/v1/tasks/events", watching.watch_tasks),
    Route("GET", _TASK, tasks.get_task),
    Route("DELETE", _TASK, tasks.cancel_task),
    Route("POST", f"{_TASK}/pause", tasks.pause_task),
    Route("POST", f"{_TASK}/resume", tasks.resume_task),
    Route("GET", f"{_TASK}/events", watching.watch_task),
    Route("GET", f"{_TASK}/summary", accounts.get_task_summary),
    Route("GET", f"{_TASK}/why", reasons.explain),
    Route("GET", f"{_TASK}/analysis", analytics.analyze),
    Route("GET", f"{_TASK}/batches", batches.list_batches),
    Route("POST", f"{_TASK}/rerun", reruns.rerun_task),
    Route("GET", f"{_TASK}/lineage", reruns.get_lineage),
    Route("GET", f"{_TASK}/history", accounts.get_task_history),
    Route("GET", f"{_TASK}/context", accounts.get_task_context),
    Route("GET", f"{_TASK}/workflow_steps", steps.list_steps),
    Route("GET", _STEP, steps.get_step),
    Route("PATCH", _STEP, steps.act_on_step, body_field="action"),
    Route("GET", f"{_STEP}/audit", steps.get_step_audit),
    Route("GET", "/v1/templates", templates.list_templates),
    Route("POST", "/v1/templates", publishing.publish_template),
    Route("POST", "/v1/templates/bulk", publishing.publish_templates),
    Route("POST", "/v1/templates/validate", templates.validate_template),
    Route("GET", _TEMPLATE, templates.list_versions),
    Route("GET", f"{_TEMPLATE}/diff", templates.compare_versions),
    Route("GET", f"{_TEMPLATE}/{{version}}", templates.get_template),
    Route("GET", f"{_TEMPLATE}/{{version}}/graph", templates.get_template_graph),
    Route("POST", f"{_TEMPLATE}/{{version}}/validate", templates.check_template),
    Route("GET", "/v1/namespaces", templates.list_namespaces),
    Route("GET", "/v1/handlers", fleet.list_handlers),
    Route("GET", "/v1/workers", workers.list_workers),
    Route("POST", f"{_WORKER}/pause", workers.pause_worker),
    Route("POST", f"{_WORKER}/drain", workers.drain_worker),
    Route("POST", f"{_WORKER}/resume", workers.resume_worker),
    Route("GET", "/v1/queues", queues.list_queues),
    Route("GET", "/v1/queues/pauses", queues.list_pauses),
    Route("POST", "/v1/queues/pause", queues.pause_queue),
    Route("POST", "/v1/queues/resume", queues.resume_queue),
    Route("GET", "/v1/jobs", jobs.list_jobs),
    Route("POST", "/v1/jobs", jobs.create_job),
    Route("GET", "/v1/jobs/{job_uuid}", jobs.get_job),
    Route("GET", "/v1/jobs/{job_uuid}/items", jobs.list_job_items),
    Route("POST", "/v1/jobs/{job_uuid}/drive", jobs.drive_job),
    Route("POST", "/v1/jobs/{job_uuid}/stop", jobs.stop_job),
    Route("GET", "/v1/analytics/performance", analytics.get_performance),
    Route("GET", "/v1/analytics/bottlenecks", analytics.get_bottlenecks),
    Route("GET", "/v1/analytics/durations", analytics.get_durations),
    Route("GET", "/v1/analytics/throughput", analytics.get_throughput),
    Route("GET", "/v1/dlq", dlq.list_dlq),
    Route("POST", "/v1/dlq", dlq.add_dlq_entry),
    Route("GET", "/v1/dlq/stats", dlq.get_dlq_stats),
    Route("GET", "/v1/dlq/investigation-queue", dlq.get_investigation_queue),
    Route("GET", "/v1/dlq/staleness", dlq.get_staleness),
    Route("GET", "/v1/dlq/task/{task_uuid}", dlq.get_dlq_of_task),
    Route("GET", "/v1/dlq/entry/{dlq_entry_uuid}", dlq.get_dlq_entry),
    Route("PATCH", "/v1/dlq/entry/{dlq_entry_uuid}", dlq.update_dlq_entry),
    Route("POST", "/v1/dlq/entry/{dlq_entry_uuid}/requeue", dlq.requeue_dlq_entry),
    Route("GET", "/v1/breakers", breakers.list_breakers),
    Route("GET", "/v1/breakers/one", breakers.get_breaker),
    Route("GET", "/v1/breakers/moves", breakers.list_breaker_moves),
    Route("POST", "/v1/breakers/open", breakers.open_breaker),
    Route("POST", "/v1/breakers/reset", breakers.reset_breaker),
    Route("POST", "/v1/breakers/limits", breakers.set_breaker_limits),
    Route("GET", "/v1/events", events.list_domain_events),
    Route("GET", "/v1/events/stream", events.watch_domain_events),
    Route("GET", "/v1/events/{event_id}", events.get_domain_event),
    Route("GET", "/v1/caller", callers.get_caller),
    Route("GET", "/v1/refusals", refusals.list_refusals),
    Route("GET", "/v1/keys", keys.list_keys),
    Route("POST", "/v1/keys", keys.create_key),
    Route("GET", "/v1/keys/{key_id}", keys.get_key),
    Route("DELETE", "/v1/keys/{key_id}", keys.revoke_key),
    Route("POST", "/v1/keys/{key_id}/rotate", keys.rotate_key),
    Route("POST", "/v1/worker/sessions", worker_sessions.open_worker_session, is_for_workers=True),
    Route("POST", f"{_SESSION}/turn", worker_turns.take_worker_turn, is_for_workers=True),
    Route("POST", f"{_SESSION}/beat", worker_sessions.beat_worker_session, is_for_workers=True),
    Route("POST", f"{_SESSION}/load", worker_sessions.load_for_worker, is_for_workers=True),
    Route("POST", f"{_SESSION}/checkpoints", worker_sessions.save_worker_checkpoints, is_for_workers=True),
    Route("POST", f"{_SESSION}/wait", worker_sessions.await_work, is_for_workers=True),
    Route("POST", f"{_SESSION}/end", worker_sessions.end_worker_session, is_for_workers=True),
    Route("GET", "/config", configuration.get_config),
)
