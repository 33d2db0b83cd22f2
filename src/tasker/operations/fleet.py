"""Who works: handlers and where they are served, and worker processes."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from tasker.operations.fields import Name
from tasker.operations.registry import Access, Answer, Given, Scope, operation
from tasker.operations.templates import Nothing

_READY_MAX = 10_000


class ListHandlers(Given):
    """Which handlers."""

    namespace: Name | None = None


class HandlerInfo(Answer):
    """A handler that published templates need, in one queue."""

    namespace: str
    queue: str
    handler: str
    workers: int = Field(description="Living workers that serve it; with 0 its steps wait.")
    ready_steps: int = Field(description=f"Steps that wait for a worker, at most {_READY_MAX}.")
    oldest_s: float | None = Field(description="How long the oldest of them has been waiting.")


class HandlerList(Answer):
    """Handlers, by namespace, queue and name."""

    handlers: list[HandlerInfo]


@operation("system:handlers_read", Scope.ACROSS)
async def list_handlers(access: Access, given: ListHandlers) -> HandlerList:
    """List the handlers that templates need, who serves them, and what waits for them"""
    reads, shown = access.engine.reads, access.confined_to(given.namespace)
    channels = await access.engine.ask(lambda connection: reads.channels(connection, count_max=_READY_MAX))
    return HandlerList(
        handlers=[
            HandlerInfo(
                namespace=channel.namespace,
                queue=channel.queue,
                handler=channel.handler,
                workers=channel.sessions,
                ready_steps=channel.ready,
                oldest_s=channel.oldest_s,
            )
            for channel in sorted(channels, key=lambda one: (one.namespace, one.queue, one.handler))
            if shown is None or channel.namespace in shown
        ]
    )


class WorkerInfo(Answer):
    """A worker process that lives."""

    session_uuid: UUID
    name: str
    host: str
    pid: int
    started_at: datetime
    beat_at: datetime
    is_idle: bool
    held: int = Field(description="Steps that it runs now.")
    handlers: list[str]
    queues: list[str]


class WorkerList(Answer):
    """Living workers, newest first, at most 1000."""

    workers: list[WorkerInfo]


@operation("system:handlers_read", Scope.WHOLE)
async def list_workers(access: Access, given: Nothing) -> WorkerList:
    """List the worker processes that live"""
    reads = access.engine.reads
    found = await access.engine.ask(lambda connection: reads.sessions(connection, limit=1000))
    return WorkerList(workers=[WorkerInfo.model_validate(one) for one in found])
