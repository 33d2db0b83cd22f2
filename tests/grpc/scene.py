"""One server, tasks of every kind, and every method called with every field: what a field's name promises is seen."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from grpc_support import Client, state
from support.until import until

from tasker import Decision, PermanentError, Tasker, proto, step_handler
from tasker.model.ids import uuid7
from tasker.templates import load_text

TEMPLATE = """
tasker: 1
namespace_name: scene
name: play
version: 1.0.0
description: Every kind of step.
search_fields: [a]
steps:
  - {name: opening, handler: opening, description: Begins.}
  - {name: turn, handler: turn, type: decision, dependencies: [opening]}
  - {name: left, handler: left, dependencies: [turn]}
  - {name: right, handler: left, dependencies: [turn]}
  - {name: lost, handler: lost, dependencies: [opening]}
  - {name: again, handler: again, dependencies: [opening],
     retry: {max_attempts: 5, backoff: exponential, backoff_base_ms: 600000, max_backoff_ms: 600000}}
  - {name: held, handler: held, dependencies: [opening]}
  - {name: behind, handler: left, dependencies: [held]}
"""
UNSERVED = """
tasker: 1
namespace_name: scene
name: unserved
version: 1.0.0
steps: [{name: only, handler: nobody_has_it}]
"""
DOOMED = """
tasker: 1
namespace_name: scene
name: doomed
version: 1.0.0
steps:
  - {name: lost, handler: lost}
  - {name: again, handler: again, retry: {max_attempts: 2, backoff: none}}
