"""The nemesis: what breaks, when, by a seed. Each fault has a name, and is counted when it has really struck."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from support.until import until

from chaos.scene import Process, Scene

Fault = Callable[[], Awaitable[bool]]
"""Strikes; False where there was nobody to strike."""


def _all() -> float:
    return 1.0


class Nemesis:
    """Strikes with the named faults, so often in all, at times by the seed."""

    def __init__(self, scene: Scene, chance: random.Random) -> None:
        self.scene, self.chance = scene, chance
        self.planned: Counter[str] = Counter()
        self.fired: Counter[str] = Counter()
        self.struck_at = time.monotonic()
        """When the last fault was over."""

    async def strike(
        self, faults: dict[str, Fault], count: int, *, every_s: tuple[float, float], share: Callable[[], float] = _all
    ) -> None:
        """So many of these faults, in a random order, with a pause of a random length before each.

        They are spread over the work: none before its `share` of it is there.
        """
        names = [list(faults)[n % len(faults)] for n in range(count)]
        self.chance.shuffle(names)
        self.planned.update(names)
        for struck, name in enumerate(names):
            await asyncio.sleep(self.chance.uniform(*every_s))
            while share() < struck / count:  # noqa: ASYNC110 - work has no event for it
                await asyncio.sleep(0.05)
            has_struck = await faults[name]()
            self.fired[name] += has_struck
            self.struck_at = time.monotonic()

    def kill(self, kind: str) -> Fault:
        """kill -9 of a random process of the kind; who keeps it up starts another."""

        async def fault() -> bool:
            victim = self._somebody(kind)
            return victim is not None and victim.signal(signal.SIGKILL)

        return fault

    def freeze_busy(self, low_s: float, high_s: float) -> Fault:
        """SIGSTOP for so long, then SIGCONT, of a worker in which a handler runs."""

        async def fault() -> bool:
            try:
                victim = await until(self._somebody_busy, "a worker is busy", within_s=60)
            except AssertionError:  # there is no work any more: the report says that it did not strike
                return False
            if not victim.signal(signal.SIGSTOP):
                return False
            await asyncio.sleep(self.chance.uniform(low_s, high_s))
            return victim.signal(signal.SIGCONT)

        return fault

    def crash_database(self, down_s: tuple[float, float] = (0, 1)) -> Fault:
        """All processes of PostgreSQL end with SIGKILL; a moment later it starts again."""

        async def fault() -> bool:
            await asyncio.to_thread(self.scene.server.crash)
            await asyncio.sleep(self.chance.uniform(*down_s))
            await asyncio.to_thread(self.scene.server.restart)
            return True

        return fault

    def kill_backend(self) -> Fault:
        """SIGKILL of one of the database's processes: PostgreSQL throws everybody out, and recovers by itself."""

        async def fault() -> bool:
            query = "select pid from pg_stat_activity where backend_type in ('checkpointer', 'walwriter') order by pid"
            pids = [row[0] for row in await asyncio.to_thread(self.scene.ask, query)]
            if not pids:
                return False
            return Process("database", self.chance.choice(pids), _nobody).signal(signal.SIGKILL)

        return fault

    def _somebody_busy(self) -> Process | None:
        running: dict[int, set[tuple[str, int, int]]] = {}
        for entry in self.scene.ledger.entries():
            key = (entry.task, entry.number, entry.attempt)
            if entry.moment == "start":
                running.setdefault(entry.pid, set()).add(key)
            elif entry.moment in ("end", "fail"):
                running.get(entry.pid, set()).discard(key)
        busy = [one for one in self.scene.of("worker") if running.get(one.pid) and one.is_alive]
        return self.chance.choice(busy) if busy else None

    def _somebody(self, kind: str) -> Process | None:
        living = [one for one in self.scene.of(kind) if one.is_alive]
        return self.chance.choice(living) if living else None


async def struck_all(scene: Scene, victims: Sequence[Process]) -> None:
    """Returns when all of these are gone."""
    await until(lambda: not any(one.is_alive for one in victims), "the victims are gone")


def _nobody() -> Process:
    raise NotImplementedError
