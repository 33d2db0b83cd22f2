"""Running a task again from one of its steps, as a fork that keeps its lineage."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from tasker.model.ids import uuid7
from tasker.model.jobs import RerunStep
from tasker.operations.creation import check_limits
from tasker.operations.fields import Name, TaskUuid
from tasker.operations.registry import Access, Answer, Given, Scope, operation
from tasker.operations.steps import OfTask
from tasker.store import reruns as store
from tasker.store.connection import Connection


class Rerun(Given):
    """From which step on, and with which input: the task's own, unless `context` or `patch` say otherwise."""

    task_uuid: TaskUuid
    from_step: Name = Field(description="The step that runs again, with all below it.", examples=["charge_card"])
    context: dict[str, Any] | None = Field(None, description="The new task's input.")
    patch: dict[str, Any] | None = Field(None, description="Top-level keys to be put over the input.")
    reason: str | None = Field(None, max_length=10_000)
    actor: Name | None = None
    new_task_uuid: UUID | None = Field(None, description="A UUID of version 7 made now: the same again, the same task.")
    dry_run: bool = Field(default=False, description="Say what would be done with each step, and do nothing.")


class PlannedStep(Answer):
    """What a rerun does with a step."""

    number: int
    name: str
    what: str = Field(description="again, copied, run, not_taken or undecided.")
    state: str = Field(description="In the task that is rerun.")
    result_bytes: int | None


class RerunPlan(Answer):
    """The new task (null: it is a dry run), and what it does with each step."""

    task_uuid: UUID | None
    origin_uuid: UUID
    steps: list[PlannedStep]


@operation("tasks:create", Scope.TASK)
async def rerun_task(access: Access, given: Rerun) -> RerunPlan:
    """Run a task again from one of its steps, as a task of its own; or, dry, say what that would do"""
    engine, schema = access.engine, access.engine.settings.schema_name
    new_uuid = given.new_task_uuid or uuid7()

    async def plan(connection: Connection) -> tuple[str, int, list[RerunStep]]:
        view = await engine.reads.task_view(connection, given.task_uuid)
        number = view.step(given.from_step).number
        return view.task.namespace, number, await store.plan_rerun(connection, given.task_uuid, number, schema=schema)

    async def run(connection: Connection) -> UUID:
        return await store.rerun(
            connection,
            new_uuid,
            given.task_uuid,
            number,
            actor=access.actor(given.actor),
            reason=given.reason,
            context=given.context,
            patch=given.patch,
            schema=schema,
        )

    namespace, number, planned = await engine.ask(plan)
    made: UUID | None = None
    if not given.dry_run:
        await check_limits(access, namespace, 1)
        made = await engine.ask(run)
        engine.woken()
    steps = [PlannedStep.model_validate(step) for step in planned]
    return RerunPlan(task_uuid=made, origin_uuid=given.task_uuid, steps=steps)


class ForkInfo(Answer):
    """A task that began at a step of another one."""

    task_uuid: UUID
    origin_uuid: UUID
    from_step: str
    is_edited: bool = Field(description="Its input is not the origin's.")
    copied: int = Field(description="Steps that came with their results.")
    actor: str
    reason: str | None
    at: datetime
    state: str


@operation("tasks:read", Scope.TASK)
async def get_lineage(access: Access, given: OfTask) -> list[ForkInfo]:
    """List the reruns of the family that a task belongs to, the oldest first"""
    schema = access.engine.settings.schema_name

    async def read(connection: Connection) -> list[ForkInfo]:
        await access.engine.reads.task_view(connection, given.task_uuid)
        return [ForkInfo.model_validate(one) for one in await store.lineage(connection, given.task_uuid, schema=schema)]

    return await access.engine.ask(read)
