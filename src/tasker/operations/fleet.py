"""Handlers, and where they are served. (`workers` has the processes, `queues` what lies waiting.)"""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from tasker.model import fleet
from tasker.operations.fields import Name
from tasker.operations.registry import Access, Answer, Given, Scope, operation
from tasker.store import lists
from tasker.store.connection import Connection

_READY_MAX = 10_000
_HANDLERS_MAX = 10_000


class ListHandlers(Given):
    """Which handlers."""

    namespace: Name | None = None


class HandlerWorker(Answer):
    """A worker process that has a handler."""

    session_uuid: UUID
    name: str
    host: str
    pid: int


class HandlerInfo(Answer):
    """A handler that published templates need, or living workers have, in one queue."""

    namespace: str
    queue: str
    handler: str
    workers: int = Field(description="Living workers that serve it; with 0 its steps wait.")
    ready_steps: int = Field(description=f"Steps that wait for a worker, at most {_READY_MAX}.")
    oldest_s: float | None = Field(description="How long the oldest of them has been waiting.")
    templates: list[str] = Field(description="Those whose newest version needs it, as name@version; at most 50.")
    template_count: int = Field(description="How many those are.")
    served_by: list[HandlerWorker] = Field(description="Workers that have it; at most 50.")


class HandlerList(Answer):
    """Handlers, by namespace, queue and name."""

    handlers: list[HandlerInfo]


@operation("system:handlers_read", Scope.ACROSS)
async def list_handlers(access: Access, given: ListHandlers) -> HandlerList:
    """List the handlers that templates need, who serves them, and what waits for them"""
    reads, schema, shown = access.engine.reads, access.engine.settings.schema_name, access.confined_to(given.namespace)

    async def read(connection: Connection) -> tuple[list[fleet.HandlerInfo], list[fleet.ChannelInfo]]:
        found = await lists.list_handlers(connection, namespaces=shown, limit=_HANDLERS_MAX, schema=schema)
        return found, await reads.channels(connection, count_max=_READY_MAX)

    found, channels = await access.engine.ask(read)
    waiting_s = {(one.namespace, one.queue, one.handler): one.oldest_s for one in channels}
    return HandlerList(
        handlers=[_handler(one, waiting_s.get((one.namespace, one.queue, one.handler))) for one in found]
    )


def _handler(one: fleet.HandlerInfo, oldest_s: float | None) -> HandlerInfo:
    return HandlerInfo(
        namespace=one.namespace,
        queue=one.queue,
        handler=one.handler,
        workers=one.sessions,
        ready_steps=one.ready,
        oldest_s=oldest_s,
        templates=list(one.templates),
        template_count=one.template_count,
        served_by=[HandlerWorker.model_validate(worker) for worker in one.workers],
    )
