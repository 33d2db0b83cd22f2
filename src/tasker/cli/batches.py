"""`tasker task batches`: how far the batches of a task have come."""

from __future__ import annotations

from dataclasses import asdict

from tasker.cli import exits
from tasker.cli.common import Common, TaskId
from tasker.cli.database import Database, with_database
from tasker.cli.show import print_json, print_table, time
from tasker.model.task import BatchProgress


def batches(task: TaskId, /, *, common: Common = Common()) -> int:  # noqa: B008
    """Shows how far the batches of a task have come."""

    async def work(database: Database) -> list[BatchProgress]:
        await database.reads.task_view(database.connection, task)  # a wrong id is an error, not a task without batches
        return await database.reads.batches(database.connection, task)

    found = with_database(common, work)
    if common.json:
        print_json({"task_uuid": task, "batches": [{**asdict(each), "share": each.share} for each in found]})
        return exits.OK
    head = ("batch", "state", "done", "waiting", "running", "succeeded", "failed", "rows", "rows/s", "ends")
    print_table(head, [_row(each) for each in found], empty="no batch of this task has begun")
    return exits.OK


def _row(batch: BatchProgress) -> tuple[object, ...]:
    rows = f"{batch.items_done:,}/{batch.items:,}" if batch.items else None
    rate = None if batch.items_per_s is None else f"{batch.items_per_s:,.1f}"
    counts = (batch.waiting, batch.running, batch.succeeded, batch.failed)
    return batch.name, batch.state, f"{batch.share:.0%}", *counts, rows, rate, time(batch.finished_at or batch.ends_at)
