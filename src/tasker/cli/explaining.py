"""`tasker task why`: what keeps a task from going on."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.common import TaskId, Where
from tasker.cli.doors import Door, with_door
from tasker.cli.show import print_json, print_line, print_table
from tasker.model.errors import StepNotFound
from tasker.model.why import StepWhy, TaskWhy


def why(
    task: TaskId,
    /,
    *,
    step: Annotated[str | None, Parameter(help="Only this step.")] = None,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Shows every condition that keeps the open steps of a task from going on."""

    async def work(door: Door) -> TaskWhy:
        return await door.explain(task)

    found = with_door(common, work)
    steps = [each for each in found.steps if step in (None, each.name)]
    if step is not None and not steps:
        raise StepNotFound(f'task {task} has no open step "{step}": `tasker task steps {task}` shows all of them')
    if common.json:
        print_json(_as_json(found, steps))
        return exits.OK
    print_line(found.said)
    rows = [
        (each.name if place == 0 else None, each.state if place == 0 else None, condition.said)
        for each in steps
        for place, condition in enumerate(each.conditions)
    ]
    print_table(("step", "state", "why"), rows, empty="no step is open")
    return exits.OK


def _as_json(found: TaskWhy, steps: list[StepWhy]) -> dict[str, Any]:
    return {
        "task_uuid": found.task_uuid,
        "status": found.state,
        "is_paused": found.is_paused,
        "said": found.said,
        "steps": [_step_as_json(each) for each in steps],
    }


def _step_as_json(step: StepWhy) -> dict[str, Any]:
    return {
        "step_uuid": step.step_uuid,
        "number": step.number,
        "name": step.name,
        "state": step.state,
        "handler": step.handler,
        "queue": step.queue,
        "conditions": [{"kind": one.kind, "said": one.said, **one.data} for one in step.conditions],
    }
