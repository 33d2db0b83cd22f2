"""Actions on many tasks of a database, and of a server; see `tasker.cli.either`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from tasker.cli.database import Database
from tasker.cli.either import record
from tasker.model.ids import uuid7
from tasker.model.jobs import BulkAction, BulkPreview, Job, JobItem
from tasker.model.task import TaskFilter
from tasker.store import jobs

if TYPE_CHECKING:
    from tasker.client import AsyncTaskerClient


class BulkWay(Protocol):
    """What the commands ask."""

    async def preview(self, action: BulkAction, which: TaskFilter) -> BulkPreview:
        """How many tasks are meant, and the newest of them."""
        ...

    async def create(
        self, action: BulkAction, which: TaskFilter, *, actor: str, reason: str | None, tasks_max: int
    ) -> Job:
        """A job."""
        ...

    async def drive(self, job: UUID) -> tuple[Job, int | None]:
        """Sees to its next tasks; how it stands, and how many those were."""
        ...

    async def list(self, limit: int) -> Sequence[Job]:
        """Jobs, newest first."""
        ...

    async def read(self, job: UUID, *, refused: bool, limit: int, cursor: UUID | None) -> tuple[Job, Sequence[JobItem]]:
        """One, and what became of its tasks."""
        ...

    async def stop(self, job: UUID, actor: str) -> bool:
        """Whether it was running."""
        ...


class DatabaseBulk:
    """By the verbs and reads."""

    def __init__(self, database: Database) -> None:
        self._on, self._schema = database.connection, database.settings.schema_name

    async def preview(self, action: BulkAction, which: TaskFilter) -> BulkPreview:
        """A count and a page."""
        return await jobs.preview_job(self._on, which, schema=self._schema)

    async def create(
        self, action: BulkAction, which: TaskFilter, *, actor: str, reason: str | None, tasks_max: int
    ) -> Job:
        """By the verb."""
        job = await jobs.create_job(
            self._on, uuid7(), action, which, actor=actor, reason=reason, tasks_max=tasks_max, schema=self._schema
        )
        return await jobs.read_job(self._on, job, schema=self._schema)

    async def drive(self, job: UUID) -> tuple[Job, int | None]:
        """By the verb."""
        return await jobs.drive_job(self._on, job, schema=self._schema)

    async def list(self, limit: int) -> Sequence[Job]:
        """One query."""
        return await jobs.list_jobs(self._on, limit=limit, schema=self._schema)

    async def read(self, job: UUID, *, refused: bool, limit: int, cursor: UUID | None) -> tuple[Job, Sequence[JobItem]]:
        """Two queries."""
        statuses = ["refused"] if refused else None
        found = await jobs.read_job(self._on, job, schema=self._schema)
        items = await jobs.job_items(self._on, job, limit=limit, cursor=cursor, statuses=statuses, schema=self._schema)
        return found, items

    async def stop(self, job: UUID, actor: str) -> bool:
        """By the verb."""
        return await jobs.stop_job(self._on, job, actor=actor, schema=self._schema)


class ServerBulk:
    """By the client."""

    def __init__(self, client: AsyncTaskerClient) -> None:
        self._client = client

    async def preview(self, action: BulkAction, which: TaskFilter) -> BulkPreview:
        """A dry run, and a look at the tasks that it names."""
        from tasker.cli.door_records import task_info

        found = await self._client.create_job(action, _criteria(which), dry_run=True)
        newest = [task_info(await self._client.get_task(task)) for task in found.newest]
        return BulkPreview(count=found.count, is_exact=found.is_exact, newest=tuple(newest))

    async def create(
        self, action: BulkAction, which: TaskFilter, *, actor: str, reason: str | None, tasks_max: int
    ) -> Job:
        """One request."""
        made = await self._client.create_job(action, _criteria(which), actor=actor, reason=reason, tasks_max=tasks_max)
        return _job(made.job)

    async def drive(self, job: UUID) -> tuple[Job, int | None]:
        """One request."""
        found = await self._client.drive_job(job)
        return _job(found.job), found.drove

    async def list(self, limit: int) -> Sequence[Job]:
        """One request."""
        return list(map(_job, await self._client.list_jobs(limit=limit)))

    async def read(self, job: UUID, *, refused: bool, limit: int, cursor: UUID | None) -> tuple[Job, Sequence[JobItem]]:
        """Two requests."""
        status = "refused" if refused else None
        found = await self._client.get_job(job)
        items = await self._client.list_job_items(job, status=status, limit=limit, cursor=cursor)
        return _job(found), [record(JobItem, item) for item in items]

    async def stop(self, job: UUID, actor: str) -> bool:
        """A look, and a request: a job that ended in between was not stopped."""
        before = await self._client.get_job(job)
        after = await self._client.stop_job(job, actor=actor)
        return before.status == "running" and after.status == "stopped"


def _criteria(which: TaskFilter) -> dict[str, Any]:
    """A filter as the API takes it, without what it does not say."""
    from tasker.cli.door_records import query

    return {name: value for name, value in query(which).items() if value is not None}


def _job(answer: Any) -> Job:
    return record(Job, answer, namespaces=None if answer.namespaces is None else tuple(answer.namespaces))
