"""`tasker task list|get|steps|history|summary`: looking at tasks."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.common import Common, TaskId, many, moment
from tasker.cli.database import Database, with_database
from tasker.cli.show import duration, print_json, print_line, print_table, time
from tasker.cli.task_pages import as_json, error_line, listed_as_json, print_task, step_as_json
from tasker.model.errors import TaskNotFound
from tasker.model.states import TaskState
from tasker.model.task import TaskFilter, TaskPage, TaskView, Transition


def list_tasks(
    *,
    state: Annotated[list[TaskState] | None, many("Only tasks in one of these states.")] = None,
    namespace: Annotated[str | None, Parameter(help="Only of this namespace.")] = None,
    name: Annotated[str | None, Parameter(help="Only of templates of this name.")] = None,
    version: Annotated[str | None, Parameter(help="Only of this version.")] = None,
    tag: Annotated[str | None, Parameter(help="Only those that have this tag.")] = None,
    correlation_id: Annotated[UUID | None, Parameter(help="Only those that belong together by this.")] = None,
    initiator: Annotated[str | None, Parameter(help="Only those that this one asked for.")] = None,
    since: Annotated[
        str | None, Parameter(help="Created at this time or later: ISO 8601, or an age such as 2h.")
    ] = None,
    until: Annotated[str | None, Parameter(help="Created before this time.")] = None,
    limit: Annotated[int, Parameter(help="How many, 500 at most.")] = 20,
    cursor: Annotated[str | None, Parameter(help="The next_cursor of the page before.")] = None,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Lists a page of tasks."""

    which = TaskFilter(
        states=tuple(state) if state else None,
        namespace=namespace,
        name=name,
        version=version,
        tag=tag,
        correlation_id=correlation_id,
        initiator=initiator,
        created_from=moment(since, "--since"),
        created_until=moment(until, "--until"),
    )

    async def work(database: Database) -> TaskPage:
        return await database.reads.task_page(database.connection, which, limit=limit, cursor=cursor)

    page = with_database(common, work)
    if common.json:
        print_json({"tasks": [listed_as_json(task) for task in page.tasks], "next_cursor": page.next_cursor})
    else:
        _print_page(page)
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


def get(task: TaskId, /, *, common: Common = Common()) -> int:  # noqa: B008
    """Shows a task."""

    async def work(database: Database) -> TaskView:
        return await database.reads.task_view(database.connection, task)

    view = with_database(common, work)
    if common.json:
        print_json(as_json(view))
    else:
        print_task(view)
    return exits.OK


def steps(task: TaskId, /, *, common: Common = Common()) -> int:  # noqa: B008
    """Shows the steps of a task."""

    async def work(database: Database) -> int:
        view = await database.reads.task_view(database.connection, task)
        ready = await database.reads.readiness(database.connection, [task])
        levels = (await database.reads.levels(database.connection, [task]))[task]
        if common.json:
            found = [
                {
                    **step_as_json(step),
                    "level": levels[step.name],
                    "ready_for_execution": each.ready_for_execution,
                    "why": each.why,
                }
                for step, each in zip(view.steps, ready, strict=True)
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
                each.why or (step.error and error_line(step.error)),
            )
            for step, each in zip(view.steps, ready, strict=True)
        ]
        print_table(("step", "level", "state", "tries", "attempt", "why"), rows, empty="no steps")
        return exits.OK

    return with_database(common, work)


def history(
    task: TaskId,
    /,
    *,
    step: Annotated[str | None, Parameter(help="Only the moves of this step.")] = None,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Shows the moves of a task."""

    async def work(database: Database) -> int:
        view = await database.reads.task_view(database.connection, task)
        number = None if step is None else view.step(step).number
        moves = await database.reads.history(database.connection, [task], number)
        if common.json:
            print_json({"task_uuid": task, "transitions": moves})
            return exits.OK
        rows = [_move(move) for move in moves]
        print_table(("at", "step", "from", "to", "attempt", "by", "because"), rows, empty="nothing has happened")
        return exits.OK

    return with_database(common, work)


def _move(move: Transition) -> tuple[object, ...]:
    detail = move.detail or {}
    at = f"{move.at.astimezone():%Y-%m-%d %H:%M:%S.%f}"
    who, why = move.worker or detail.get("actor"), detail.get("message") or detail.get("reason")
    return at, move.name or "(task)", move.from_state, move.to_state, move.attempt, who, why


def summary(task: TaskId, /, *, common: Common = Common()) -> int:  # noqa: B008
    """Shows where the time of a task went."""

    async def work(database: Database) -> int:
        found = await database.reads.summaries(database.connection, [task])
        if not found:
            raise _not_found(task)
        known = found[0]
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

    return with_database(common, work)


def _not_found(task: UUID) -> TaskNotFound:
    return TaskNotFound(f"there is no task {task}: `tasker task list` shows those that there are")
