"""One action on many tasks: a job in the database that workers drive."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from tasker.model.errors import Forbidden
from tasker.model.ids import uuid7
from tasker.model.jobs import BulkPreview, Job, JobStatus
from tasker.operations.fields import Name
from tasker.operations.lists import Criteria, filter_of
from tasker.operations.registry import Access, Answer, Given, Scope, operation
from tasker.store import jobs as store
from tasker.store.connection import Connection

JobUuid = Annotated[UUID, Field(examples=["0198c0de-0000-7000-8000-000000000003"])]


class CreateJob(Given):
    """An action, and the tasks that it is for. A filter that says nothing is refused."""

    action: Literal["cancel", "pause", "resume", "retry"] = Field(description="`retry` needs steps:resolve as well.")
    filter: Criteria = Field(examples=[{"status": ["error"], "namespace": "ecommerce"}])
    reason: str | None = Field(None, max_length=10_000)
    actor: Name | None = None
    tasks_max: int = Field(10_000, ge=1, le=1_000_000, description="More tasks than this are refused.")
    job_uuid: UUID | None = Field(None, description="A UUID of version 7 made now: the same again, the same job.")
    dry_run: bool = Field(default=False, description="Say how many tasks are meant, and do nothing.")


class JobInfo(Answer):
    """A job, and how far it has come."""

    job_uuid: UUID
    action: str
    filter: dict[str, Any]
    namespaces: list[str] | None = Field(description="Those that the filter names; null: all.")
    actor: str
    reason: str | None
    status: str = Field(description="running, done or stopped.")
    tasks_max: int
    matched: int = Field(description="Tasks that the filter let through when the job was made.")
    done: int
    refused: int = Field(description="Tasks whose state forbade it.")
    busy: int = Field(description="Tasks that another process held: they come again.")
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    stopped_by: str | None


class JobMade(Answer):
    """How many tasks are meant, the newest of them, and the job (null: it is a dry run)."""

    count: int
    is_exact: bool = Field(description="False where it is an estimate.")
    newest: list[UUID]
    job: JobInfo | None


def _shown(job: Job) -> JobInfo:
    return JobInfo.model_validate(job)


def _check_may_retry(access: Access, action: str) -> None:
    if action == "retry" and not access.principal.holds("steps:resolve"):
        raise Forbidden(f'{access.principal.subject} lacks the permission "steps:resolve"')


@operation("tasks:cancel", Scope.ACROSS)
async def create_job(access: Access, given: CreateJob) -> JobMade:
    """Do one thing to every task that a filter lets through, as a job; or, dry, count them"""
    _check_may_retry(access, given.action)
    engine, schema = access.engine, access.engine.settings.schema_name
    which, new_uuid = filter_of(access, given.filter), given.job_uuid or uuid7()
    if given.filter.namespace is not None:  # said, so that it is a filter; which are reached is beside it
        which = replace(which, namespace=given.filter.namespace)

    async def make(connection: Connection) -> tuple[BulkPreview, Job | None]:
        preview = await store.preview_job(connection, which, schema=schema)
        if given.dry_run:
            return preview, None
        job_uuid = await store.create_job(
            connection,
            new_uuid,
            given.action,
            which,
            actor=access.actor(given.actor),
            reason=given.reason,
            tasks_max=given.tasks_max,
            schema=schema,
        )
        return preview, await store.read_job(connection, job_uuid, schema=schema)

    preview, job = await engine.ask(make)
    return JobMade(
        count=preview.count,
        is_exact=preview.is_exact,
        newest=[task.task_uuid for task in preview.newest],
        job=None if job is None else _shown(job),
    )


class ListJobs(Given):
    """Which jobs, and from where on."""

    status: Literal["running", "done", "stopped"] | None = None
    limit: int = Field(50, ge=1, le=500)
    cursor: UUID | None = Field(None, description="The id of the last job of the page before.")


@operation("tasks:list", Scope.ACROSS)
async def list_jobs(access: Access, given: ListJobs) -> list[JobInfo]:
    """List jobs, newest first"""
    statuses: list[JobStatus] | None = None if given.status is None else [given.status]
    schema = access.engine.settings.schema_name
    found = await access.engine.ask(
        lambda connection: store.list_jobs(
            connection, limit=given.limit, cursor=given.cursor, statuses=statuses, schema=schema
        )
    )
    return [_shown(job) for job in found if _is_visible(access, job)]


def _is_visible(access: Access, job: Job) -> bool:
    """Whether the job is only about namespaces of the caller's."""
    own = access.principal.namespaces
    return own is None or (job.namespaces is not None and own.issuperset(job.namespaces))


class OfJob(Given):
    """One job."""

    job_uuid: JobUuid


async def _read(access: Access, job_uuid: UUID) -> Job:
    """Raises NotFound, for jobs of namespaces that are not the caller's too."""
    schema = access.engine.settings.schema_name
    job = await access.engine.ask(lambda connection: store.read_job(connection, job_uuid, schema=schema))
    if not _is_visible(access, job):
        raise store.no_job(job_uuid)
    return job


@operation("tasks:list", Scope.ACROSS)
async def get_job(access: Access, given: OfJob) -> JobInfo:
    """Show how far a job has come"""
    return _shown(await _read(access, given.job_uuid))


class ListItems(OfJob):
    """Which of a job's tasks, and from where on."""

    status: Literal["done", "refused", "busy"] | None = None
    limit: int = Field(100, ge=1, le=500)
    cursor: UUID | None = Field(None, description="The task_uuid of the last item of the page before.")


class ItemInfo(Answer):
    """What became of one task of a job."""

    task_uuid: UUID
    status: str = Field(description="done, refused or busy.")
    said: str | None = Field(description="Why it was refused.")
    at: datetime


@operation("tasks:list", Scope.ACROSS)
async def list_job_items(access: Access, given: ListItems) -> list[ItemInfo]:
    """List what became of each task of a job"""
    await _read(access, given.job_uuid)
    schema, statuses = access.engine.settings.schema_name, None if given.status is None else [given.status]
    found = await access.engine.ask(
        lambda connection: store.job_items(
            connection, given.job_uuid, limit=given.limit, cursor=given.cursor, statuses=statuses, schema=schema
        )
    )
    return [ItemInfo.model_validate(one) for one in found]


class JobDriven(Answer):
    """How a job stands, and how many of its tasks were seen to now (null: another process is at it)."""

    job: JobInfo
    drove: int | None


@operation("tasks:cancel", Scope.ACROSS)
async def drive_job(access: Access, given: OfJob) -> JobDriven:
    """See to the next tasks of a job at once: it does not wait for a worker then"""
    job = await _read(access, given.job_uuid)
    _check_may_retry(access, job.action)
    schema = access.engine.settings.schema_name
    job, drove = await access.engine.ask(lambda on: store.drive_job(on, given.job_uuid, schema=schema))
    if drove:
        access.engine.woken()
    return JobDriven(job=_shown(job), drove=drove)


class StopJob(OfJob):
    """A job to be stopped where it is."""

    actor: Name | None = None


@operation("tasks:cancel", Scope.ACROSS)
async def stop_job(access: Access, given: StopJob) -> JobInfo:
    """Stop a job where it is; what it has done stays done"""
    await _read(access, given.job_uuid)
    schema, actor = access.engine.settings.schema_name, access.actor(given.actor)
    await access.engine.ask(lambda on: store.stop_job(on, given.job_uuid, actor=actor, schema=schema))
    return _shown(await _read(access, given.job_uuid))
