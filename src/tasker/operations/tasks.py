"""Tasks: create, look at, end, hold and let go."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

from pydantic import Field

from tasker.model.errors import InvalidInput
from tasker.model.ids import uuid7
from tasker.operations.creation import check_limits
from tasker.operations.fields import Moment, Name, Seconds, TaskUuid
from tasker.operations.registry import Access, Answer, Given, Scope, operation
from tasker.operations.views import TaskResponse, task_of_overview
from tasker.store.overviews import TaskOverview, task_overview
from tasker.submission import TaskRequest


class TaskFields(Given):
    """What a task is created with, beside its template."""

    context: dict[str, Any] = Field(
        default={}, description="The task's input, a JSON object.", examples=[{"order": 17}]
    )
    initiator: str | None = Field(None, max_length=255, description="Who asks for it; the caller where it is not said.")
    source_system: str | None = Field(None, max_length=255)
    reason: str | None = Field(None, max_length=10_000)
    tags: list[Name] = Field(default=[], max_length=100)
    priority: int = Field(
        0, ge=-100, le=100, description="-2 to 2 are five classes; what lies beyond counts like them."
    )
    correlation_id: UUID | None = Field(None, description="Made where it is not given.")
    parent_correlation_id: UUID | None = None
    idempotency_key: str | None = Field(None, min_length=1, max_length=255, description="The same key, the same task.")
    key_ttl_s: float | None = Field(None, gt=0, le=315_360_000, description="After how many seconds the key is free.")
    start_at: Moment | None = Field(None, description="It begins then, and not before.")
    delay_s: float | None = Field(None, ge=0, le=315_360_000, description="It begins after so many seconds.")
    task_uuid: UUID | None = Field(None, description="A UUID of version 7 made now, so that a request can be repeated.")

    def request(self, caller: str) -> TaskRequest:
        """As the engine takes it."""
        return TaskRequest(
            context=self.context,
            task_uuid=self.task_uuid,
            idempotency_key=self.idempotency_key,
            key_ttl_s=self.key_ttl_s,
            priority=self.priority,
            start_at=self.start_at,
            delay_s=self.delay_s,
            initiator=self.initiator or caller,
            source_system=self.source_system,
            reason=self.reason,
            tags=self.tags or None,
            correlation_id=self.correlation_id or uuid4(),
            parent_correlation_id=self.parent_correlation_id,
        )


class CreateTask(TaskFields):
    """A task to be created."""

    name: Name = Field(description="The template's.", examples=["process_order"])
    namespace: Name = Field("default", examples=["ecommerce"])
    version: Name | None = Field(None, description="The template's; the newest where it is not given.")
    requested_at: str | None = Field(
        None, max_length=64, description="Older clients send it; the server's clock counts."
    )
    options: None = Field(None, description="Older clients send null.")


@operation("tasks:create", Scope.NAMESPACE)
async def create_task(access: Access, given: CreateTask) -> TaskResponse:
    """Create a task

    A repeat with the same key, identity or task_uuid and the same content answers the task that exists, with
    `is_duplicate`; with other content it is a conflict that names that task.
    """
    engine = access.engine
    await check_limits(access, given.namespace, 1)
    request = given.request(access.principal.subject)
    answers = await engine.submit_many(given.name, [request], namespace=given.namespace, version=given.version)
    found = await _overview(access, answers[0].task_uuid)
    return task_of_overview(found, shows_context=access.shows_context, is_duplicate=answers[0].is_duplicate)


class CreateTasks(Given):
    """Tasks of one template to be created together."""

    name: Name = Field(description="The template's.", examples=["process_order"])
    namespace: Name = Field("default", examples=["ecommerce"])
    version: Name | None = None
    tasks: list[TaskFields] = Field(min_length=1, examples=[[{"context": {"order": 17}}, {"context": {"order": 18}}]])


class CreatedTask(Answer):
    """A task that exists now."""

    task_uuid: UUID
    is_duplicate: bool


class CreatedTasks(Answer):
    """In the order of the request."""

    tasks: list[CreatedTask]
    created: int
    duplicates: int


@operation("tasks:create", Scope.NAMESPACE)
async def create_tasks(access: Access, given: CreateTasks) -> CreatedTasks:
    """Create many tasks of one template: all, or none if one is refused"""
    engine, count = access.engine, len(given.tasks)
    if count > engine.settings.submit_batch_max:
        raise InvalidInput(f"tasks: one request creates at most {engine.settings.submit_batch_max}, not {count}")
    await check_limits(access, given.namespace, count)
    requests = [task.request(access.principal.subject) for task in given.tasks]
    answers = await engine.submit_many(given.name, requests, namespace=given.namespace, version=given.version)
    duplicates = sum(answer.is_duplicate for answer in answers)
    tasks = [CreatedTask.model_validate(answer) for answer in answers]
    return CreatedTasks(tasks=tasks, created=count - duplicates, duplicates=duplicates)


class GetTask(Given):
    """A task to be looked at."""

    task_uuid: TaskUuid
    wait: Seconds | None = Field(None, description="Answer when it has ended, or after so long: 30s, 500ms, 1m.")


@operation("tasks:read", Scope.TASK)
async def get_task(access: Access, given: GetTask) -> TaskResponse:
    """Show a task, its figures, and what each step waits for; with `wait`, once it has ended"""
    found = await _overview(access, given.task_uuid)
    if given.wait and not found.task.status.is_terminal:
        await _ended(access, given.task_uuid, given.wait)
        found = await _overview(access, given.task_uuid)
    return task_of_overview(found, shows_context=access.shows_context)


class ChangeTask(Given):
    """What is done to a task, and why."""

    task_uuid: TaskUuid
    reason: str | None = Field(None, max_length=10_000, description="Kept in the history.")
    actor: Name | None = Field(None, description="Who; the caller where it is not said.")
    seen_state: Name | None = Field(None, description="Only if the task is in this state.")
    act_id: UUID | None = Field(None, description="The same id again does nothing again, and answers the same.")


@operation("tasks:cancel", Scope.TASK)
async def cancel_task(access: Access, given: ChangeTask) -> TaskResponse:
    """End a task: what has not run will not, what runs is told to stop"""
    return await _change(access, "cancel", given)


@operation("tasks:cancel", Scope.TASK)
async def pause_task(access: Access, given: ChangeTask) -> TaskResponse:
    """Hand out no further steps of a task until it is resumed"""
    return await _change(access, "pause", given)


@operation("tasks:cancel", Scope.TASK)
async def resume_task(access: Access, given: ChangeTask) -> TaskResponse:
    """Let a paused task go on"""
    return await _change(access, "resume", given)


async def _change(access: Access, action: str, given: ChangeTask) -> TaskResponse:
    engine, act_id = access.engine, given.act_id or uuid7()
    await engine.ask(
        lambda connection: engine.verbs.act(
            connection,
            act_id,
            action,
            given.task_uuid,
            seen_state=given.seen_state,
            actor=access.actor(given.actor),
            reason=given.reason,
        )
    )
    engine.woken()
    return task_of_overview(await _overview(access, given.task_uuid), shows_context=access.shows_context)


async def _overview(access: Access, task_uuid: UUID) -> TaskOverview:
    schema = access.engine.settings.schema_name
    return await access.engine.ask(lambda connection: task_overview(connection, task_uuid, schema=schema))


async def _ended(access: Access, task_uuid: UUID, wait_s: float) -> None:
    """Returns when the task has ended, or after that time."""
    try:
        async with asyncio.timeout(min(wait_s, access.engine.settings.wait_s_max)):
            await access.engine.ended(task_uuid)
    except TimeoutError:
        return
