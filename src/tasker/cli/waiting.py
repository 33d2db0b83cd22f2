"""`tasker task wait` and `watch`: until a task has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.common import Seconds, TaskId, Where
from tasker.cli.doors import Door, with_door
from tasker.cli.show import bar, print_json
from tasker.cli.task_pages import as_json, live_page, print_task
from tasker.model.errors import WaitTimeout
from tasker.model.states import StepState, TaskState
from tasker.model.task import TaskView

Timeout = Annotated[Seconds | None, Parameter(help="For so many seconds at most; then the exit code is 7.")]


def wait(task: TaskId, /, *, timeout: Timeout = None, common: Where = Where()) -> int:  # noqa: B008
    """Waits for one task."""

    async def work(door: Door) -> TaskView:
        return await ended(door, task, timeout)

    return show_end(with_door(common, work), common)


def watch(task: TaskId, /, *, timeout: Timeout = None, common: Where = Where()) -> int:  # noqa: B008
    """Shows one task live. Without a terminal, and with --json, only its end."""

    async def work(door: Door) -> TaskView:
        view = None
        with live_page(is_shown=not common.json) as show:
            async with _views(door, task, timeout) as views:
                async for view in views:
                    show(view)
        assert view is not None  # noqa: S101 - there is always a first look
        return view

    return show_end(with_door(common, work), common)


async def ended(door: Door, task: UUID, timeout_s: float | None) -> TaskView:
    """The task when it has ended, with a bar of its steps meanwhile. Raises TaskNotFound, WaitTimeout."""
    with bar(f"task {task}") as show:
        async with _views(door, task, timeout_s) as views:
            async for view in views:
                show(
                    sum(step.state is StepState.COMPLETE for step in view.steps),
                    sum(not step.is_not_taken for step in view.steps),
                )
                if view.status.is_terminal:
                    return view
    raise AssertionError("views end with a task that has ended, or with an error")


@asynccontextmanager
async def _views(door: Door, task: UUID, timeout_s: float | None) -> AsyncGenerator[AsyncGenerator[TaskView]]:
    """The task as it is, again and again until it has ended. Raises WaitTimeout when the time is over."""
    limit = asyncio.timeout(timeout_s)
    try:
        async with limit, aclosing(door.views(task)) as views:
            yield views
    except TimeoutError:
        if not limit.expired():
            raise
        state = (await door.task_view(task)).status
        raise WaitTimeout(f"task {task} is {state} after {timeout_s:g} s, and goes on") from None


def show_end(view: TaskView, common: Where, more: dict[str, Any] | None = None) -> int:
    """Prints a task that has ended; 0 if it is complete, else 1."""

    if common.json:
        print_json({**as_json(view), **(more or {})})
    else:
        print_task(view)
    return exits.OK if view.status in (TaskState.COMPLETE, TaskState.RESOLVED_MANUALLY) else exits.FAILED
