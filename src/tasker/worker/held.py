"""A step that the worker holds, from its grant until its outcome is recorded."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from tasker.model.outcome import Outcome

if TYPE_CHECKING:
    from tasker.handlers import StepContext
    from tasker.worker.plans import StepPlan

POOLS = ("async", "thread", "process")
"""The slot pools; the verbs count them from 1."""


@dataclass(frozen=True, slots=True)
class Member:
    """Which part of its batch a step is: its id, and what it works on as JSON (None: there is nothing)."""

    batch_id: str
    cursor: str | None


@dataclass(slots=True, eq=False)
class Held:
    """One grant and what becomes of it.

    `results` are JSON texts by step name: of parents, and of further ancestors that this worker has seen. They go on to
    the steps that this one frees, so that a chain that stays on one worker reads nothing again.
    """

    task_id: UUID
    number: int
    attempt: int
    tries: int
    grant_no: int
    plan: StepPlan
    inputs: str
    results: dict[str, str]
    correlation_id: UUID | None
    is_alone: bool
    is_unchecked: bool
    pool: int
    member: Member | None = None
    checkpoint: str | None = None
    started_at: float = 0.0
    alive_at: float = 0.0
    """When it started, or last said that it is alive: its timeout runs from here."""
    deadline: float | None = None
    context: StepContext | None = None
    cancel: Callable[[], object] | None = None
    outcome: Outcome | None = None
    run_s: float = 0.0
    is_timed_out: bool = False
    is_gone: bool = False
    is_released: bool = False
    is_left: bool = False
    """Its outcome is settled although its handler still runs."""
    is_announced: bool = False
    is_let_go: bool = False
    is_refused: bool = False
    """The database refused its outcome for its data; the outcome now says so."""
    rounds: int = field(default=0)
    """How many times its outcome was deferred."""

    @property
    def name(self) -> str:
        """The step's name; that of a member of a batch is its batch's with its id."""
        name = self.plan.step.name
        return name if self.member is None else f"{name}_{self.member.batch_id}"

    @property
    def key(self) -> tuple[UUID, int]:
        """Which step of which task."""
        return self.task_id, self.number

    @property
    def is_told(self) -> bool:
        """True when its handler was told to stop."""
        return self.is_gone or self.is_released or self.is_timed_out

    def live(self) -> None:
        """A sign of life of its handler, from whatever thread: it gets its time anew."""
        timeout_s = self.plan.step.timeout_seconds
        if timeout_s is None or self.is_told or self.context is None:
            return
        self.alive_at = time.monotonic()
        self.deadline = self.context.deadline = self.alive_at + timeout_s
        self.is_announced = False
