"""From rows of the reads to the records of the model. A row is one of the driver's, or JSON that the database made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import orjson

from tasker.model.fleet import ChannelInfo, SessionInfo, Stats, TemplateDefinition, TemplateInfo
from tasker.model.states import StepState, TaskState
from tasker.model.task import (
    NOT_TAKEN,
    BatchProgress,
    ExecutionContext,
    Holder,
    Readiness,
    StepTiming,
    StepView,
    TaskInfo,
    TaskSummary,
    TaskView,
    Transition,
)

Row = Mapping[str, Any]


def when(value: Any) -> datetime | None:
    """A time, as the driver or as JSON gives it."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def moment(value: Any) -> datetime:
    """A time that is always there."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def uid(value: Any) -> UUID:
    """An id, as the driver or as JSON gives it."""
    return UUID(value) if isinstance(value, str) else value


def maybe_uid(value: Any) -> UUID | None:
    """An id that may be absent."""
    return UUID(value) if isinstance(value, str) else value


def task_info(row: Row, context: Mapping[str, Any] | None = None) -> TaskInfo:
    """A row of `read_tasks` or `list_tasks`."""
    return TaskInfo(
        task_uuid=uid(row["task_id"]),
        namespace=row["namespace"],
        name=row["name"],
        version=row["version"],
        status=TaskState(row["state"]),
        is_paused=row["is_paused"],
        priority=row["priority"],
        initiator=row["initiator"],
        source_system=row["source_system"],
        reason=row["reason"],
        tags=tuple(row["tags"] or ()),
        correlation_id=maybe_uid(row["correlation_id"]),
        parent_correlation_id=maybe_uid(row["parent_correlation_id"]),
        idempotency_key=row["idempotency_key"],
        context=context,
        step_count=row["step_count"],
        open_steps=row["open"],
        live_steps=row["live"],
        due_steps=row["due"],
        failed_steps=row["failed"],
        created_at=moment(row["created_at"]),
        start_at=moment(row["start_at"]),
        started_at=when(row.get("started_at")),
        finished_at=when(row["finished_at"]),
        paused_at=when(row["paused_at"]),
    )


def step_view(row: Row, holder: Row | None, result: Any, error: Row | None) -> StepView:
    """A row of `read_steps`, its JSON parsed."""
    is_not_taken = row["state"] == NOT_TAKEN
    return StepView(
        task_uuid=uid(row["task_id"]),
        number=row["number"],
        name=row["name"],
        handler=row["handler"],
        queue=row["queue"],
        state=StepState.PENDING if is_not_taken else StepState(row["state"]),
        attempt=row["attempt"],
        tries=row["tries"],
        losses=row["losses"],
        max_attempts=row["max_attempts"],
        is_retryable=row["is_retryable"],
        timeout_s=row["timeout_s"],
        dependencies=tuple(row["dependencies"]),
        waiting_for=tuple(row["waiting_for"]),
        is_suspect=row["is_suspect"],
        is_not_taken=is_not_taken,
        granted_at=when(row["granted_at"]),
        started_at=when(row["started_at"]),
        finished_at=when(row["finished_at"]),
        next_retry_at=when(row["next_retry_at"]),
        holder=_holder(holder) if holder else None,
        result=result,
        error=error,
    )


def _holder(row: Row) -> Holder:
    return Holder(session_uuid=uid(row["session_uuid"]), name=row["name"], host=row["host"], pid=row["pid"])


def parsed(text: str | None) -> Any:
    """A JSON column of the driver's."""
    return None if text is None else orjson.loads(text)


def step_of_record(row: Row) -> StepView:
    """A row of `read_steps` as the driver gives it."""
    return step_view(row, parsed(row["holder"]), parsed(row["result"]), parsed(row["error"]))


def task_view(task_json: str, steps_json: str) -> TaskView:
    """A row of `task_views`."""
    task = orjson.loads(task_json)
    rows = cast("list[dict[str, Any]]", orjson.loads(steps_json))
    steps = tuple(step_view(row, row["holder"], row["result"], row["error"]) for row in rows)
    return TaskView(
        task=task_info(task, task["context"]),
        steps=steps,
        results={step.name: step.result for step in steps if step.state is StepState.COMPLETE},
        errors={step.name: step.error or {} for step in steps if step.state is StepState.ERROR},
    )


