"""`tasker task wait` and `watch`: until a task has ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Annotated, Any
from uuid import UUID

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.common import Common, Seconds, TaskId
from tasker.cli.database import Database, with_database
from tasker.cli.show import bar, print_json
from tasker.cli.task_pages import as_json, live_page, print_task
from tasker.model.errors import WaitTimeout
from tasker.model.states import StepState, TaskState
from tasker.model.task import TaskView

FIRST_LOOK_S, LOOK_MAX_S = 0.02, 0.25
Timeout = Annotated[Seconds | None, Parameter(help="For so many seconds at most; then the exit code is 7.")]


def wait(task: TaskId, /, *, timeout: Timeout = None, common: Common = Common()) -> int:  # noqa: B008
    """Waits for one task."""

    async def work(database: Database) -> TaskView:
        return await ended(database, task, timeout)

    return show_end(with_database(common, work), common)


def watch(task: TaskId, /, *, timeout: Timeout = None, common: Common = Common()) -> int:  # noqa: B008
    """Shows one task live. Without a terminal, and with --json, only its end."""

    async def work(database: Database) -> TaskView:
        view = None
        with live_page(is_shown=not common.json) as show:
            async for view in views(database, task, timeout):
                show(view)
        assert view is not None  # noqa: S101 - there is always a first look
        return view

    return show_end(with_database(common, work), common)


async def ended(database: Database, task: UUID, timeout_s: float | None) -> TaskView:
    """The task when it has ended, with a bar of its steps meanwhile. Raises TaskNotFound, WaitTimeout."""

    with bar(f"task {task}") as show:
        async for view in views(database, task, timeout_s):
            show(
                sum(step.state is StepState.COMPLETE for step in view.steps),
                sum(not step.is_not_taken for step in view.steps),
            )
            if view.status.is_terminal:
                return view
    raise AssertionError("views end with a task that has ended, or with an error")


async def views(database: Database, task: UUID, timeout_s: float | None) -> AsyncGenerator[TaskView]:
    """The task as it is, again and again until it has ended. Raises TaskNotFound, WaitTimeout."""
    began, pause_s = time.monotonic(), FIRST_LOOK_S
    while True:
        view = await database.reads.task_view(database.connection, task)
        yield view
        if view.status.is_terminal:
            return
        left_s = LOOK_MAX_S if timeout_s is None else timeout_s - (time.monotonic() - began)
        if left_s <= 0:
            raise WaitTimeout(f"task {task} is {view.status} after {timeout_s:g} s, and goes on")
        await asyncio.sleep(min(pause_s, left_s))
        pause_s = min(pause_s * 1.5, LOOK_MAX_S)


def show_end(view: TaskView, common: Common, more: dict[str, Any] | None = None) -> int:
    """Prints a task that has ended; 0 if it is complete, else 1."""

    if common.json:
        print_json({**as_json(view), **(more or {})})
    else:
        print_task(view)
    return exits.OK if view.status in (TaskState.COMPLETE, TaskState.RESOLVED_MANUALLY) else exits.FAILED
