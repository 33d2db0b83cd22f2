"""Why tasks wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from tasker import sql
from tasker.model.states import StepState, TaskState
from tasker.model.why import Condition, StepWhy, TaskWhy
from tasker.store.asking import ask
from tasker.store.connection import Connection
from tasker.store.reads import task_not_found


async def explain_tasks(
    connection: Connection, task_uuids: Sequence[UUID], *, now: datetime | None = None, schema: str = sql.DEFAULT_SCHEMA
) -> list[TaskWhy]:
    """Every condition that keeps the open steps of these tasks from going on, in the order asked; unknown tasks are
    left out."""
    rows = await ask(connection, "read_why($1::uuid[], $2)", task_uuids, now, schema=schema)
    return [_task_why(row) for row in rows]


async def explain_task(
    connection: Connection, task_uuid: UUID, *, now: datetime | None = None, schema: str = sql.DEFAULT_SCHEMA
) -> TaskWhy:
    """The same for one task. Raises TaskNotFound."""
    found = await explain_tasks(connection, [task_uuid], now=now, schema=schema)
    if not found:
        raise task_not_found(task_uuid)
    return found[0]


def _task_why(row: Mapping[str, Any]) -> TaskWhy:
    task_uuid = row["task_id"]
    return TaskWhy(
        task_uuid=task_uuid,
        state=TaskState(row["state"]),
        is_paused=row["is_paused"],
        said=row["said"],
        steps=tuple(_step_why(task_uuid, step) for step in orjson.loads(row["steps"])),
    )


def _step_why(task_uuid: UUID, step: dict[str, Any]) -> StepWhy:
    conditions = tuple(Condition(kind=one.pop("kind"), said=one.pop("said"), data=one) for one in step["conditions"])
    return StepWhy(
        task_uuid=task_uuid,
        number=step["number"],
        name=step["name"],
        state=StepState(step["state"]),
        handler=step["handler"],
        queue=step["queue"],
        conditions=conditions,
    )