def transition(row: Row) -> Transition:
    """A row of `read_history`."""
    return Transition(
        task_uuid=row["task_id"],
        number=row["number"],
        name=row["name"],
        seq=row["seq"],
        from_state=row["from_state"],
        to_state=row["to_state"],
        attempt=row["attempt"],
        at=row["at"],
        worker=row["worker"],
        detail=parsed(row["detail"]),
    )


def batch_progress(row: Row) -> BatchProgress:
    """A row of `read_batches`."""
    plain = ("name", "number", "failure_strategy", "parallelism", "total", "waiting", "running", "succeeded", "failed")
    return BatchProgress(
        **{name: row[name] for name in plain},
        state=StepState(row["state"]),
        items=row["items"],
        items_done=row["items_done"],
        items_per_s=row["items_per_s"],
        started_at=moment(row["started_at"]),
        finished_at=when(row["finished_at"]),
        ends_at=when(row["ends_at"]),
    )


def readiness(row: Row) -> Readiness:
    """A row of `read_readiness`."""
    return Readiness(
        task_uuid=uid(row["task_id"]),
        number=row["number"],
        name=row["name"],
        state=StepState(row["state"]),
        dependencies_satisfied=row["dependencies_satisfied"],
        retry_eligible=row["retry_eligible"],
        ready_for_execution=row["ready_for_execution"],
        last_failure_at=when(row["last_failure_at"]),
        next_retry_at=when(row["next_retry_at"]),
        total_parents=row["total_parents"],
        completed_parents=row["completed_parents"],
        tries=row["tries"],
        max_attempts=row["max_attempts"],
        backoff_s=row["backoff_s"],
        last_attempted_at=when(row["last_attempted_at"]),
        why=row["why"],
    )


def execution_context(row: Row) -> ExecutionContext:
    """A row of `read_contexts`."""
    known = dict(row)
    return ExecutionContext(task_uuid=uid(known.pop("task_id")), state=TaskState(known.pop("state")), **known)


def step_timing(row: Row) -> StepTiming:
    """A row of `read_timings`."""
    return StepTiming(
        name=row["name"],
        number=row["number"],
        state=StepState(row["state"]),
        tries=row["tries"],
        ready_at=when(row["ready_at"]),
        first_granted_at=when(row["first_granted_at"]),
        ended_at=when(row["ended_at"]),
        queue_s=row["queue_s"],
        run_s=row["run_s"],
        retry_s=row["retry_s"],
        critical_place=row["critical_place"],
    )


def task_summary(row: Row) -> TaskSummary:
    """A row of `read_summaries`."""
    task = parsed(row["task"])
    return TaskSummary(
        task=task_info(task, task["context"]),
        context=execution_context(parsed(row["context"])),
        timings=tuple(step_timing(timing) for timing in parsed(row["timings"])),
        wait_s=row["wait_s"],
        elapsed_s=row["elapsed_s"],
        run_s=row["run_s"],
    )


def template_info(row: Row) -> TemplateInfo:
    """A row of `list_templates`."""
    return TemplateInfo(**dict(row))


def template_definition(row: Row) -> TemplateDefinition:
    """A row of `read_template`."""
    return TemplateDefinition(
        template_id=row["template_id"],
        revision=row["revision"],
        published_at=row["published_at"],
        definition=parsed(row["definition"]),
    )


def session_info(row: Row) -> SessionInfo:
    """A row of `list_sessions`."""
    known = dict(row)
    handlers, queues = (tuple(known.pop(column) or ()) for column in ("handlers", "queues"))
    return SessionInfo(handlers=handlers, queues=queues, **known)


def stats(row: Row) -> Stats:
    """The row of `read_stats`."""
    channels = tuple(ChannelInfo(**channel) for channel in parsed(row["channels"]))
    return Stats(
        tasks=parsed(row["tasks"]),
        channels=channels,
        due=row["due"],
        sessions=row["sessions"],
        idle_sessions=row["idle_sessions"],
    )
