"""Why a task waits: the conditions of its open steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from tasker.model.ids import step_uuid
from tasker.model.states import StepState, TaskState

ConditionKind = Literal[
    "in_progress",
    "granted",
    "failed",
    "blocked",
    "parents",
    "batch",
    "retry",
    "start",
    "paused",
    "no_worker",
    "breaker",
    "queue",
    "lost",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One thing that keeps a step from going on, or (`in_progress`, `granted`) what it is at."""

    kind: ConditionKind
    said: str
    """In words."""
    data: Mapping[str, Any]
    """The same for programs; the keys of each kind stand in docs/why.md. Times are ISO 8601, durations in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepWhy:
    """An open step, and all that it waits for."""

    task_uuid: UUID
    number: int
    name: str
    state: StepState
    handler: str
    queue: str
    conditions: tuple[Condition, ...]

    @property
    def step_uuid(self) -> UUID:
        """The step's public id."""
        return step_uuid(self.task_uuid, self.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskWhy:
    """Where a task stands, in a sentence, and what each of its open steps waits for."""

    task_uuid: UUID
    state: TaskState
    is_paused: bool
    said: str
    steps: tuple[StepWhy, ...]
