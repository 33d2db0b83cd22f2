"""Worker processes: what is known of them, and what operators want of them.

A worker serves many namespaces, so looking at workers and acting on them is for callers of all.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid4

from pydantic import Field

from tasker.model.fleet import WorkerAction
from tasker.operations.fields import Name
from tasker.operations.registry import Access, Answer, Given, Scope, operation
from tasker.store.fleet import Fleet

_DAY_S = 86_400


class ListWorkers(Given):
    """Which worker processes."""

    ended_within_s: Annotated[float, Field(ge=0, le=30 * _DAY_S, allow_inf_nan=False)] = Field(
        0, description="Those too that ended within so many seconds."
    )
    limit: int = Field(1000, ge=1, le=1000)


class WorkerInfo(Answer):
    """A worker process."""

    session_uuid: UUID
    name: str
    host: str
    pid: int
    version: str = Field(description='Of Tasker, or of the SDK; "" where it said none.')
    transport: str = Field(description="direct, or gateway: it works through a server.")
    state: str = Field(description="running, paused, draining or ended.")
    namespaces: list[str] = Field(description="Of which it serves steps.")
    queues: list[str]
    handlers: list[str] = Field(description="As it announced them.")
    handler_versions: dict[str, str] = Field(description="Of those that have one.")
    held: int = Field(description="Steps that it runs now.")
    is_idle: bool
    stale_outcomes: int = Field(description="Outcomes that came after the step was somebody else's.")
    started_at: datetime
    beat_at: datetime
    silent_s: float = Field(description="Since its last beat; past `lease_s` it is ended.")
    lease_s: float
    wanted_by: str | None = Field(description="Who paused, drained or resumed it last.")
    wanted_reason: str | None
    wanted_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None
    is_loss: bool


class WorkerList(Answer):
    """Workers, newest first."""

    workers: list[WorkerInfo]


@operation("system:handlers_read", Scope.WHOLE)
async def list_workers(access: Access, given: ListWorkers) -> WorkerList:
    """List the worker processes that live"""
    fleet = Fleet(access.engine.settings.schema_name)
    found = await access.engine.ask(
        lambda on: fleet.workers(on, ended_within_s=given.ended_within_s, limit=given.limit)
    )
    return WorkerList(workers=[WorkerInfo.model_validate(one) for one in found])


class ActOnWorker(Given):
    """A worker, and what an operator says of an act."""

    session_uuid: UUID
    reason: str | None = Field(None, max_length=10_000)
    actor: Name | None = None
    act_id: UUID | None = Field(None, description="The same again: it is done once.")


class WorkerActed(Answer):
    """What was done to a worker, and how it is then."""

    action: str
    session_uuid: UUID
    name: str
    state: str = Field(description="running, paused or draining.")


@operation("workers:act", Scope.WHOLE)
async def pause_worker(access: Access, given: ActOnWorker) -> WorkerActed:
    """Pause a worker: it finishes what it has, and is handed nothing further"""
    return await _act(access, "pause", given)


@operation("workers:act", Scope.WHOLE)
async def drain_worker(access: Access, given: ActOnWorker) -> WorkerActed:
    """Drain a worker: it finishes what it has, and ends"""
    return await _act(access, "drain", given)


@operation("workers:act", Scope.WHOLE)
async def resume_worker(access: Access, given: ActOnWorker) -> WorkerActed:
    """Let a paused worker go on"""
    return await _act(access, "resume", given)


async def _act(access: Access, action: WorkerAction, given: ActOnWorker) -> WorkerActed:
    fleet, actor, act_id = Fleet(access.engine.settings.schema_name), access.actor(given.actor), given.act_id or uuid4()
    acted = await access.engine.ask(
        lambda on: fleet.act_on_worker(on, act_id, action, given.session_uuid, actor=actor, reason=given.reason)
    )
    access.engine.woken()
    return WorkerActed.model_validate(acted)
