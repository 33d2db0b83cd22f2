"""What the heartbeats of a worker say: asked for in their thread, about what runs in the loop's."""

from __future__ import annotations

import time

from tasker.worker.heartbeat import Pulse
from tasker.worker.held import Held
from tasker.worker.turns import Turns


class Pulses:
    """One after the other; what one said is not said again once it has arrived()."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._stale_said = self._stale_saying = 0
        self._announcing: list[tuple[Held, float]] = []

    def next(self) -> Pulse:
        """What is to be said now."""
        now = time.monotonic()
        running = self._turns.running()
        self._stale_saying = self._turns.counts["stale"]
        self._announcing = [(held, held.alive_at) for held in running if held.started_at and not held.is_announced]
        return Pulse(
            self._turns.session,
            self._turns.is_idle,
            self._stale_saying - self._stale_said,
            [(held.task_id, held.number, held.attempt, now - alive_at) for held, alive_at in self._announcing],
            [(held.task_id, held.number, held.attempt) for held in running],
        )

    def arrived(self, *, session_ended: bool) -> None:
        """The last one was heard. A session that has ended took no note of stale outcomes."""
        if not session_ended:
            self._stale_said = self._stale_saying
        for held, alive_at in self._announcing:
            held.is_announced = held.alive_at == alive_at
