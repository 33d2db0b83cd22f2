"""The door to the database: verbs and reads, on one connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from tasker.cli.common import Common
from tasker.cli.database import Database, opened
from tasker.cli.show import bar
from tasker.model.errors import TaskNotFound
from tasker.model.fleet import TemplateDefinition, TemplateInfo
from tasker.model.task import Readiness, TaskCount, TaskFilter, TaskPage, TaskSummary, TaskView, Transition
from tasker.model.template import Template
from tasker.model.why import TaskWhy
from tasker.store.lists import count_tasks
from tasker.store.why import explain_task
from tasker.submission import Submission, SubmittedTask, TaskRequest
from tasker.templates.comparing import compare_versions
from tasker.templates.publishing import publish

FIRST_LOOK_S, LOOK_MAX_S = 0.02, 0.25


@asynccontextmanager
async def database_door(common: Common) -> AsyncGenerator[DatabaseDoor]:
    """Open while the block lasts."""
    async with opened(common) as database:
        yield DatabaseDoor(database)


class DatabaseDoor:
    """See `tasker.cli.doors.Door`."""

    def __init__(self, database: Database) -> None:
        self._database, self._connection = database, database.connection
        self._reads, self._schema = database.reads, database.settings.schema_name

    async def submit(self, namespace: str, name: str, version: str | None, request: TaskRequest) -> SubmittedTask:
        """Holds the input against the template's schema, and creates the task."""
        submission = Submission(self._database.verbs, self._database.settings)
        (made,) = await submission.submit(self._connection, namespace, name, version, [request])
        return made

    async def task_page(self, which: TaskFilter, *, limit: int, cursor: str | None) -> TaskPage:
        """One query."""
        return await self._reads.task_page(self._connection, which, limit=limit, cursor=cursor)

    async def count_tasks(self, which: TaskFilter) -> TaskCount:
        """Counted up to 10,000, estimated past that."""
        return await count_tasks(self._connection, which, schema=self._schema)

    async def task_view(self, task: UUID) -> TaskView:
        """As it is at one moment."""
        return await self._reads.task_view(self._connection, task)

    async def views(self, task: UUID) -> AsyncGenerator[TaskView]:
        """Looks again and again, ever more slowly."""
        pause_s = FIRST_LOOK_S
        while True:
            view = await self.task_view(task)
            yield view
            if view.status.is_terminal:
                return
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, LOOK_MAX_S)

    async def readiness(self, task: UUID) -> Mapping[int, Readiness]:
        """Of the steps that may run."""
        return {each.number: each for each in await self._reads.readiness(self._connection, [task])}

    async def levels(self, task: UUID) -> Mapping[str, int]:
        """Members of a batch are on the level of their batch."""
        return (await self._reads.levels(self._connection, [task]))[task]

    async def history(self, task: UUID, step: str | None) -> Sequence[Transition]:
        """In order."""
        view = await self.task_view(task)
        number = None if step is None else view.step(step).number
        return await self._reads.history(self._connection, [task], number)

    async def summary(self, task: UUID) -> TaskSummary:
        """From the history."""
        found = await self._reads.summaries(self._connection, [task])
        if not found:
            raise TaskNotFound(f"there is no task {task}: `tasker task list` shows those that there are")
        return found[0]

    async def explain(self, task: UUID) -> TaskWhy:
        """Every condition of every open step."""
        return await explain_task(self._connection, task, schema=self._schema)

    async def act(
        self,
        action: str,
        task: UUID,
        *,
        step: str | None,
        act_id: UUID,
        seen_state: str | None,
        actor: str,
        reason: str | None,
        result: Any,
    ) -> Mapping[str, Any]:
        """By the verb."""
        import orjson

        return await self._database.verbs.act(
            self._connection,
            act_id,
            action,
            task,
            number=None if step is None else (await self.task_view(task)).step(step).number,
            seen_state=seen_state,
            actor=actor,
            reason=reason,
            result=orjson.dumps(result).decode() if action == "complete" else None,
        )

    async def publish(self, templates: Sequence[Template], *, force: bool) -> Sequence[tuple[int, bool]]:
        """In one transaction."""
        done: list[tuple[int, bool]] = []
        with bar("publishing") as show:
            async with self._connection.transaction(isolation="read_committed"):
                for one in templates:
                    published = await publish(self._connection, self._database.verbs, one, force=force)
                    done.append((published.template_id, published.is_new))
                    show(len(done), len(templates))
        return done

    async def templates(self, *, namespace: str | None, name: str | None, only_newest: bool) -> Sequence[TemplateInfo]:
        """By namespace and name, newest version first."""
        return await self._reads.templates(self._connection, namespace=namespace, name=name, only_newest=only_newest)

    async def compare(self, namespace: str, name: str, old: str, new: str | None) -> tuple[str, Sequence[str]]:
        """Of their definitions."""
        found = await compare_versions(self._connection, self._reads, namespace, name, old, new)
        return found.new.definition["version"], found.lines

    async def template(self, namespace: str, name: str, version: str | None) -> TemplateDefinition:
        """With its definition."""
        return await self._reads.template(self._connection, namespace, name, version)
