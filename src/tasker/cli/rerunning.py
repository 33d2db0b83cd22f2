"""`tasker task rerun` and `lineage`: running a task again from one of its steps."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.acting import Actor, Reason, login_name
from tasker.cli.common import Common, TaskId, flag, json_option, json_value
from tasker.cli.database import Database, with_database
from tasker.cli.show import print_json, print_line, print_table, time
from tasker.model.errors import InvalidInput
from tasker.model.jobs import Fork, RerunStep
from tasker.store import reruns


def rerun(
    task: TaskId,
    /,
    *,
    step: Annotated[str, Parameter(name="--from", help="The step that runs again, with all that depends on it.")],
    input: Annotated[str | None, json_option("The new task's input, as JSON")] = None,
    patch: Annotated[str | None, json_option("Keys to put over the input, as JSON")] = None,
    dry_run: Annotated[bool, flag("Show what would be done with each step, and write nothing.")] = False,
    reason: Reason = None,
    actor: Actor = None,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Runs a task again from a step, as a new task."""
    context = None if input is None else _object(input, "--input")
    changes = None if patch is None else _object(patch, "--patch")

    async def work(database: Database) -> tuple[list[RerunStep], UUID | None]:
        from tasker.model.ids import uuid7

        connection, schema = database.connection, database.settings.schema_name
        number = (await database.reads.task_view(connection, task)).step(step).number
        plan = await reruns.plan_rerun(connection, task, number, schema=schema)
        if dry_run:
            return plan, None
        made = await reruns.rerun(
            connection,
            uuid7(),
            task,
            number,
            actor=actor or login_name(),
            reason=reason,
            context=context,
            patch=changes,
            schema=schema,
        )
        return plan, made

    plan, made = with_database(common, work)
    if common.json:
        print_json({"task_uuid": made, "origin_uuid": task, "is_dry_run": dry_run, "steps": plan})
    elif made is not None:
        print_line(str(made))
    else:
        rows = [(each.name, each.state, each.what) for each in plan]
        print_table(("step", "state", "in the rerun"), rows, empty="no steps")
    return exits.OK


def _object(text: str, option: str) -> dict[str, Any]:
    value = json_value(text, option)
    if not isinstance(value, dict):
        raise InvalidInput(f"{option} is a JSON object")
    return value  # pyright: ignore[reportUnknownVariableType] - JSON


def lineage(task: TaskId, /, *, common: Common = Common()) -> int:  # noqa: B008
    """Shows which reruns a task belongs to."""

    async def work(database: Database) -> list[Fork]:
        await database.reads.task_view(database.connection, task)
        return await reruns.lineage(database.connection, task, schema=database.settings.schema_name)

    found = with_database(common, work)
    if common.json:
        print_json({"task_uuid": task, "forks": found})
    else:
        rows = [
            (f.task_uuid, f.origin_uuid, f.from_step, "yes" if f.is_edited else None, f.state, f.actor, time(f.at))
            for f in found
        ]
        columns = ("task", "rerun of", "from", "edited", "state", "by", "at")
        print_table(columns, rows, empty="it was never rerun, and is no rerun")
    return exits.OK
