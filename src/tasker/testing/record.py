"""What became of a task in a test: fields to read, and assertions that tell the whole story when they fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal
from uuid import UUID

from tasker.model.event import DomainEvent
from tasker.model.outcome import OutcomeKind
from tasker.model.states import TaskState
from tasker.model.task import StepView, TaskView, Transition

AttemptKind = OutcomeKind | Literal["lost", "stale"]
_NEAR_S = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt of one step, as the worker saw it.

    `kind` is how it ended: `succeeded`, `decided` (a decision that was made), `batched` (work that was cut), `expanded`
    (a batch that got its members), `failed`, `retryable`, `released` (handed back), `lost` (its worker died), `stale`
    (somebody had cancelled it). Times are those of the clock that moves by
    itself: it stands still while a handler runs, unless the handler moves it.
    """

    step: str
    attempt: int
    tries: int
    kind: AttemptKind
    began_at: datetime
    ended_at: datetime
    result: Any = None
    error: Mapping[str, Any] | None = None
    retry_after: float | None = None
    checkpoints: tuple[Mapping[str, Any], ...] = ()
    """What it saved: cursor, items_processed and accumulated of each."""
    is_injected: bool = False
    """True when a fault of the test made it end so."""

    def __str__(self) -> str:
        said = ""
        if self.error is not None:
            code = f" [{self.error['error_code']}]" if self.error.get("error_code") else ""
            said = f": {self.error.get('error_type')}{code}: {self.error.get('message')}"
        injected = " (injected)" if self.is_injected else ""
        return f"{self.step}, attempt {self.attempt}: {self.kind}{said}{injected}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """A task as it was when it had ended, or when nothing could move any more.

    `view` is what `Tasker.get` answers, `attempts` are in the order in which they began, `history` holds each move of
    the task and of its steps. All times are those of the moved clock.
    """

    view: TaskView
    attempts: tuple[Attempt, ...]
    history: tuple[Transition, ...]
    all_events: tuple[DomainEvent, ...] = ()
    """The domain events that its steps told, with those that were not published: their `status` says so."""

    @property
    def events(self) -> list[DomainEvent]:
        """The domain events that were published, in order; subscribers are not called in tests."""
        return [event for event in self.all_events if event.status == "published"]

    @property
    def task_uuid(self) -> UUID:
        """The task's id."""
        return self.view.task_uuid

    @property
    def status(self) -> TaskState:
        """Where the task stands."""
        return self.view.status

    @property
    def results(self) -> Mapping[str, Any]:
        """What the complete steps returned, by name."""
        return self.view.results

    @property
    def errors(self) -> Mapping[str, Mapping[str, Any]]:
        """The error records of the steps in `error`, by name."""
        return self.view.errors

    @property
    def states(self) -> dict[str, str]:
        """Where each step stands, by name, in the order of the template."""
        return {step.name: _status(step) for step in self.view.steps}

    @property
    def order(self) -> list[str]:
        """The steps that began, in the order in which they began first."""
        return list(dict.fromkeys(attempt.step for attempt in self.attempts))

    @property
    def elapsed_s(self) -> float:
        """Seconds from the submission until the last thing that happened, on the moved clock."""
        return self._since(max((move.at for move in self.history), default=self.view.created_at))

    def attempts_of(self, step: str) -> list[Attempt]:
        """The attempts of one step. Raises StepNotFound."""
        self.view.step(step)
        return [attempt for attempt in self.attempts if attempt.step == step]

    def waits(self, step: str) -> list[float]:
        """Seconds from the end of each attempt of a step until the next one began. Raises StepNotFound."""
        return [(later.began_at - one.ended_at).total_seconds() for one, later in pairwise(self.attempts_of(step))]

    def moves(self, step: str | None = None) -> list[str]:
        """The states that a step (None: the task) went through, in order. Raises StepNotFound."""
        number = 0 if step is None else self.view.step(step).number
        moves = sorted((move for move in self.history if move.number == number), key=lambda move: move.seq)
        return [move.to_state for move in moves]

    # Assertions -------------------------------------------------------------------------------------------------------

    def assert_complete(self) -> None:
        """Every step that was to run has succeeded."""
        __tracebackhide__ = True
        self.assert_status(TaskState.COMPLETE)

    def assert_status(self, status: TaskState | str) -> None:
        """The task stands there."""
        __tracebackhide__ = True
        self._expect(self.status == status, f"the task is {self.status}, not {status}")

    def assert_failed(self, step: str, error_code: str | None = None) -> None:
        """The step ended in error, with this error code if one is given."""
        __tracebackhide__ = True
        state, error = _status(self.view.step(step)), self.errors.get(step)
        self._expect(state == "error", f'step "{step}" is {state}, not error')
        found = (error or {}).get("error_code")
        self._expect(error_code in (None, found), f'step "{step}" failed with error code {found}, not {error_code}')

    def assert_order(self, *steps: str) -> None:
        """These steps began, in this order; others may have begun between them."""
        __tracebackhide__ = True
        began = [name for name in self.order if name in {self.view.step(step).name for step in steps}]
        self._expect(began == list(steps), f"the order is {' -> '.join(began)}, not {' -> '.join(steps)}")

    def assert_attempts(self, **counts: int) -> None:
        """So many attempts were made of these steps; 0 for one that never began."""
        __tracebackhide__ = True
        found = {step: len(self.attempts_of(step)) for step in counts}
        self._expect(found == counts, f"the attempts are {found}, not {counts}")

    def assert_waits(self, step: str, *seconds: float) -> None:
        """So long it took from each attempt of the step to the next, to the millisecond."""
        __tracebackhide__ = True
        found = self.waits(step)
        is_so = len(found) == len(seconds) and all(
            abs(one - other) <= _NEAR_S for one, other in zip(found, seconds, strict=True)
        )
        self._expect(is_so, f'step "{step}" waited {found} s between its attempts, not {list(seconds)}')

    def assert_events(self, *names: str) -> None:
        """Exactly these domain events were published, in this order."""
        __tracebackhide__ = True
        found = [event.name for event in self.events]
        self._expect(found == list(names), f"the events are {found}, not {list(names)}")

    def assert_not_run(self, *steps: str) -> None:
        """None of these steps began."""
        __tracebackhide__ = True
        ran = [step for step in steps if self.attempts_of(step)]
        self._expect(not ran, f"these steps ran: {', '.join(ran)}")

    def _since(self, moment: datetime) -> float:
        return (moment - self.view.created_at).total_seconds()

    def _expect(self, is_so: bool, problem: str) -> None:
        __tracebackhide__ = True
        if not is_so:
            raise AssertionError(f"{problem}\n{self}")

    def __str__(self) -> str:
        task = self.view.task
        lines = [
            f"{task.namespace}/{task.name}@{task.version} is {self.status} after {self.elapsed_s:.3f} s:",
            *(f"{self._since(attempt.began_at):9.3f} s  {attempt}" for attempt in self.attempts),
            *(f"  {step} is in error: {error.get('message')}" for step, error in self.errors.items()),
            *(f"  event {one.name} of {one.step_name} is {one.status}: {_said(one)}" for one in self.all_events),
            "  steps: " + ", ".join(f"{name} {state}" for name, state in self.states.items()),
        ]
        return "\n".join(lines)


def _status(step: StepView) -> str:
    """Its state; where a decision did not choose it, that."""
    return str(getattr(step, "status", step.state))


def _said(event: DomainEvent) -> str:
    return event.problem or str(event.payload)
