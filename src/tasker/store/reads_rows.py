"""From rows of the reads to the records of the model. A row is one of the driver's, or JSON that the database made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import orjson

from tasker.model.states import StepState, TaskState
from tasker.model.task import Holder, StepView, TaskInfo, TaskView

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


def task_info(row: Row, context: Mapping[str, Any]) -> TaskInfo:
    """A row of `read_tasks`."""
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
        started_at=when(row["started_at"]),
        finished_at=when(row["finished_at"]),
        paused_at=when(row["paused_at"]),
    )


def step_view(row: Row, holder: Row | None, result: Any, error: Row | None) -> StepView:
    """A row of `read_steps`, its JSON parsed."""
    return StepView(
        task_uuid=uid(row["task_id"]),
        step_uuid=uid(row["step_uuid"]),
        number=row["number"],
        name=row["name"],
        handler=row["handler"],
        queue=row["queue"],
        state=StepState(row["state"]),
        attempt=row["attempt"],
        tries=row["tries"],
        losses=row["losses"],
        max_attempts=row["max_attempts"],
        is_retryable=row["is_retryable"],
        timeout_s=row["timeout_s"],
        dependencies=tuple(row["dependencies"]),
        waiting_for=tuple(row["waiting_for"]),
        is_suspect=row["is_suspect"],
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
