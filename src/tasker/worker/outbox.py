"""The outbox: outcomes on their way to the database, and the grants of which nothing is held any more.

An outcome leaves it with a report and comes back when it was not recorded. Most come back because their task is busy
for a moment. What comes back too often, or what the database will not take now for a reason of its own, is late: it is
sent apart from the others, task by task, now and then, so that one stuck task holds nobody else up.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from tasker.worker.held import Held

BATCH_MAX = 500
DEFERRED_ROUNDS_MAX = 4
LATE_PAUSE_S, LATE_PAUSE_MAX_S = 0.05, 1.0
FINISHED_MIN = 4


@dataclass(slots=True)
class Batch:
    """Outcomes for one report. Late ones are of one task, and may wait a moment for it."""

    outcomes: list[Held]
    is_late: bool


class Outbox:
    """Finished steps in the order in which they came, late ones apart."""

    def __init__(self) -> None:
        self._ready: dict[Held, None] = {}
        self._late: dict[Held, None] = {}
        self._late_at = 0.0
        self._late_pause_s = LATE_PAUSE_S

    def put(self, held: Held) -> None:
        """An outcome to be reported."""
        if held not in self._late:
            self._ready[held] = None

    def defer(self, held: Held) -> None:
        """Its task is busy: it goes with the next report, or is late by now."""
        held.rounds += 1
        if held.rounds < DEFERRED_ROUNDS_MAX:
            self._ready[held] = None
        else:
            self.postpone(held)

    def postpone(self, held: Held) -> None:
        """It cannot be recorded now, whatever the others can."""
        if not self._late:
            self._late_at = time.monotonic() + self._late_pause_s
        self._late[held] = None

    def take(self) -> Batch | None:
        """What to report now."""
        if self._late and self._late_at <= time.monotonic():
            task_id = next(iter(self._late)).task_id
            late = list(islice((held for held in self._late if held.task_id == task_id), BATCH_MAX))
            for held in late:
                del self._late[held]
            self._late_pause_s = min(self._late_pause_s * 2, LATE_PAUSE_MAX_S)
            self._late_at = time.monotonic() + self._late_pause_s
            return Batch(late, is_late=True)
        if not self._late:
            self._late_pause_s = LATE_PAUSE_S
        if not self._ready:
            return None
        batch = list(self._ready) if len(self._ready) <= BATCH_MAX else list(islice(self._ready, BATCH_MAX))
        for held in batch:
            del self._ready[held]
        return Batch(batch, is_late=False)

    def late_went(self) -> None:
        """Late ones were recorded: what made them late may be over, and the others need not wait."""
        self._late_pause_s, self._late_at = LATE_PAUSE_S, 0.0

    @property
    def has_ready(self) -> bool:
        """True when something can be reported at once."""
        return bool(self._ready)

    @property
    def next_s(self) -> float | None:
        """Seconds until late outcomes are due; None where there are none."""
        return max(0.0, self._late_at - time.monotonic()) if self._late else None

    def clear(self) -> list[Held]:
        """Gives up what it has."""
        rest = list(self)
        self._ready.clear()
        self._late.clear()
        return rest

    def __iter__(self) -> Iterator[Held]:
        yield from self._ready
        yield from self._late

    def __len__(self) -> int:
        return len(self._ready) + len(self._late)


class Grants:
    """How many steps of each grant are held still. A grant is over with its last step.

    Those that are over are reported a few at a time, with a report of outcomes: nothing waits for it, because a grant
    says only where to look, and what became of its steps is written in the steps.
    """

    def __init__(self) -> None:
        self._sizes: Counter[int] = Counter()
        self._finished: list[int] = []

    def add(self, held: Held) -> None:
        """A step of this grant is held."""
        self._sizes[held.grant_no] += 1

    def let_go(self, held: Held) -> None:
        """Nobody has to know of this step any more."""
        if held.is_let_go:
            return
        held.is_let_go = True
        self._sizes[held.grant_no] -= 1
        if self._sizes[held.grant_no] <= 0:
            del self._sizes[held.grant_no]
            self._finished.append(held.grant_no)

    def take_finished(self) -> list[int]:
        """The grants that are over, to be reported; none while they are few."""
        if len(self._finished) < FINISHED_MIN:
            return []
        finished, self._finished = self._finished, []
        return finished

    def put_back(self, finished: list[int]) -> None:
        """The report of these failed."""
        self._finished += finished

    def clear(self) -> None:
        """The session is over, and its grants with it."""
        self._sizes.clear()
        self._finished.clear()
