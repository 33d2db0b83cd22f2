"""How far the batches of a task have come."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from tasker.model.task import BatchProgress
from tasker.operations.registry import Access, Answer, Scope, operation
from tasker.operations.steps import OfTask
from tasker.store.connection import Connection


class BatchInfo(Answer):
    """A step that runs many times. Its `total` members are waiting, running, succeeded or failed."""

    name: str
    number: int
    state: str
    failure_strategy: str
    parallelism: int
    total: int
    waiting: int
    running: int = Field(description="Members that a worker holds.")
    succeeded: int
    failed: int
    items: int = Field(description="Rows that the members work on; 0 where that is not known.")
    items_done: int
    items_per_s: float | None
    share: float = Field(description="The share that is done, from 0 to 1.")
    started_at: datetime
    finished_at: datetime | None
    ends_at: datetime | None = Field(description="When it will be done if it goes on like this.")


@operation("tasks:read", Scope.TASK)
async def list_batches(access: Access, given: OfTask) -> list[BatchInfo]:
    """Show how far the batches of a task have come; those that have begun"""
    reads = access.engine.reads

    async def read(connection: Connection) -> list[BatchProgress]:
        found = await reads.batches(connection, given.task_uuid)
        if not found:
            await reads.task_view(connection, given.task_uuid)  # a wrong id is no task without batches
        return found

    return [BatchInfo.model_validate(one) for one in await access.engine.ask(read)]