"""
released = asyncio.Event()


@step_handler("opening")
async def opening(context: Any) -> dict[str, Any]:
    """Ends well."""
    return {"seats": 3}


@step_handler("turn")
async def turn(context: Any) -> Decision:
    """Goes left."""
    return Decision.route("left", reason="it is nearer")


@step_handler("left")
async def left(context: Any) -> dict[str, Any]:
    """Ends well."""
    return {}


@step_handler("lost")
async def lost(context: Any) -> None:
    """Fails for good."""
    raise PermanentError("the curtain fell", metadata={"status_code": 503})


@step_handler("again")
async def again(context: Any) -> None:
    """Fails, and is tried again much later."""
    raise ValueError("a false note")


@step_handler("held")
async def held(context: Any) -> dict[str, Any]:
    """Runs until it is let go."""
    await released.wait()
    return {}


HANDLERS = [opening, turn, left, lost, again, held]


@dataclass
class Recorder:
    """A client that notes which fields it has said and heard."""

    client: Client
    seen: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    async def __call__(self, path: str, /, **fields: Any) -> Any:
        """One call."""
        service, method = path.split("/")
        self.note(self.client.request(service, method, **fields))
        answer = await self.client.call(service, method, **fields)
        self.note(answer)
        return answer

    async def watch(self, path: str, /, **fields: Any) -> list[Any]:
        """A stream to its end, or up to what tells that it has told where all stands."""
        service, method = path.split("/")
        self.note(self.client.request(service, method, **fields))
        heard: list[Any] = []
        async for answer in self.client.stream(service, method, **fields):
            self.note(answer)
            heard.append(answer)
        return heard

    def note(self, message: Any) -> None:
        """What a message says, and what is inside of it."""
        kind = message.DESCRIPTOR
        self.seen[kind.name]
        for known, value in message.ListFields():
            self.seen[kind.name].add(known.name)
            inner = known.message_type
            if inner is None or inner.full_name.startswith("google.") or inner.GetOptions().map_entry:
                continue
            for one in value if known.is_repeated else [value]:
                self.note(one)

    async def operation(self, name: str, **given: Any) -> Any:
        """An operation that has no method of its own."""
        found = await self("OperationService/Call", operation=name, given=given)
        return found.answer.struct_value


async def play(tasker: Tasker, call: Recorder) -> None:
    """Every method, every field."""
    released.clear()
    for text in (TEMPLATE, UNSERVED, DOOMED):
        await tasker.publish(load_text(text).template)
    task = await _tasks(call)
    await _lists(call, task)
    await _steps(call, task)
    await _dlq(call, task)
    await _templates_and_system(call)
    await _watching(call, task)
    await _analytics(call)


async def _tasks(call: Recorder) -> Any:
    now = datetime.now(UTC)
    task = (await call("TaskService/CreateTask", name="play", namespace="scene", version="1.0.0", context={"a": 1},
        initiator="ada", source_system="till", reason="an evening", priority=1, tags=["x", "y"],
        idempotency_key="evening", key_ttl_s=600, start_at=now,
        correlation_id="01987654-0000-7000-8000-000000000002",
        parent_correlation_id="01987654-0000-7000-8000-000000000003")).task  # fmt: skip
    again = (await call("TaskService/CreateTask", name="play", namespace="scene", version="1.0.0", context={"a": 1},
        initiator="ada", source_system="till", reason="an evening", priority=1, tags=["x", "y"],
        idempotency_key="evening", key_ttl_s=600, start_at=now,
        correlation_id="01987654-0000-7000-8000-000000000002",
        parent_correlation_id="01987654-0000-7000-8000-000000000003")).task  # fmt: skip
    assert (again.task_uuid, again.is_duplicate) == (task.task_uuid, True)

    later = (
        await call("TaskService/CreateTask", name="play", namespace="scene", delay_s=3600, task_uuid=str(uuid7()))
    ).task
    await call.operation("pause_task", task_uuid=later.task_uuid)
    await call("TaskService/CancelTask", task_uuid=later.task_uuid, reason="rain", actor="bob",
               seen_state=state(later), act_id="01987654-0000-7000-8000-000000000004")  # fmt: skip

    idle = (await call("TaskService/CreateTask", name="unserved", namespace="scene")).task
    assert idle.ready_steps == 1
    await call("StepService/ListSteps", task_uuid=idle.task_uuid)
    await call("TaskService/CancelTask", task_uuid=idle.task_uuid)

    async def is_under_way() -> bool:
        found = (await call("StepService/ListSteps", task_uuid=task.task_uuid)).steps
        states = {step.name: state(step).removeprefix("STEP_STATE_").lower() for step in found}
        return states | {"left": "complete"} == {
            "opening": "complete", "turn": "complete", "left": "complete", "right": "pending", "lost": "error",
            "again": "waiting_for_retry", "held": "in_progress", "behind": "pending",
        } and states["left"] == "complete"  # fmt: skip

    await until(is_under_way, "each step has come where it can", within_s=60)
    await call("TaskService/GetTask", task_uuid=task.task_uuid, include_steps=True, include_context=True, wait_s=0.1)
    await call("TaskService/GetTaskContext", task_uuid=task.task_uuid)
    await call.operation("pause_task", task_uuid=task.task_uuid)
    assert (await call("TaskService/GetTask", task_uuid=task.task_uuid)).task.is_paused
    await call.operation("resume_task", task_uuid=task.task_uuid)
    return task


async def _lists(call: Recorder, task: Any) -> None:
    begin = task.created_at.ToDatetime(tzinfo=UTC) - timedelta(hours=1)
    period = {"start": begin, "end": begin + timedelta(hours=2)}
    every = await call("TaskService/ListTasks", pagination={"limit": 1}, sort={"field": "created_at", "direction": 2})
    assert every.pagination.total >= 2
    rest = await call("TaskService/ListTasks", pagination={"limit": 1, "cursor": every.pagination.next_cursor})
    second = await call("TaskService/ListTasks", pagination={"limit": 1, "offset": 1})
    assert rest.tasks[0].task_uuid == second.tasks[0].task_uuid != every.tasks[0].task_uuid
    found = await call("TaskService/ListTasks", namespace="scene", name="play", version="1.0.0", created_at=period,
        initiator="ada", source_system="till", tags=["x"], correlation_id=task.correlation_id,
        states=["TASK_STATE_BLOCKED_BY_FAILURES", "TASK_STATE_STEPS_IN_PROCESS"])  # fmt: skip
    assert [one.task_uuid for one in found.tasks] == [task.task_uuid]
    both = await call("TaskService/ListTasks", tags=["x", "y"])
    assert [one.task_uuid for one in both.tasks] == [task.task_uuid]
    declared = await call("TaskService/ListTasks", field=["a=1"])
    assert [one.task_uuid for one in declared.tasks] == [task.task_uuid]
    ended = await call("TaskService/ListTasks", completed_at=period)
    assert [state(one) for one in ended.tasks] == ["TASK_STATE_CANCELLED"] * 2


async def _steps(call: Recorder, task: Any) -> None:
    await call("AnalyticsService/GetPerformanceMetrics")
    await call("AnalyticsService/GetBottleneckAnalysis")
    summary = await call("TaskService/GetTaskSummary", task_uuid=task.task_uuid)
    assert {one.name for one in summary.steps if one.error.status_code == 503} == {"lost"}
    steps = {one.name: one for one in (await call("StepService/ListSteps", task_uuid=task.task_uuid)).steps}
    one = {"task_uuid": task.task_uuid, "step_uuid": steps["lost"].step_uuid}
    await call("StepService/GetStep", **one)
    await call("StepService/GetStepAudit", task_uuid=task.task_uuid, step_uuid=steps["opening"].step_uuid)
    done = await call("StepService/ResolveStep", **one, action_type="STEP_MANUAL_ACTION_TYPE_COMPLETE_MANUALLY",
        performed_by="eve", reason="sung by the prompter", result={"sung": True}, metadata={"row": 1},
        seen_state="STEP_STATE_ERROR", seen_attempt=1, act_id="01987654-0000-7000-8000-000000000005")  # fmt: skip
    assert state(done.step) == "STEP_STATE_COMPLETE" and dict(done.step.results) == {"sung": True}
    audit = await call("StepService/GetStepAudit", **one)
    assert [record.success for record in audit.audit_records] == [False, True]


async def _dlq(call: Recorder, task: Any) -> None:
    words = ["MANUALLY_RESOLVED", "PERMANENTLY_FAILED", "CANCELLED"]
    for word in words:
        made = await call.operation("add_dlq_entry", task_uuid=task.task_uuid, notes="look", actor="bob")
        await call("DlqService/UpdateInvestigation", dlq_entry_uuid=made["dlq_entry_uuid"],
            resolution_status=f"DLQ_RESOLUTION_STATUS_{word}", resolution_notes="seen", resolved_by="eve",
            metadata={"row": 1}, assigned_to="eve")  # fmt: skip
    await call.operation("add_dlq_entry", task_uuid=task.task_uuid, notes="look", actor="bob")
    found = await call("DlqService/ListEntries", resolution_status="DLQ_RESOLUTION_STATUS_PERMANENTLY_FAILED", limit=5,
        offset=0, namespace="scene", assigned_to="eve")  # fmt: skip
    assert [entry.resolved_by for entry in found.entries] == ["eve (by ann)"]
    assert (await call("DlqService/GetEntryByTask", task_uuid=task.task_uuid)).entry.resolution_status == 1
    stats = (await call("DlqService/GetStats")).stats
    counts = [(one.pending, one.manually_resolved, one.permanent_failures, one.cancelled) for one in stats]
    assert [sum(column) for column in zip(*counts, strict=True)] == [1, 1, 1, 1]
    assert len((await call("DlqService/GetInvestigationQueue", limit=5)).entries) == 1
    assert [one.task_uuid for one in (await call("DlqService/GetStalenessMonitoring", limit=5)).entries] == [
        task.task_uuid
    ]
    await call("TaskService/GetTaskSummary", task_uuid=task.task_uuid)


async def _templates_and_system(call: Recorder) -> None:
    one = {"namespace": "scene", "name": "play", "version": "1.0.0"}
    listed = await call("TemplateService/ListTemplates", namespace="scene", name="play", only_newest=True)
    assert [template.step_count for template in listed.templates] == [8]
    await call("TemplateService/GetTemplate", **one)
    await call("ConfigService/GetConfig")
    for service in ("HealthService", "WorkerHealthService"):
        for name in proto.methods(service):
            found = await call(f"{service}/{name}")
            # the step of the task that nobody serves lies in its lane until a sweep looks, though it is cancelled
            assert found.status == "healthy" or "no living worker has" in str(found), found
    await call("WorkerConfigService/GetConfig")
    await call("WorkerTemplateService/ListTemplates", namespace="scene", include_cache_stats=True)
    await call("WorkerTemplateService/GetTemplate", **one)
    await call("OperationService/ListOperations")
    told = await call("OperationService/Call", operation="list_tasks", given_json=b'{"per_page": 1}')
    assert told.answer_json.startswith(b"{")


async def _watching(call: Recorder, task: Any) -> None:
    heard = asyncio.create_task(
        call.watch("TaskService/StreamTaskStatus", task_uuid=task.task_uuid, include_steps=True, cursor="1")
    )
    released.set()
    await until(lambda: "update_type" in call.seen["TaskStatusUpdate"], "the stream has begun", within_s=60)
    steps = {one.name: one for one in (await call("StepService/ListSteps", task_uuid=task.task_uuid)).steps}
    await call("StepService/ResolveStep", task_uuid=task.task_uuid, step_uuid=steps["again"].step_uuid,
        action_type="STEP_MANUAL_ACTION_TYPE_RESOLVE_MANUALLY", performed_by="eve", reason="enough")  # fmt: skip
    last = (await heard)[-1]
    assert last.is_last and last.update_type == last.UPDATE_TYPE_TASK_COMPLETE
    ended = await call.watch("OperationService/Watch", operation="watch_task", given={"task_uuid": task.task_uuid})
    assert ended[-1].answer.struct_value["task_state"] == "complete"
    await call("TaskService/GetTaskSummary", task_uuid=task.task_uuid)
    assert (await call("TaskService/GetTask", task_uuid=task.task_uuid)).task.completed_at.seconds


async def _analytics(call: Recorder) -> None:
    doomed = (await call("TaskService/CreateTask", name="doomed", namespace="scene")).task
    ended = (await call("TaskService/GetTask", task_uuid=doomed.task_uuid, wait_s=60)).task
    assert state(ended) == "TASK_STATE_ERROR"
    now = datetime.now(UTC)
    which = {"namespace": "scene", "name": "doomed", "version": "1.0.0"}
    await call("AnalyticsService/GetPerformanceMetrics", hours=1)
    await call("AnalyticsService/GetPerformanceMetrics", since=now - timedelta(hours=1), until=now, **which)
    await call("AnalyticsService/GetBottleneckAnalysis", hours=1, min_executions=1)
    found = await call("AnalyticsService/GetBottleneckAnalysis", limit=5, min_executions=1,
        since=now - timedelta(hours=1), until=now, **which)  # fmt: skip
    assert {one.step_name for one in found.slow_steps} == {"lost", "again"}
    assert {one.step for one in found.errors} == {"lost", "again"}
