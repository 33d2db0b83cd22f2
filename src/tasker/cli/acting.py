"""`tasker task cancel|pause|resume` and `tasker step retry|resolve|complete`: what an operator does."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID, uuid4

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.common import StepName, TaskId, Where, json_option, json_value
from tasker.cli.doors import Door, with_door
from tasker.cli.show import print_json, print_line

Reason = Annotated[str | None, Parameter(help="Why; it is kept in the history.")]
Actor = Annotated[str | None, Parameter(help="Who; your login name where it is not given.")]
Seen = Annotated[str | None, Parameter(help="Only if it is in this state.")]
ActId = Annotated[UUID | None, Parameter(help="The same id again does nothing again, and answers the same.")]


def cancel(
    task: TaskId, /, *, reason: Reason = None, actor: Actor = None, if_state: Seen = None, act_id: ActId = None,
    common: Where = Where(),  # noqa: B008
) -> int:  # fmt: skip
    """Ends a task."""
    return _act("cancel", task, common, reason=reason, actor=actor, if_state=if_state, act_id=act_id)


def pause(
    task: TaskId, /, *, reason: Reason = None, actor: Actor = None, if_state: Seen = None, act_id: ActId = None,
    common: Where = Where(),  # noqa: B008
) -> int:  # fmt: skip
    """Pauses a task."""
    return _act("pause", task, common, reason=reason, actor=actor, if_state=if_state, act_id=act_id)


def resume(
    task: TaskId, /, *, reason: Reason = None, actor: Actor = None, if_state: Seen = None, act_id: ActId = None,
    common: Where = Where(),  # noqa: B008
) -> int:  # fmt: skip
    """Lets a paused task go on."""
    return _act("resume", task, common, reason=reason, actor=actor, if_state=if_state, act_id=act_id)


def retry(
    task: TaskId, step: StepName, /, *, reason: Reason = None, actor: Actor = None, if_state: Seen = None,
    act_id: ActId = None, common: Where = Where(),  # noqa: B008
) -> int:  # fmt: skip
    """Runs a failed step again."""
    return _act("retry", task, common, step=step, reason=reason, actor=actor, if_state=if_state, act_id=act_id)


def resolve(
    task: TaskId, step: StepName, /, *, reason: Reason = None, actor: Actor = None, if_state: Seen = None,
    act_id: ActId = None, common: Where = Where(),  # noqa: B008
) -> int:  # fmt: skip
    """Counts a step as done."""
    return _act("resolve", task, common, step=step, reason=reason, actor=actor, if_state=if_state, act_id=act_id)


def complete(
    task: TaskId, step: StepName, /, *,
    result: Annotated[str, json_option("The step's result, as JSON")],
    reason: Reason = None, actor: Actor = None, if_state: Seen = None, act_id: ActId = None,
    common: Where = Where(),  # noqa: B008
) -> int:  # fmt: skip
    """Gives a step its result."""
    given = json_value(result, "--result")
    return _act(
        "complete", task, common, step=step, reason=reason, actor=actor, if_state=if_state, act_id=act_id, result=given
    )


def _act(
    action: str,
    task: UUID,
    common: Where,
    *,
    step: str | None = None,
    reason: str | None,
    actor: str | None,
    if_state: str | None,
    act_id: UUID | None,
    result: Any = None,
) -> int:
    """One action, recorded with who and why; an answer that was lost can be asked for again by the same id."""

    async def work(door: Door) -> Mapping[str, Any]:
        return await door.act(
            action,
            task,
            step=step,
            act_id=act_id or uuid4(),
            seen_state=if_state,
            actor=actor or login_name(),
            reason=reason,
            result=result,
        )

    answer = with_door(common, work)
    stands = {name: answer[name] for name in ("task_state", "is_paused", "step_state")}
    if common.json:
        print_json({"action": action, "task_uuid": task, "step": step, **stands})
    elif step is not None:
        print_line(f"step {step} is {answer['step_state']}, task {task} is {answer['task_state']}")
    else:
        print_line(f"task {task} is {answer['task_state']}{', paused' if answer['is_paused'] else ''}")
    return exits.OK


def login_name() -> str:
    """Who works at this machine."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"
