"""Why a task waits."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import Field

from tasker.operations.registry import Access, Answer, Scope, operation
from tasker.operations.steps import OfTask
from tasker.store.why import explain_task


class WhyCondition(Answer):
    """One thing that keeps a step from going on, or what it is at."""

    kind: str = Field(examples=["no_worker"])
    said: str = Field(description="In words.")
    data: dict[str, Any] = Field(description="The same for programs; docs/why.md has the keys of each kind.")


class StepWhy(Answer):
    """An open step, and all that it waits for."""

    step_uuid: UUID
    number: int
    name: str
    state: str
    handler: str
    queue: str
    conditions: list[WhyCondition]


class TaskWhy(Answer):
    """Where a task stands, in a sentence, and what each of its open steps waits for."""

    task_uuid: UUID
    state: str
    is_paused: bool
    said: str
    steps: list[StepWhy]


@operation("tasks:read", Scope.TASK)
async def explain(access: Access, given: OfTask) -> TaskWhy:
    """Say why a task waits: every condition of every open step, in words and as data"""
    schema = access.engine.settings.schema_name
    found = await access.engine.ask(lambda connection: explain_task(connection, given.task_uuid, schema=schema))
    return TaskWhy.model_validate(found)
