"""`tasker task list|get|steps|history|summary`: looking at tasks."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.common import TaskId, Where, flag
from tasker.cli.doors import Door, with_door
from tasker.cli.filters import Which
from tasker.cli.show import duration, print_json, print_line, print_table, time
from tasker.cli.task_pages import as_json, error_line, listed_as_json, print_task, step_as_json
from tasker.model.task import TaskCount, TaskPage, TaskView, Transition


def list_tasks(
    *,
    which: Which = Which(),  # noqa: B008
    limit: Annotated[int, Parameter(help="How many, 500 at most.")] = 20,
    cursor: Annotated[str | None, Parameter(help="The next_cursor of the page before.")] = None,
    count: Annotated[bool, flag("Say how many there are in all; an estimate past 10,000.")] = False,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Lists a page of tasks."""

    async def work(door: Door) -> tuple[TaskPage, TaskCount | None]:
        asked = which.filter()
        page = await door.task_page(asked, limit=limit, cursor=cursor)
        return page, await door.count_tasks(asked) if count else None

    page, counted = with_door(common, work)
    if common.json:
        document: dict[str, Any] = {"tasks": [listed_as_json(task) for task in page.tasks]}
        more = {} if counted is None else {"count": counted.count, "count_is_exact": counted.is_exact}
        print_json({**document, "next_cursor": page.next_cursor, **more})
    else:
        _print_page(page)
        if counted is not None:
            print_line(f"{counted.count} in all" if counted.is_exact else f"about {counted.count} in all", style="dim")
    return exits.OK


def _print_page(page: TaskPage) -> None:
    rows = [
        (
            task.task_uuid,
            f"{task.namespace}/{task.name}@{task.version}",
            f"{task.status}{' (paused)' if task.is_paused else ''}",
            f"{task.step_count - task.open_steps}/{task.step_count}",
            time(task.created_at),
        )
        for task in page.tasks
    ]
    print_table(("task", "template", "state", "steps", "created"), rows, empty="no tasks")
    if page.next_cursor:
        print_line(f"more: --cursor {page.next_cursor}", style="dim")


def get(task: TaskId, /, *, common: Where = Where()) -> int:  # noqa: B008
    """Shows a task."""

    async def work(door: Door) -> TaskView:
        return await door.task_view(task)

    view = with_door(common, work)
    if common.json:
        print_json(as_json(view))
    else:
        print_task(view)
    return exits.OK


def steps(task: TaskId, /, *, common: Where = Where()) -> int:  # noqa: B008
    """Shows the steps of a task."""

    async def work(door: Door) -> int:
        view = await door.task_view(task)
        ready = await door.readiness(task)
        levels = await door.levels(task)
        if common.json:
            found = [
                {
                    **step_as_json(step),
                    "level": levels[step.name],
                    "ready_for_execution": each is not None and each.ready_for_execution,
                    "why": None if each is None else each.why,
                }
                for step, each in ((step, ready.get(step.number)) for step in view.steps)
            ]
            print_json({"task_uuid": task, "status": view.status, "is_paused": view.is_paused, "steps": found})
            return exits.OK
        rows = [
            (
                step.name,
                levels[step.name],
                step.status,
                f"{step.tries}/{step.max_attempts}",
                step.attempt,
                (each and each.why) or (step.error and error_line(step.error)),
            )
            for step, each in ((step, ready.get(step.number)) for step in view.steps)
        ]
        print_table(("step", "level", "state", "tries", "attempt", "why"), rows, empty="no steps")
        return exits.OK

    return with_door(common, work)


def history(
    task: TaskId,
    /,
    *,
    step: Annotated[str | None, Parameter(help="Only the moves of this step.")] = None,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Shows the moves of a task."""

    async def work(door: Door) -> int:
        moves = await door.history(task, step)
        if common.json:
            print_json({"task_uuid": task, "transitions": moves})
            return exits.OK
        rows = [_move(move) for move in moves]
        print_table(("at", "step", "from", "to", "attempt", "by", "because"), rows, empty="nothing has happened")
        return exits.OK

    return with_door(common, work)


def _move(move: Transition) -> tuple[object, ...]:
    detail = move.detail or {}
    at = f"{move.at.astimezone():%Y-%m-%d %H:%M:%S.%f}"
    who, why = move.worker or detail.get("actor"), detail.get("message") or detail.get("reason")
    return at, move.name or "(task)", move.from_state, move.to_state, move.attempt, who, why


def summary(task: TaskId, /, *, common: Where = Where()) -> int:  # noqa: B008
    """Shows where the time of a task went."""

    async def work(door: Door) -> int:
        known = await door.summary(task)
        if common.json:
            print_json({**asdict(known), "critical_path": [timing.name for timing in known.critical_path]})
            return exits.OK
        context = known.context
        print_line(
            f"{context.state}, {context.completion_percentage:g} % of {context.total} steps, {context.health_status}"
        )
        print_line(
            f"waited {duration(known.wait_s)} for its first step, took {duration(known.elapsed_s) or 'no time yet'}"
        )
        print_line(f"longest way: {' → '.join(timing.name for timing in known.critical_path) or 'none yet'}")
        rows = [
            (t.name, t.state, t.tries, duration(t.queue_s), duration(t.run_s), duration(t.retry_s), t.critical_place)
            for t in known.timings
        ]
        print_table(
            ("step", "state", "tries", "in the queue", "ran", "until retries", "on the way"), rows, empty="no steps"
        )
        return exits.OK

    return with_door(common, work)
