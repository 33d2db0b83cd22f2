"""What commands ask of Tasker, and the two ways in: the database, or a server.

A command is written once, against `Door`. It goes to a server where one is named (--url, --profile, TASKER_URL,
TASKER_PROFILE), else to the database.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import UUID

from tasker.cli.common import Where
from tasker.cli.exits import UsageError

if TYPE_CHECKING:
    from tasker.model.fleet import TemplateDefinition, TemplateInfo
    from tasker.model.task import (
        Readiness,
        TaskCount,
        TaskFilter,
        TaskPage,
        TaskSummary,
        TaskView,
        Transition,
    )
    from tasker.model.template import Template
    from tasker.model.why import TaskWhy
    from tasker.submission import SubmittedTask, TaskRequest

T = TypeVar("T")


class Act(Protocol):
    """What an operator does."""

    async def __call__(
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
        """Where it stands afterwards: task_state, is_paused and, for a step, step_state."""
        ...


class Door(Protocol):
    """What commands ask. Each method raises what the engine raises: TaskNotFound, ActionForbidden, …"""

    async def submit(self, namespace: str, name: str, version: str | None, request: TaskRequest) -> SubmittedTask:
        """Creates a task."""
        ...

    async def task_page(self, which: TaskFilter, *, limit: int, cursor: str | None) -> TaskPage:
        """A page of tasks, newest first, 500 at most."""
        ...

    async def count_tasks(self, which: TaskFilter) -> TaskCount:
        """How many there are in all."""
        ...

    async def task_view(self, task: UUID) -> TaskView:
        """A task with its steps."""
        ...

    def views(self, task: UUID) -> AsyncGenerator[TaskView]:
        """The same, again and again as it moves, until it has ended."""
        ...

    async def readiness(self, task: UUID) -> Mapping[int, Readiness]:
        """What keeps its steps from running, by their numbers."""
        ...

    async def levels(self, task: UUID) -> Mapping[str, int]:
        """The level of each step: 0 for one that depends on none."""
        ...

    async def history(self, task: UUID, step: str | None) -> Sequence[Transition]:
        """Every move of a task, or of a step of it."""
        ...

    async def summary(self, task: UUID) -> TaskSummary:
        """Where its time went."""
        ...

    async def explain(self, task: UUID) -> TaskWhy:
        """Why it waits."""
        ...

    @property
    def act(self) -> Act:
        """Acts on a task or a step."""
        ...

    async def publish(self, templates: Sequence[Template], *, force: bool) -> Sequence[tuple[int, bool]]:
        """The id of each template in the database, and whether it is new there: all, or none if one is refused."""
        ...

    async def templates(self, *, namespace: str | None, name: str | None, only_newest: bool) -> Sequence[TemplateInfo]:
        """What is published."""
        ...

    async def compare(self, namespace: str, name: str, old: str, new: str | None) -> tuple[str, Sequence[str]]:
        """The newer version (the newest where none is named), and what differs, a line each."""
        ...

    async def template(self, namespace: str, name: str, version: str | None) -> TemplateDefinition:
        """One version, or the newest."""
        ...


def names_server(where: Where) -> bool:
    """Whether the command goes to a server. Raises UsageError where two places are named."""
    if where.url or where.profile:
        if where.database_url:
            raise UsageError("give --database-url, or a server by --url or --profile")
        return True
    return not where.database_url and bool(os.environ.get("TASKER_URL") or os.environ.get("TASKER_PROFILE"))


def opened_door(where: Where) -> AbstractAsyncContextManager[Door]:
    """The door that is meant, open while the block lasts."""
    if names_server(where):
        from tasker.cli.door_server import server_door

        return server_door(where)
    from tasker.cli.door_database import database_door

    return database_door(where)


def with_door(where: Where, work: Callable[[Door], Awaitable[T]]) -> T:
    """Runs `work` on the database or the server; what it answers."""

    async def run() -> T:
        async with opened_door(where) as door:
            return await work(door)

    return asyncio.run(run())
