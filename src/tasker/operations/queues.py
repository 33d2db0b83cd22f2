"""Queues: what lies in them, and pausing them. A queue belongs to its namespace, and so does a pause."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid4

from pydantic import Field

from tasker.model.fleet import QueueAct, QueueAction
from tasker.operations.fields import Name
from tasker.operations.registry import Access, Answer, Given, Scope, operation
from tasker.store.fleet import Fleet

Duration = Annotated[float, Field(ge=0.001, le=31_536_000, allow_inf_nan=False)]


class ListQueues(Given):
    """Which queues."""

    namespace: Name | None = None


class QueuePause(Answer):
    """A pause that holds some of a queue."""

    queue: str | None = Field(description="Null: every queue of the namespace.")
    handler: str | None = Field(description="Null: every handler.")
    actor: str
    reason: str | None
    since: datetime
    until: datetime | None = Field(description="Null: until somebody resumes it.")
    said: str = Field(description="All of it in a sentence.")


class QueueInfo(Answer):
    """A queue of a namespace."""

    namespace: str
    queue: str
    handlers: list[str]
    ready: int = Field(description="Steps that wait for a worker, up to 10,000.")
    oldest_s: float | None = Field(description="How old the task of the oldest of them is.")
    workers: int = Field(description="Living ones that serve it and take work.")
    paused: str | None = Field(description="Why nothing of it is handed out; null: it is not paused as a whole.")
    pauses: list[QueuePause] = Field(description="All that hold it, or some of its handlers.")


class QueueList(Answer):
    """Queues, by namespace and name."""

    queues: list[QueueInfo]


@operation("queues:read", Scope.ACROSS)
async def list_queues(access: Access, given: ListQueues) -> QueueList:
    """List queues, what waits in them, and what is paused"""
    fleet, shown = Fleet(access.engine.settings.schema_name), access.confined_to(given.namespace)
    found = await access.engine.ask(lambda connection: fleet.queues(connection, namespaces=shown))
    return QueueList(queues=[QueueInfo.model_validate(one) for one in found])


class ListPauses(ListQueues):
    """Whose pauses, and how many."""

    limit: int = Field(100, ge=1, le=500)


class PauseRecord(Answer):
    """A pause of queues, in force or over."""

    namespace: str
    queue: str | None
    handler: str | None
    actor: str
    reason: str | None
    since: datetime
    until: datetime | None
    ended_at: datetime | None = Field(description="Null: it is in force.")
    ended_by: str | None = Field(description="tasker: its time was over.")
    end_reason: str | None
    said: str


class PauseList(Answer):
    """Pauses, newest first."""

    pauses: list[PauseRecord]


@operation("queues:read", Scope.ACROSS)
async def list_pauses(access: Access, given: ListPauses) -> PauseList:
    """List who paused which queues, when and why"""
    fleet, shown = Fleet(access.engine.settings.schema_name), access.confined_to(given.namespace)
    found = await access.engine.ask(lambda on: fleet.pauses(on, namespaces=shown, limit=given.limit))
    return PauseList(pauses=[PauseRecord.model_validate(one) for one in found])


class ResumeQueue(Given):
    """Which queues of a namespace, and what an operator says of it. A resume is in the words of the pause."""

    namespace: Name
    queue: Name | None = Field(None, description="Null: every queue of the namespace.")
    handler: Name | None = Field(None, description="Null: every handler.")
    reason: str | None = Field(None, max_length=10_000)
    actor: Name | None = None
    act_id: UUID | None = Field(None, description="The same again: it is done once.")


class PauseQueue(ResumeQueue):
    """The same, and for how long."""

    for_s: Duration | None = Field(None, description="So many seconds; null: until somebody resumes it.")


class QueueActed(Answer):
    """What was done to queues."""

    action: str
    namespace: str
    queue: str | None
    handler: str | None
    since: datetime
    until: datetime | None
    is_paused: bool = Field(description="Whether something holds them now, or some of them.")


@operation("queues:act", Scope.NAMESPACE)
async def pause_queue(access: Access, given: PauseQueue) -> QueueActed:
    """Pause queues: steps that run go on, and nothing further is handed out"""
    return await _act(access, "pause", given, given.for_s)


@operation("queues:act", Scope.NAMESPACE)
async def resume_queue(access: Access, given: ResumeQueue) -> QueueActed:
    """Resume paused queues; workers go on at once"""
    return await _act(access, "resume", given, None)


async def _act(access: Access, action: QueueAction, given: ResumeQueue, for_s: float | None) -> QueueActed:
    act = QueueAct(
        act_id=given.act_id or uuid4(),
        action=action,
        namespace=given.namespace,
        queue=given.queue,
        handler=given.handler,
        for_s=for_s,
        actor=access.actor(given.actor),
        reason=given.reason,
    )
    fleet = Fleet(access.engine.settings.schema_name)
    acted = await access.engine.ask(lambda connection: fleet.act_on_queue(connection, act))
    access.engine.woken()
    return QueueActed.model_validate(acted)
