"""Slots: how many steps of each pool run at once, and what runs in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from tasker.worker.held import Held


class Slots:
    """The steps that run, or wait for nothing but their turn, in this process.

    A handler that cannot be stopped, or will not stop, keeps its slot when its outcome is settled without it, until it
    returns (it lingers), and until then its step is not started in this process again.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = tuple(sizes)
        self._used = [0] * len(sizes)
        self._held: dict[tuple[UUID, int], Held] = {}
        self._lingering: dict[tuple[UUID, int], Held] = {}
        self.is_open = True
        """False while nothing more is to be taken: the worker drains, or runs one step alone."""

    def free(self) -> list[int]:
        """The free slots of each pool; none while closed."""
        if not self.is_open:
            return [0] * len(self._sizes)
        return [max(0, size - used) for size, used in zip(self._sizes, self._used, strict=True)]

    def take(self, held: Held) -> None:
        """The step occupies a slot from now on."""
        self._held[held.key] = held
        self._used[held.pool] += 1

    def give_back(self, held: Held) -> None:
        """The step runs no more."""
        if self._held.get(held.key) is held:
            del self._held[held.key]
            self._used[held.pool] -= 1

    def linger(self, held: Held) -> None:
        """The step's outcome is known, but its handler runs on and keeps the slot."""
        if self._held.get(held.key) is held:
            del self._held[held.key]
            self._lingering[held.key] = held

    def end_linger(self, held: Held) -> None:
        """The handler has returned at last."""
        if self._lingering.get(held.key) is held:
            del self._lingering[held.key]
            self._used[held.pool] -= 1

    def is_running(self, key: tuple[UUID, int]) -> bool:
        """True while an attempt of this step runs in this process, wanted or not."""
        return key in self._held or key in self._lingering

    @property
    def has_lingering(self) -> bool:
        """True while a handler runs that nobody waits for."""
        return bool(self._lingering)

    def get(self, key: tuple[UUID, int]) -> Held | None:
        """The held step, if it is held."""
        return self._held.get(key)

    def all(self) -> list[Held]:
        """Every step that occupies a slot; safe to call from another thread."""
        return list(self._held.values())

    def __iter__(self) -> Iterator[Held]:
        return iter(self.all())

    def __len__(self) -> int:
        return len(self._held)
