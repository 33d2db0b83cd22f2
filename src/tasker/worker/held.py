"""A step that the worker holds, from its grant until its outcome is recorded."""

from __future__ import annotations

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
    started_at: float = 0.0
    deadline: float | None = None
    context: StepContext | None = None
    cancel: Callable[[], object] | None = None
    outcome: Outcome | None = None
    run_s: float = 0.0
    is_timed_out: bool = False
    is_gone: bool = False
    is_released: bool = False
    is_announced: bool = False
    is_let_go: bool = False
    rounds: int = field(default=0)
    """How many times its outcome was deferred."""

    @property
    def key(self) -> tuple[UUID, int]:
        """Which step of which task."""
        return self.task_id, self.number
