"""`tasker bulk …`: one action on many tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, TypeVar, get_args
from uuid import UUID

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.acting import Actor, Reason, login_name
from tasker.cli.bulk_ways import BulkWay, DatabaseBulk, ServerBulk
from tasker.cli.common import Where, flag
from tasker.cli.either import on_either
from tasker.cli.filters import Which
from tasker.cli.show import bar, print_json, print_line, print_table, time
from tasker.model.jobs import BulkAction, BulkPreview, Job, JobItem
from tasker.store import jobs

T = TypeVar("T")
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
    common: Where = Where(),  # noqa: B008
) -> int:
    """Does one action to every task that the filter lets through."""

    async def look(way: BulkWay) -> BulkPreview:
        return await way.preview(action, which.filter())

    async def work(way: BulkWay) -> Job:
        who = actor or login_name()
        job = await way.create(action, which.filter(), actor=who, reason=reason, tasks_max=tasks_max)
        return job if detach else await _drive(way, job.job_uuid)

    if not yes:
        _print_preview(action, _on(common, look), common)
        return exits.OK
    found = _on(common, work)
    if common.json:
        print_json({"job": found})
    else:
        _print_job(found)
    return exits.OK if not found.refused else exits.FAILED


def _on(where: Where, work: Callable[[BulkWay], Awaitable[T]]) -> T:
    return on_either(where, DatabaseBulk, ServerBulk, work)


async def _drive(way: BulkWay, job: UUID) -> Job:
    """Sees to the job until it is over; workers may take part."""
    with bar("working") as show:
        while True:
            found, drove = await way.drive(job)
            show(found.done + found.refused, found.matched)
            if found.status != "running":
                return found
            if not drove or found.busy:
                await asyncio.sleep(PAUSE_S)


def _print_preview(action: BulkAction, found: BulkPreview, common: Where) -> None:
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
    *, limit: Annotated[int, Parameter(help="How many.")] = 20, common: Where = Where()  # noqa: B008
) -> int:  # fmt: skip
    """Lists jobs."""

    async def work(way: BulkWay) -> Sequence[Job]:
        return await way.list(limit)

    found = _on(common, work)
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
    common: Where = Where(),  # noqa: B008
) -> int:
    """Shows a job, and what became of its tasks."""

    async def work(way: BulkWay) -> tuple[Job, Sequence[JobItem]]:
        return await way.read(job, refused=refused, limit=limit, cursor=cursor)

    found, items = _on(common, work)
    if common.json:
        print_json({"job": found, "items": items})
        return exits.OK
    _print_job(found)
    print_table(("task", "", "because"), [(i.task_uuid, i.status, i.said) for i in items], empty="no task yet")
    return exits.OK


def resume(job: JobId, /, *, common: Where = Where()) -> int:  # noqa: B008
    """Drives a job on until it is over."""

    async def work(way: BulkWay) -> Job:
        return await _drive(way, job)

    found = _on(common, work)
    if common.json:
        print_json({"job": found})
    else:
        _print_job(found)
    return exits.OK if not found.refused else exits.FAILED


def stop(job: JobId, /, *, actor: Actor = None, common: Where = Where()) -> int:  # noqa: B008
    """Stops a job where it is."""

    async def work(way: BulkWay) -> bool:
        return await way.stop(job, actor or login_name())

    was_running = _on(common, work)
    if common.json:
        print_json({"job_uuid": job, "was_running": was_running})
    else:
        print_line("stopped" if was_running else "it was not running")
    return exits.OK
