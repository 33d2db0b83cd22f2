"""A small model of what the engine promises, in plain Python: no tables, no locks, no queues.

It is told what the verbs are asked, and which steps the engine chose to grant where the choice is free; it says what
every state, count and history must then be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tasker.model.template import RetryPolicy, Template

LOOKBACK_S = 10
GRACE_S = 5
LOSSES_FORGIVEN = 1
LOSSES_MAX = 3
SATISFIED = ("complete", "resolved_manually")
FINAL = (*SATISFIED, "cancelled")

Key = tuple[UUID, int]


@dataclass
class Step:
    """One step. `holder` is the session that has it now; `recorded` the attempt and session whose outcome stands."""

    number: int
    parents: tuple[int, ...]
    policy: RetryPolicy
    timeout_s: float | None
    state: str = "pending"
    attempt: int = 0
    tries: int = 0
    losses: int = 0
    is_suspect: bool = False
    holder: int | None = None
    granted_at: datetime | None = None
    started_at: datetime | None = None
    due_at: datetime | None = None
    recorded: tuple[int, int] | None = None
    history: list[tuple[str | None, str]] = field(default_factory=list[tuple[str | None, str]])

    def move(self, state: str) -> None:
        """Changes the state, and remembers it."""
        self.history.append((self.state, state))
        self.state = state
        self.holder = self.holder if state == "in_progress" else None
        self.due_at = self.due_at if state == "waiting_for_retry" else None


@dataclass
class Task:
    """One task, with its steps by number."""

    task_id: UUID
    steps: dict[int, Step]
    state: str = "pending"
    is_begun: bool = False
    is_paused: bool = False
    history: list[tuple[str | None, str]] = field(default_factory=lambda: [(None, "pending")])

    def waiting(self, step: Step) -> int:
        """How many parents do not satisfy the step."""
        return sum(self.steps[parent].state not in SATISFIED for parent in step.parents)

    def is_due(self, step: Step) -> bool:
        """Whether the step waits for a time."""
        return step.state == "waiting_for_retry" or (step.state == "pending" and not step.parents)

    def is_live(self, step: Step) -> bool:
        """Whether the step can move by itself."""
        return step.state in ("enqueued", "in_progress", "waiting_for_retry") or (
            step.state == "pending" and not self.waiting(step)
        )

    def counters(self) -> tuple[int, int, int, int]:
        """Open, live, due and failed steps."""
        steps = self.steps.values()
        return (
            sum(step.state not in FINAL for step in steps),
            sum(self.is_live(step) for step in steps),
            sum(self.is_due(step) for step in steps),
            sum(step.state == "error" for step in steps),
        )

    def settle(self) -> None:
        """The state follows from the steps."""
        if self.state == "cancelled":
            return
        open_, live, due, failed = self.counters()
        state = (
            "complete"
            if not open_
            else "error"
            if not live
            else "blocked_by_failures"
            if failed
            else "pending"
            if not self.is_begun
            else "waiting_for_retry"
            if due == live
            else "steps_in_process"
        )
        self.is_begun = self.is_begun or state != "pending"
        self.is_paused = self.is_paused and state != "complete"
        if state != self.state:
            self.history.append((self.state, state))
            self.state = state


@dataclass
class Session:
    """A worker's session."""

    number: int
    lease_s: float
    beat_at: datetime
    is_ended: bool = False


