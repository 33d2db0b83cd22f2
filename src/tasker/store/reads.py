"""One typed function per read. Each is one round trip; the connection may be any, inside a transaction or not."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from tasker import sql
from tasker.model.errors import TaskNotFound
from tasker.model.task import StepView, TaskInfo, TaskView
from tasker.store import reads_rows as rows
from tasker.store.connection import Connection
from tasker.store.errors import translating


class Reads:
    """The reads of one schema. A method takes the connection to use; none keeps state."""

    def __init__(self, schema: str = sql.DEFAULT_SCHEMA) -> None:
        def call(name: str, types: str = "") -> str:
            marks = ", ".join(f"${n}::{cast}" for n, cast in enumerate(types.split(), 1))
            return sql.in_schema(f"select * from tasker_engine.{name}({marks})", schema)  # noqa: S608 - our own words

        self._views = call("task_views", "uuid[]")
        self._tasks = call("read_tasks", "uuid[]")
        self._steps = call("read_steps", "uuid[]")

    async def task_view(self, connection: Connection, task_uuid: UUID) -> TaskView:
        """A task with its steps. Raises TaskNotFound."""
        views = await self.task_views(connection, [task_uuid])
        if not views:
            raise TaskNotFound(f"there is no task {task_uuid}: `tasker task list` shows those that there are")
        return views[0]

    async def task_views(self, connection: Connection, task_uuids: Sequence[UUID]) -> list[TaskView]:
        """Tasks with their steps, in the order asked; unknown ones are left out."""
        with translating():
            found = await connection.fetch(self._views, task_uuids)
        return [rows.task_view(row[0], row[1]) for row in found]

    async def tasks(self, connection: Connection, task_uuids: Sequence[UUID]) -> list[TaskInfo]:
        """Tasks without their steps, in the order asked; unknown ones are left out."""
        with translating():
            found = await connection.fetch(self._tasks, task_uuids)
        return [rows.task_info(row, rows.parsed(row["context"])) for row in found]

    async def steps(self, connection: Connection, task_uuids: Sequence[UUID]) -> list[StepView]:
        """The steps of tasks, by task and number."""
        with translating():
            found = await connection.fetch(self._steps, task_uuids)
        return [rows.step_of_record(row) for row in found]


_default = Reads()


async def task_view(connection: Connection, task_uuid: UUID) -> TaskView:
    """A task of the default schema with its steps, in one round trip. Raises TaskNotFound."""
    return await _default.task_view(connection, task_uuid)
