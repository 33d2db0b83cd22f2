"""One typed function per read. Each is one round trip; the connection may be any, inside a transaction or not.

Reads answer sets for sets: ids that name nothing are left out of the answer. Where `now` can be given, it is
the time for which they answer; else the database's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from tasker import sql
from tasker.model.errors import TaskNotFound
from tasker.model.fleet import ChannelInfo, SessionInfo, Stats, TemplateDefinition, TemplateInfo
from tasker.model.task import (
    BatchProgress,
    ExecutionContext,
    Readiness,
    StepView,
    TaskFilter,
    TaskInfo,
    TaskPage,
    TaskSummary,
    TaskView,
    Transition,
)
from tasker.store import lists
from tasker.store import reads_rows as rows
from tasker.store.connection import Connection
from tasker.store.errors import translating
from tasker.store.lists import PAGE_MAX as PAGE_MAX

DRIVER_ERRORS: tuple[type[Exception], ...] = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What the driver raises of its own: the database refused, or the connection was cut."""
COUNT_MAX = 10_000


class Reads:
    """The reads of one schema. A method takes the connection to use; none keeps state."""

    def __init__(self, schema: str = sql.DEFAULT_SCHEMA) -> None:
        self._schema = schema

    async def task_view(self, connection: Connection, task_uuid: UUID) -> TaskView:
        """A task with its steps. Raises TaskNotFound."""
        views = await self.task_views(connection, [task_uuid])
        if not views:
            raise task_not_found(task_uuid)
        return views[0]

    async def task_views(self, connection: Connection, task_uuids: Sequence[UUID]) -> list[TaskView]:
        """Tasks with their steps, in the order asked."""
        found = await self._fetch(connection, "task_views($1::uuid[])", task_uuids)
        return [rows.task_view(row[0], row[1]) for row in found]

    async def tasks(self, connection: Connection, task_uuids: Sequence[UUID]) -> list[TaskInfo]:
        """Tasks without their steps, in the order asked."""
        found = await self._fetch(connection, "read_tasks($1::uuid[])", task_uuids)
        return [rows.task_info(row, rows.parsed(row["context"])) for row in found]

    async def steps(self, connection: Connection, task_uuids: Sequence[UUID]) -> list[StepView]:
        """The steps of tasks, by task and number."""
        return [rows.step_of_record(row) for row in await self._fetch(connection, "read_steps($1::uuid[])", task_uuids)]

    async def history(
        self, connection: Connection, task_uuids: Sequence[UUID], number: int | None = None
    ) -> list[Transition]:
        """What happened to tasks, or to their step of that number, in order."""
        found = await self._fetch(connection, "read_history($1::uuid[], $2::int)", task_uuids, number)
        return [rows.transition(row) for row in found]

    async def readiness(
        self, connection: Connection, task_uuids: Sequence[UUID], *, now: datetime | None = None
    ) -> list[Readiness]:
        """What keeps each step of these tasks from running, or nothing."""
        found = await self._fetch(connection, "read_readiness($1::uuid[], $2)", task_uuids, now)
        return [rows.readiness(row) for row in found]

    async def batches(
        self, connection: Connection, task_uuid: UUID, *, now: datetime | None = None
    ) -> list[BatchProgress]:
        """How far the batches of a task have come; those that have begun, in the order of the template."""
        found = await self._fetch(connection, "read_batches($1::uuid[], $2)", [task_uuid], now)
        return [rows.batch_progress(row) for row in found]

    async def execution_contexts(
        self, connection: Connection, task_uuids: Sequence[UUID], *, now: datetime | None = None
    ) -> list[ExecutionContext]:
        """Tasks in figures."""
        found = await self._fetch(connection, "read_contexts($1::uuid[], $2)", task_uuids, now)
        return [rows.execution_context(row) for row in found]

    async def summaries(
        self, connection: Connection, task_uuids: Sequence[UUID], *, now: datetime | None = None
    ) -> list[TaskSummary]:
        """Tasks, their figures, and where their time went."""
        found = await self._fetch(connection, "read_summaries($1::uuid[], $2)", task_uuids, now)
        return [rows.task_summary(row) for row in found]

    async def levels(self, connection: Connection, task_uuids: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
        """By task, the level of each step by name: 0 without parents, else one more than its highest parent."""
        levels: dict[UUID, dict[str, int]] = {}
        for row in await self._fetch(connection, "read_levels($1::uuid[])", task_uuids):
            levels.setdefault(row["task_id"], {})[row["name"]] = row["level"]
        return levels

    async def task_page(
        self, connection: Connection, which: TaskFilter | None = None, *, limit: int = 100, cursor: str | None = None
    ) -> TaskPage:
        """See `store.lists.list_tasks`."""
        return await lists.list_tasks(connection, which, limit=limit, cursor=cursor, schema=self._schema)

    async def templates(
        self,
        connection: Connection,
        *,
        namespace: str | None = None,
        name: str | None = None,
        only_newest: bool = False,
    ) -> list[TemplateInfo]:
        """Published templates, by namespace and name, the newest version of each first."""
        found = await self._fetch(connection, "list_templates($1, $2, $3)", namespace, name, only_newest)
        return [rows.template_info(row) for row in found]

    async def template(
        self, connection: Connection, namespace: str, name: str, version: str | None = None
    ) -> TemplateDefinition:
        """A published version's definition; of the newest one where none is named. Raises TemplateNotFound."""
        found = await self._fetch(connection, "read_template($1, $2, $3)", namespace, name, version)
        return rows.template_definition(found[0])

    async def sessions(
        self, connection: Connection, *, ended_within_s: float = 0, limit: int = 100, now: datetime | None = None
    ) -> list[SessionInfo]:
        """Living worker processes, and those that ended within that time, newest first."""
        found = await self._fetch(connection, "list_sessions($1, $2, $3)", ended_within_s, limit, now)
        return [rows.session_info(row) for row in found]

    async def stats(self, connection: Connection, *, count_max: int = COUNT_MAX) -> Stats:
        """How much lies where. Nothing is counted beyond `count_max`."""
        return rows.stats((await self._fetch(connection, "read_stats($1)", count_max))[0])

    async def channels(self, connection: Connection, *, count_max: int = COUNT_MAX) -> list[ChannelInfo]:
        """What waits in each channel, and how many serve it: of the figures of `stats` those that cost little."""
        return [ChannelInfo(**dict(row)) for row in await self._fetch(connection, "read_channels($1)", count_max)]

    async def task_of_step(self, connection: Connection, step: UUID) -> tuple[UUID, int] | None:
        """The task and the number of a step named by its public id; None where there is no such step."""
        found = await self._fetch(connection, "find_steps($1::uuid[])", [step])
        return (found[0]["task_id"], found[0]["number"]) if found else None

    async def _fetch(self, connection: Connection, call: str, *arguments: Any) -> list[Any]:
        query = sql.in_schema(f"select * from tasker_engine.{call}", self._schema)  # noqa: S608 - our own words
        with translating():
            return await connection.fetch(query, *arguments)


def task_not_found(task_uuid: UUID) -> TaskNotFound:
    """What to say where a task does not exist."""
    return TaskNotFound(f"there is no task {task_uuid}: `tasker task list` shows those that there are")


_default = Reads()


async def task_view(connection: Connection, task_uuid: UUID) -> TaskView:
    """A task of the default schema with its steps, in one round trip. Raises TaskNotFound."""
    return await _default.task_view(connection, task_uuid)