class Model:
    """What must be true of the engine."""

    def __init__(self) -> None:
        self.tasks: dict[UUID, Task] = {}
        self.sessions: dict[int, Session] = {}
        self.swept_at: datetime | None = None

    def step(self, key: Key) -> Step:
        """A step by task and number."""
        return self.tasks[key[0]].steps[key[1]]

    def all_steps(self) -> Iterator[tuple[Task, Step]]:
        """Every step with its task."""
        for task in self.tasks.values():
            for step in task.steps.values():
                yield task, step

    def held_by(self, session: int) -> list[tuple[Task, Step]]:
        """What a session owns."""
        return [(task, step) for task, step in self.all_steps() if step.holder == session]

    # Verbs ------------------------------------------------------------------------------------------------------------

    def submit(self, task_id: UUID, template: Template, now: datetime, delay_s: float) -> None:
        """A new task."""
        numbers = {step.name: number for number, step in enumerate(template.steps, 1)}
        steps = {
            numbers[step.name]: Step(
                numbers[step.name], tuple(numbers[p] for p in step.dependencies), step.retry, step.timeout_seconds
            )
            for step in template.steps
        }
        self.tasks[task_id] = Task(task_id, steps)
        for step in steps.values():
            if not step.parents and delay_s > 0:
                step.due_at = now + timedelta(seconds=delay_s)
            elif not step.parents:
                step.move("enqueued")

    def available(self, *, suspects: bool) -> set[Key]:
        """What a claim may grant."""
        return {
            (task.task_id, step.number)
            for task, step in self.all_steps()
            if step.state == "enqueued" and not task.is_paused and step.is_suspect == suspects
        }

    def promote(self, now: datetime, since: datetime | None = None) -> None:
        """What has come due is ready."""
        ready = [
            (task, step)
            for task, step in self.all_steps()
            if step.due_at is not None and step.due_at <= now and (since is None or step.due_at > since)
        ]
        for _, step in ready:
            step.move("enqueued")
        self.settle(task.task_id for task, _ in ready)

    def claim(self, session: int, now: datetime, granted: Iterable[Key]) -> None:
        """A claim that granted these."""
        for key in granted:
            self._grant(self.step(key), session, now)
            task = self.tasks[key[0]]
            if not task.is_begun:
                task.is_begun = True
                task.settle()

    def begin(self, session: int, now: datetime, granted: Iterable[Key]) -> None:
        """A submit that granted these: they were never enqueued."""
        for key in granted:
            step = self.step(key)
            step.history.pop()
            step.state = "pending"
        self.claim(session, now, granted)

    def verdict(self, session: int, key: Key, attempt: int) -> str:
        """How a report of this attempt is judged."""
        step = self.tasks[key[0]].steps.get(key[1]) if key[0] in self.tasks else None
        if step is None:
            return "stale"
        if step.state == "in_progress" and (step.attempt, step.holder) == (attempt, session):
            return "recorded"
        return "already" if step.recorded == (attempt, session) else "stale"

    def record(self, session: int, key: Key, kind: str, retry_after_s: float | None, now: datetime) -> None:
        """An outcome that counts; its children are set free by `free_children`."""
        task, step = self.tasks[key[0]], self.step(key)
        step.recorded = (step.attempt, session)
        if kind == "released":
            wait_s = retry_after_s or 0
            step.started_at = None
            self._wait(step, now, wait_s) if wait_s > 0 else step.move("enqueued")
            return
        step.tries += 1
        step.is_suspect = False
        if kind == "succeeded":
            step.move("complete")
        elif kind == "retryable" and step.policy.retryable and step.tries < step.policy.max_attempts:
            self._wait(step, now, _policy_wait_s(step) if retry_after_s is None else max(0, retry_after_s))
        else:
            step.move("error")
        task.is_begun = True

    def freed(self, keys: Iterable[Key]) -> set[Key]:
        """Children of these steps that now wait for nobody."""
        return {
            (task_id, child.number)
            for task_id, number in keys
            for child in self.tasks[task_id].steps.values()
            if number in child.parents and child.state == "pending" and not self.tasks[task_id].waiting(child)
        }

    def place(self, freed: Iterable[Key], granted: set[Key], session: int, now: datetime) -> None:
        """Freed children are handed over or become ready; those of a paused task stay."""
        for key in freed:
            if key in granted:
                self._grant(self.step(key), session, now)
            elif not self.tasks[key[0]].is_paused:
                self.step(key).move("enqueued")

    def settle(self, task_ids: Iterable[UUID]) -> None:
        """The states of these tasks follow."""
        for task_id in task_ids:
            self.tasks[task_id].settle()

    def beat(self, session: int, now: datetime, started: Iterable[tuple[Key, int]]) -> bool:
        """Whether the session lives; notes what has started."""
        for key, attempt in started:
            step = self.step(key)
            if (step.state, step.attempt, step.holder) == ("in_progress", attempt, session):
                step.started_at = now
        found = self.sessions[session]
        if not found.is_ended:
            found.beat_at = max(found.beat_at, now)
        return not found.is_ended

    def end(self, session: int, *, is_loss: bool) -> None:
        """Ends a session; what it held is ready again, or over."""
        if self.sessions[session].is_ended:
            return
        self.sessions[session].is_ended = True
        held = self.held_by(session)
        for task, step in held:
            counts = is_loss and step.is_suspect and step.started_at is not None
            step.losses += counts
            step.is_suspect = step.is_suspect or (is_loss and step.attempt - step.tries > LOSSES_FORGIVEN)
            step.started_at = None
            is_over = step.policy.max_attempts == 1 or (counts and step.losses >= LOSSES_MAX)
            step.move("error" if is_over else "enqueued")
            task.is_begun = True
        self.settle(task.task_id for task, _ in held)

    def sweep(self, now: datetime) -> None:
        """The net under everything."""
        living = [session for session in self.sessions.values() if not session.is_ended]
        half_lease = timedelta(seconds=min((session.lease_s for session in living), default=15) / 2)
        was_away = self.swept_at is None or now - self.swept_at > half_lease
        self.swept_at = now
        if was_away:
            for session in living:
                session.beat_at = now
            return
        for session in living:
            if session.beat_at + timedelta(seconds=session.lease_s) < now:
                self.end(session.number, is_loss=True)
        self.promote(now)
        for session in living:
            late = [(task, step) for task, step in self.held_by(session.number) if self._is_overdue(step, now)]
            for task, step in late:
                self.record(session.number, (task.task_id, step.number), "retryable", None, now)
                step.recorded = None
            self.settle(task.task_id for task, _ in late)

    def _is_overdue(self, step: Step, now: datetime) -> bool:
        if step.timeout_s is None or step.started_at is None:
            return False
        return step.started_at + timedelta(seconds=step.timeout_s + GRACE_S) < now

    # Operators --------------------------------------------------------------------------------------------------------

    def allows(self, action: str, task_id: UUID, number: int | None) -> bool:
        """Whether an action is possible now."""
        task = self.tasks[task_id]
        if number is None:
            return task.state not in ("complete", "cancelled") and (task.state != "error" or action == "cancel")
        state = task.steps[number].state
        if task.state in ("complete", "cancelled") or state in FINAL:
            return False
        return action != "retry" or state in ("error", "waiting_for_retry")

    def act(self, action: str, task_id: UUID, number: int | None, now: datetime) -> None:
        """An action that is possible."""
        task = self.tasks[task_id]
        if number is not None:
            self._act_on_step(action, task, task.steps[number], now)
        elif action == "cancel":
            for step in task.steps.values():
                if step.state not in FINAL:
                    step.move("cancelled")
                    step.recorded = step.due_at = None
            task.history.append((task.state, "cancelled"))
            task.state, task.is_paused = "cancelled", False
        elif task.is_paused != (action == "pause"):
            task.is_paused = action == "pause"
            task.history.append((task.state, task.state))
            for step in task.steps.values() if action == "resume" else ():
                if step.state == "pending" and step.parents and not task.waiting(step):
                    step.move("enqueued")

    def _act_on_step(self, action: str, task: Task, step: Step, now: datetime) -> None:
        step.recorded = step.due_at = None
        if action == "retry":
            step.tries = step.losses = 0
            step.is_suspect = False
            step.move("enqueued")
        else:
            step.move("resolved_manually" if action == "resolve" else "complete")
            self.place(self.freed([(task.task_id, step.number)]), set(), 0, now)
        task.settle()

    # Parts ------------------------------------------------------------------------------------------------------------

    def _grant(self, step: Step, session: int, now: datetime) -> None:
        step.move("in_progress")
        step.attempt += 1
        step.holder, step.granted_at, step.started_at, step.recorded = session, now, None, None

    def _wait(self, step: Step, now: datetime, wait_s: float) -> None:
        step.move("waiting_for_retry")
        step.due_at = now + timedelta(seconds=wait_s)


def _policy_wait_s(step: Step) -> float:
    base, cap = step.policy.backoff_base_ms / 1000, step.policy.max_backoff_ms / 1000
    before, factor = 0, 1
    for _ in range(step.tries - 1):
        before, factor = factor, before + factor
    factors: dict[str, Any] = {
        "none": 0,
        "linear": step.tries,
        "exponential": 2 ** (step.tries - 1),
        "fibonacci": factor,
    }
    return min(cap, base * factors[step.policy.backoff])
