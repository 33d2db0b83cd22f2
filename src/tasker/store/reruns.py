"""Running a task again from one of its steps, as a task of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from tasker import sql
from tasker.model.jobs import Fork, RerunStep
from tasker.model.states import TaskState
from tasker.store.asking import as_json, ask
from tasker.store.connection import Connection


async def plan_rerun(
    connection: Connection, task_uuid: UUID, number: int, *, schema: str = sql.DEFAULT_SCHEMA
) -> list[RerunStep]:
    """What a rerun from the step of that number would do with each step; nothing is written.

    Raises TaskNotFound, StepNotFound, ActionForbidden.
    """
    found = await ask(connection, "plan_rerun($1, $2)", task_uuid, number, schema=schema)
    return [RerunStep(**dict(row)) for row in found]


async def rerun(
    connection: Connection,
    new_uuid: UUID,
    task_uuid: UUID,
    number: int,
    *,
    actor: str,
    reason: str | None = None,
    context: Mapping[str, Any] | None = None,
    patch: Mapping[str, Any] | None = None,
    schema: str = sql.DEFAULT_SCHEMA,
) -> UUID:
    """A new task, of the id `new_uuid` (version 7; the same again answers the same), that begins at a step of another.

    `context` is its input, that of the other task where it is None; the top-level keys of `patch` are put over it.
    Raises TaskNotFound, StepNotFound, ActionForbidden, InvalidInput, PayloadTooLarge, IdentityConflict.
    """
    call = "rerun($1, $2, $3, $4, $5, $6::jsonb, $7::jsonb)"
    arguments = (new_uuid, task_uuid, number, actor, reason, as_json(context), as_json(patch))
    (row,) = await ask(connection, call, *arguments, schema=schema)
    return row[0]


async def lineage(connection: Connection, task_uuid: UUID, *, schema: str = sql.DEFAULT_SCHEMA) -> list[Fork]:
    """Every fork of the family that a task belongs to, the oldest first; empty where it has none."""
    found = await ask(connection, "read_lineage($1)", task_uuid, schema=schema)
    return [
        Fork(
            task_uuid=row["task_id"],
            origin_uuid=row["origin_id"],
            from_step=row["from_step"],
            is_edited=row["is_edited"],
            copied=row["copied"],
            actor=row["actor"],
            reason=row["reason"],
            at=row["at"],
            state=TaskState(row["state"]),
        )
        for row in found
    ]
