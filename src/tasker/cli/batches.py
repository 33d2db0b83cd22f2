"""`tasker task batches`: how far the batches of a task have come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING
from uuid import UUID

from tasker.cli import exits
from tasker.cli.common import TaskId, Where
from tasker.cli.database import Database
from tasker.cli.either import on_either, record
from tasker.cli.show import print_json, print_table, time
from tasker.model.states import StepState
from tasker.model.task import BatchProgress

if TYPE_CHECKING:
    from tasker.client import AsyncTaskerClient

Read = Callable[[UUID], Awaitable[list[BatchProgress]]]


def batches(task: TaskId, /, *, common: Where = Where()) -> int:  # noqa: B008
    """Shows how far the batches of a task have come."""

    async def work(read: Read) -> list[BatchProgress]:
        return await read(task)

    found = on_either(common, _of_database, _of_server, work)
    if common.json:
        print_json({"task_uuid": task, "batches": [{**asdict(each), "share": each.share} for each in found]})
        return exits.OK
    head = ("batch", "state", "done", "waiting", "running", "succeeded", "failed", "rows", "rows/s", "ends")
    print_table(head, [_row(each) for each in found], empty="no batch of this task has begun")
    return exits.OK


def _of_database(database: Database) -> Read:
    async def read(task: UUID) -> list[BatchProgress]:
        await database.reads.task_view(database.connection, task)  # a wrong id is an error, not a task without batches
        return await database.reads.batches(database.connection, task)

    return read


def _of_server(client: AsyncTaskerClient) -> Read:
    async def read(task: UUID) -> list[BatchProgress]:
        return [record(BatchProgress, one, state=StepState(one.state)) for one in await client.list_batches(task)]

    return read


def _row(batch: BatchProgress) -> tuple[object, ...]:
    rows = f"{batch.items_done:,}/{batch.items:,}" if batch.items else None
    rate = None if batch.items_per_s is None else f"{batch.items_per_s:,.1f}"
    counts = (batch.waiting, batch.running, batch.succeeded, batch.failed)
    return batch.name, batch.state, f"{batch.share:.0%}", *counts, rows, rate, time(batch.finished_at or batch.ends_at)
