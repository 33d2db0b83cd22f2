"""The options that say which tasks are meant: of lists, and of actions on many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from cyclopts import Parameter

from tasker.cli.common import many, moment
from tasker.cli.exits import UsageError
from tasker.model.states import TaskState
from tasker.model.task import TaskFilter


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Which tasks."""

    state: Annotated[tuple[TaskState, ...] | None, many("Only tasks in one of these states.")] = None
    namespace: Annotated[str | None, Parameter(help="Only of this namespace.")] = None
    name: Annotated[str | None, Parameter(help="Only of templates of this name.")] = None
    version: Annotated[str | None, Parameter(help="Only of this version.")] = None
    tag: Annotated[str | None, Parameter(help="Only those that have this tag.")] = None
    correlation_id: Annotated[UUID | None, Parameter(help="Only those that belong together by this.")] = None
    initiator: Annotated[str | None, Parameter(help="Only those that this one asked for.")] = None
    since: Annotated[str | None, Parameter(help="Created at this time or later: ISO 8601, or an age such as 2h.")] = (
        None
    )
    until: Annotated[str | None, Parameter(help="Created before this time.")] = None
    completed_since: Annotated[str | None, Parameter(help="Ended at this time or later.")] = None
    completed_until: Annotated[str | None, Parameter(help="Ended before this time.")] = None
    field: Annotated[
        tuple[str, ...] | None, many("PATH=VALUE: only those whose input has this there; templates declare the paths.")
    ] = None

    def filter(self) -> TaskFilter:
        """The filter that the options make. Raises UsageError."""
        return TaskFilter(
            states=self.state or None,
            namespace=self.namespace,
            name=self.name,
            version=self.version,
            tag=self.tag,
            correlation_id=self.correlation_id,
            initiator=self.initiator,
            created_from=moment(self.since, "--since"),
            created_until=moment(self.until, "--until"),
            completed_from=moment(self.completed_since, "--completed-since"),
            completed_until=moment(self.completed_until, "--completed-until"),
            fields=_fields(self.field),
        )


def _fields(words: tuple[str, ...] | None) -> dict[str, str | int | float | bool] | None:
    if not words:
        return None
    parted = [word.partition("=") for word in words]
    for path, equals, _ in parted:
        if not path or not equals:
            raise UsageError("--field: write PATH=VALUE, such as customer.id=17")
    return {path: value for path, _, value in parted}
