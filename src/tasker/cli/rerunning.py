"""`tasker task rerun` and `lineage`: running a task again from one of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Protocol
from uuid import UUID

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.acting import Actor, Reason, login_name
from tasker.cli.common import TaskId, Where, flag, json_option, json_value
from tasker.cli.database import Database
from tasker.cli.either import on_either, record
from tasker.cli.show import print_json, print_line, print_table, time
from tasker.model.errors import InvalidInput
from tasker.model.ids import uuid7
from tasker.model.jobs import Fork, RerunStep
from tasker.model.states import TaskState
from tasker.store import reruns

if TYPE_CHECKING:
    from tasker.client import AsyncTaskerClient


class RerunWay(Protocol):
    """What the commands ask; see `tasker.cli.either`."""

    async def rerun(
        self, task: UUID, step: str, said: Mapping[str, Any], *, dry_run: bool
    ) -> tuple[list[RerunStep], UUID | None]:
        """What is done with each step, and the new task."""
        ...

    async def lineage(self, task: UUID) -> list[Fork]:
        """The family of a task."""
        ...


class DatabaseReruns:
    """By the verb and the reads."""

    def __init__(self, database: Database) -> None:
        self._on, self._reads, self._schema = database.connection, database.reads, database.settings.schema_name

    async def rerun(
        self, task: UUID, step: str, said: Mapping[str, Any], *, dry_run: bool
    ) -> tuple[list[RerunStep], UUID | None]:
        """The plan, then the verb."""
        number = (await self._reads.task_view(self._on, task)).step(step).number
        plan = await reruns.plan_rerun(self._on, task, number, schema=self._schema)
        if dry_run:
            return plan, None
        return plan, await reruns.rerun(self._on, uuid7(), task, number, **said, schema=self._schema)

    async def lineage(self, task: UUID) -> list[Fork]:
        """A wrong id is an error."""
        await self._reads.task_view(self._on, task)
        return await reruns.lineage(self._on, task, schema=self._schema)


class ServerReruns:
    """By the client."""

    def __init__(self, client: AsyncTaskerClient) -> None:
        self._client = client

    async def rerun(
        self, task: UUID, step: str, said: Mapping[str, Any], *, dry_run: bool
    ) -> tuple[list[RerunStep], UUID | None]:
        """One request."""
        made = await self._client.rerun_task(task, step, dry_run=dry_run, **said)
        return [record(RerunStep, each) for each in made.steps], made.task_uuid

    async def lineage(self, task: UUID) -> list[Fork]:
        """One request."""
        return [record(Fork, one, state=TaskState(one.state)) for one in await self._client.get_lineage(task)]


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
    common: Where = Where(),  # noqa: B008
) -> int:
    """Runs a task again from a step, as a new task."""
    context = None if input is None else _object(input, "--input")
    changes = None if patch is None else _object(patch, "--patch")

    said = {"actor": actor or login_name(), "reason": reason, "context": context, "patch": changes}

    async def work(way: RerunWay) -> tuple[list[RerunStep], UUID | None]:
        return await way.rerun(task, step, said, dry_run=dry_run)

    plan, made = on_either(common, DatabaseReruns, ServerReruns, work)
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


def lineage(task: TaskId, /, *, common: Where = Where()) -> int:  # noqa: B008
    """Shows which reruns a task belongs to."""

    async def work(way: RerunWay) -> list[Fork]:
        return await way.lineage(task)

    found = on_either(common, DatabaseReruns, ServerReruns, work)
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
