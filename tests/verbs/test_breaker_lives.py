"""Random lives of a breaker: after each move it is as a model says, and hands out as many steps as the model does."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from support.breakers import DOWN, act, gateway, publish
from support.engine import Engine
from support.session import Session, hand_back, lasting_fault, success

from tasker.model.outcome import Outcome
from tasker.store.replies import Grant

MOVES = 200
FAILURES, SUCCESSES, PROBES, RESET_S, RESET_MAX_S = 3, 2, 2, 10.0, 35.0
LIMITS = {
    "failure_threshold": FAILURES,
    "success_threshold": SUCCESSES,
    "probes": PROBES,
    "reset_s": RESET_S,
    "reset_max_s": RESET_MAX_S,
}
WELL, DOWN_FOR_GOOD, OWN_FAULT, BACK = success(), lasting_fault(DOWN), lasting_fault(), hand_back()
Key = tuple[UUID, int, int]


@dataclass
class Model:
    """A breaker in plain words."""

    state: str = "closed"
    failures: int = 0
    successes: int = 0
    openings: int = 0
    open_until: datetime | None = None
    changed_at: datetime | None = None
    ready: int = 0
    probing: set[Key] = field(default_factory=set[Key])

    def hands_out(self, room: int) -> int:
        """How many steps a claim gets."""
        if self.state == "closed":
            return min(room, self.ready)
        return max(0, min(room, self.ready, PROBES - len(self.probing))) if self.state == "half_open" else 0

    def open(self, now: datetime) -> None:
        """By itself."""
        wait_s = min(RESET_MAX_S, RESET_S * 2**self.openings)
        self._move("open", now)
        self.openings, self.successes, self.open_until = self.openings + 1, 0, now + timedelta(seconds=wait_s)

    def open_by_hand(self, now: datetime, for_s: float) -> None:
        """By an operator."""
        self._move("open", now)
        self.successes, self.open_until = 0, now + timedelta(seconds=for_s)

    def close(self, now: datetime) -> None:
        """By its probes, or by hand."""
        self._move("closed", now)
        self.failures = self.successes = self.openings = 0
        self.open_until = None
        self.probing.clear()

    def sweep(self, now: datetime) -> None:
        """Time goes by."""
        if self.state == "open" and self.open_until is not None and self.open_until <= now:
            self._move("half_open", now)
            self.successes, self.open_until = 0, None

    def hear(self, said: list[tuple[Key, datetime, Outcome]], now: datetime) -> None:
        """One report: what moves it first makes the rest of it a thing of the past."""
        before, changed_at, is_counting = self.state, self.changed_at, self.failures > 0
        is_counting = is_counting or any(outcome is DOWN_FOR_GOOD for _, _, outcome in said)
        for key, granted_at, outcome in said:
            is_probe = key in self.probing
            self.probing.discard(key)
            if outcome not in (WELL, DOWN_FOR_GOOD):
                continue
            if self.state == "half_open" and is_probe:
                self._hear_probe(now, is_well=outcome is WELL)
            elif before == self.state == "closed" and is_counting and (changed_at is None or granted_at >= changed_at):
                self.failures = 0 if outcome is WELL else self.failures + 1
                if self.failures >= FAILURES:
                    self.open(now)

    def _hear_probe(self, now: datetime, *, is_well: bool) -> None:
        self.successes += 1
        if not is_well:
            self.open(now)
        elif self.successes >= SUCCESSES:
            self.close(now)

    def _move(self, state: str, now: datetime) -> None:
        self.changed_at = now if state != self.state else self.changed_at
        self.state = state


class Life:
    """The engine and the model, side by side."""

    def __init__(self, engine: Engine, sessions: list[Session], seed: int) -> None:
        self.engine = engine
        self.sessions = sessions
        self.chance = random.Random(seed)
        self.model = Model()
        self.granted_at: dict[Key, datetime] = {}

    async def move(self) -> None:
        """One of the things that may happen."""
        moves = [self.submit, self.claim, self.claim, self.claim, self.report, self.report, self.report, self.wait]
        await self.chance.choice([*moves, *moves, self.act])()

    async def submit(self) -> None:
        count = self.chance.randint(1, 4)
        await self.engine.submit_many(count)
        self.model.ready += count

    async def claim(self) -> None:
        session, room = self.chance.choice(self.sessions), self.chance.randint(1, 4)
        expected, is_half_open = self.model.hands_out(room), self.model.state == "half_open"
        grants = await session.claim(room)
        assert len(grants) == expected
        self.model.ready -= len(grants)
        keys = {_key(grant) for grant in grants}
        self.granted_at |= dict.fromkeys(keys, self.engine.clock.now)
        if is_half_open:
            self.model.probing |= keys

    async def report(self) -> None:
        session = self.chance.choice(self.sessions)
        held = list(session.held.values())
        chosen = self.chance.sample(held, min(len(held), self.chance.randint(1, 5)))
        if not chosen:
            return
        outcomes = [self.chance.choice((WELL, WELL, DOWN_FOR_GOOD, DOWN_FOR_GOOD, OWN_FAULT, BACK)) for _ in chosen]
        said = [(_key(g), self.granted_at[_key(g)], o) for g, o in zip(chosen, outcomes, strict=True)]
        self.model.hear(said, self.engine.clock.now)
        self.model.ready += outcomes.count(BACK)
        await session.report(*zip(chosen, outcomes, strict=True), room=0)

    async def wait(self) -> None:
        self.engine.advance(self.chance.choice((0.5, 5, 20)))
        await self.engine.sweep_all()
        self.model.sweep(self.engine.clock.now)

    async def act(self) -> None:
        now = self.engine.clock.now
        if self.chance.random() < 0.5:
            await act(self.engine, "reset")
            self.model.close(now)
        else:
            await act(self.engine, "open", options={"for_s": 15})
            self.model.open_by_hand(now, 15)

    async def compare(self) -> None:
        found, model = await gateway(self.engine), self.model
        assert (found.state, found.failures, found.successes, found.openings, found.open_until, found.waiting) == (
            *(model.state, model.failures, model.successes, model.openings, model.open_until),
            model.ready,
        )
        assert found.running_probes == len(model.probing)


def _key(grant: Grant) -> Key:
    return grant.task_id, grant.number, grant.attempt


@pytest.mark.parametrize("seed", range(4))
async def test_a_breaker_lives_as_its_model(engine: Engine, seed: int) -> None:
    """Whatever two workers report, in whatever order, and whatever operators do: state, counts and grants agree."""
    await publish(engine)
    await act(engine, "set", options=LIMITS)
    sessions = [await engine.session(slots=50, lease_s=1e6) for _ in range(2)]
    life = Life(engine, sessions, seed)
    seen: set[str] = set()
    for _ in range(MOVES):
        await life.move()
        await life.compare()
        seen.add(life.model.state)
    assert seen == {"closed", "open", "half_open"}
