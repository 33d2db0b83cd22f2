"""`tasker bulk …`: one action on many tasks."""

from __future__ import annotations

import asyncio
from typing import Annotated, get_args
from uuid import UUID

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.acting import Actor, Reason, login_name
from tasker.cli.common import Common, flag
from tasker.cli.database import Database, with_database
from tasker.cli.filters import Which
from tasker.cli.show import bar, print_json, print_line, print_table, time
from tasker.model.jobs import BulkAction, BulkPreview, Job, JobItem
from tasker.store import jobs

JobId = Annotated[UUID, Parameter(help="The job's id.")]
Action = Annotated[BulkAction, Parameter(help=f"What to do: {', '.join(get_args(BulkAction))}.")]
PAUSE_S = 0.2


def run(
    action: Action,
    /,
    *,
    which: Which = Which(),  # noqa: B008
    yes: Annotated[bool, flag("Do it; without this only how many tasks are meant is shown.")] = False,
    tasks_max: Annotated[int, Parameter(help="Refuse where more tasks are meant.")] = jobs.TASKS_MAX,
    detach: Annotated[bool, flag("Leave the job to workers, and do not wait for its end.")] = False,
    reason: Reason = None,
    actor: Actor = None,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Does one action to every task that the filter lets through."""

    async def look(database: Database) -> BulkPreview:
        return await jobs.preview_job(database.connection, which.filter(), schema=database.settings.schema_name)

    async def work(database: Database) -> Job:
        from tasker.model.ids import uuid7

        schema = database.settings.schema_name
        who = actor or login_name()
        job = await jobs.create_job(
            database.connection,
            uuid7(),
            action,
            which.filter(),
            actor=who,
            reason=reason,
            tasks_max=tasks_max,
            schema=schema,
        )
        return await (jobs.read_job(database.connection, job, schema=schema) if detach else _drive(database, job))

    if not yes:
        _print_preview(action, with_database(common, look), common)
        return exits.OK
    found = with_database(common, work)
    if common.json:
        print_json({"job": found})
    else:
        _print_job(found)
    return exits.OK if not found.refused else exits.FAILED


async def _drive(database: Database, job: UUID) -> Job:
    """Sees to the job until it is over; workers may take part."""
    with bar("working") as show:
        while True:
            found, drove = await jobs.drive_job(database.connection, job, schema=database.settings.schema_name)
            show(found.done + found.refused, found.matched)
            if found.status != "running":
                return found
            if not drove or found.busy:
                await asyncio.sleep(PAUSE_S)


def _print_preview(action: BulkAction, found: BulkPreview, common: Common) -> None:
    if common.json:
        tasks = [task.task_uuid for task in found.newest]
        print_json({"action": action, "count": found.count, "count_is_exact": found.is_exact, "newest": tasks})
        return
    rows = [(task.task_uuid, f"{task.namespace}/{task.name}@{task.version}", task.status) for task in found.newest]
    print_table(("task", "template", "state"), rows, empty="no tasks")
    print_line(f"{'' if found.is_exact else 'about '}{found.count} tasks are meant; nothing is done: add --yes")


def _print_job(job: Job) -> None:
    print_line(f"job {job.job_uuid}: {job.action} is {job.status}")
    print_line(f"  {job.done} done, {job.refused} refused, {job.busy} to come again, of {job.matched}")


def list_jobs(
    *, limit: Annotated[int, Parameter(help="How many.")] = 20, common: Common = Common()  # noqa: B008
) -> int:  # fmt: skip
    """Lists jobs."""

    async def work(database: Database) -> list[Job]:
        return await jobs.list_jobs(database.connection, limit=limit, schema=database.settings.schema_name)

    found = with_database(common, work)
    if common.json:
        print_json({"jobs": found})
    else:
        rows = [
            (
                j.job_uuid,
                j.action,
                j.status,
                f"{j.done + j.refused}/{j.matched}",
                j.refused,
                j.actor,
                time(j.created_at),
            )
            for j in found
        ]
        print_table(("job", "action", "status", "seen to", "refused", "by", "since"), rows, empty="no jobs")
    return exits.OK


def get(
    job: JobId,
    /,
    *,
    refused: Annotated[bool, flag("Only the tasks that refused.")] = False,
    limit: Annotated[int, Parameter(help="How many tasks.")] = 100,
    cursor: Annotated[UUID | None, Parameter(help="The last task of the page before.")] = None,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Shows a job, and what became of its tasks."""

    async def work(database: Database) -> tuple[Job, list[JobItem]]:
        connection, schema = database.connection, database.settings.schema_name
        statuses = ["refused"] if refused else None
        found = await jobs.read_job(connection, job, schema=schema)
        items = await jobs.job_items(connection, job, limit=limit, cursor=cursor, statuses=statuses, schema=schema)
        return found, items

    found, items = with_database(common, work)
    if common.json:
        print_json({"job": found, "items": items})
        return exits.OK
    _print_job(found)
    print_table(("task", "", "because"), [(i.task_uuid, i.status, i.said) for i in items], empty="no task yet")
    return exits.OK


def resume(job: JobId, /, *, common: Common = Common()) -> int:  # noqa: B008
    """Drives a job on until it is over."""

    async def work(database: Database) -> Job:
        return await _drive(database, job)

    found = with_database(common, work)
    if common.json:
        print_json({"job": found})
    else:
        _print_job(found)
    return exits.OK if not found.refused else exits.FAILED


def stop(job: JobId, /, *, actor: Actor = None, common: Common = Common()) -> int:  # noqa: B008
    """Stops a job where it is."""

    async def work(database: Database) -> bool:
        who, schema = actor or login_name(), database.settings.schema_name
        return await jobs.stop_job(database.connection, job, actor=who, schema=schema)

    was_running = with_database(common, work)
    if common.json:
        print_json({"job_uuid": job, "was_running": was_running})
    else:
        print_line("stopped" if was_running else "it was not running")
    return exits.OK
