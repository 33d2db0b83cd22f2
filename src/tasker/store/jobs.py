"""Actions on many tasks: previewed, created, driven by whoever is there, and read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from tasker import sql
from tasker.model.errors import NotFound
from tasker.model.jobs import BulkAction, BulkPreview, Job, JobItem, JobStatus
from tasker.model.task import TaskFilter
from tasker.store.asking import ask
from tasker.store.connection import Connection
from tasker.store.lists import count_tasks, filter_json, list_tasks

TASKS_MAX = 10_000
"""How many tasks a job may act on, unless more are allowed."""
PREVIEW_SIZE = 10


async def preview_job(
    connection: Connection, which: TaskFilter, *, size: int = PREVIEW_SIZE, schema: str = sql.DEFAULT_SCHEMA
) -> BulkPreview:
    """How many tasks an action would be asked of, and the newest of them. Raises InvalidInput for an empty filter."""
    await ask(connection, "check_job_filter($1::jsonb)", filter_json(which), schema=schema)
    counted = await count_tasks(connection, which, schema=schema)
    page = await list_tasks(connection, which, limit=size, schema=schema)
    return BulkPreview(count=counted.count, is_exact=counted.is_exact, newest=page.tasks)


async def create_job(
    connection: Connection,
    job_uuid: UUID,
    action: BulkAction,
    which: TaskFilter,
    *,
    actor: str,
    reason: str | None = None,
    tasks_max: int = TASKS_MAX,
    schema: str = sql.DEFAULT_SCHEMA,
) -> UUID:
    """A job: the action on every task that the filter lets through and that exists now. Workers drive it, and so does
    `drive_job`. `job_uuid` is of version 7; the same again answers the same.

    Raises InvalidInput for an empty filter, ActionForbidden where more than `tasks_max` tasks are meant.
    """
    call = "create_job($1, $2, $3::jsonb, $4, $5, $6)"
    (row,) = await ask(connection, call, job_uuid, action, filter_json(which), actor, reason, tasks_max, schema=schema)
    return row[0]


async def drive_job(
    connection: Connection, job_uuid: UUID, *, tasks_max: int = 50, schema: str = sql.DEFAULT_SCHEMA
) -> tuple[Job, int | None]:
    """Sees to the next tasks of a job, in one transaction; how the job stands, and how many tasks this call has seen to
    (None: another process is at it). Raises NotFound."""
    (row,) = await ask(connection, "drive_job($1, $2)", job_uuid, tasks_max, schema=schema)
    if row[0] is None:
        raise no_job(job_uuid)
    known: dict[str, Any] = orjson.loads(row[0])
    drove = known.pop("drove")
    for name in ("created_at", "updated_at", "finished_at"):
        known[name] = known[name] and datetime.fromisoformat(known[name])
    return _job({**known, "job_id": UUID(known["job_id"])}), drove


async def stop_job(connection: Connection, job_uuid: UUID, *, actor: str, schema: str = sql.DEFAULT_SCHEMA) -> bool:
    """Stops a job where it is; False where it ran no longer. Raises NotFound."""
    (row,) = await ask(connection, "stop_job($1, $2)", job_uuid, actor, schema=schema)
    return row[0]


async def list_jobs(
    connection: Connection,
    *,
    limit: int = 50,
    cursor: UUID | None = None,
    statuses: Sequence[JobStatus] | None = None,
    schema: str = sql.DEFAULT_SCHEMA,
) -> list[Job]:
    """Jobs, newest first; `cursor` is the id of the last one of the page before."""
    found = await ask(connection, "list_jobs($1, $2, $3::text[])", limit, cursor, statuses, schema=schema)
    return [_job({**dict(row), "filter": orjson.loads(row["filter"])}) for row in found]


async def read_job(connection: Connection, job_uuid: UUID, *, schema: str = sql.DEFAULT_SCHEMA) -> Job:
    """How a job stands. Raises NotFound."""
    found = await ask(connection, "list_jobs(1, null, null, $1::uuid[])", [job_uuid], schema=schema)
    if not found:
        raise no_job(job_uuid)
    return _job({**dict(found[0]), "filter": orjson.loads(found[0]["filter"])})


async def job_items(
    connection: Connection,
    job_uuid: UUID,
    *,
    limit: int = 100,
    cursor: UUID | None = None,
    statuses: Sequence[str] | None = None,
    schema: str = sql.DEFAULT_SCHEMA,
) -> list[JobItem]:
    """What became of a job's tasks, in the order of their ids; `cursor` is the last id of the page before."""
    call = "list_job_items($1, $2, $3, $4::text[])"
    found = await ask(connection, call, job_uuid, limit, cursor, statuses, schema=schema)
    return [JobItem(task_uuid=row["task_id"], status=row["status"], said=row["said"], at=row["at"]) for row in found]


def _job(known: dict[str, Any]) -> Job:
    rest = {name: value for name, value in known.items() if name not in ("job_id", "below")}
    rest["namespaces"] = None if known["namespaces"] is None else tuple(known["namespaces"])
    return Job(job_uuid=known["job_id"], **rest)


def no_job(job_uuid: UUID) -> NotFound:
    """What to say where a job does not exist."""
    return NotFound(f"there is no job {job_uuid}: `tasker bulk list` shows those that there are")
