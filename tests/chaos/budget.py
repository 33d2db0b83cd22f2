"""Which rows run in so many minutes, in which order, and how large.

Where not all of them fit, those of `FIRST` run, and others in turns by chance: over many runs each has its turn. A row
costs what it took on two cores; when the machine is slower today, as the rows before have shown, it costs more, and one
that no longer fits is left out. What no row can be without is the least load at which I17 can hold.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from chaos.run import RowOf

FIRST = ("C2", "C5")
"""Killed processes, and a killed database: never left out."""
SCALE_MIN = 0.01
_START_S, _END_S = 4.0, 3.0
"""What the server takes to start, and all to be cleared away."""


def cost_s(row: RowOf, scale: float) -> float:
    """How long a row takes at a scale, on two cores."""
    return row.least_s + (row.full_s - row.least_s) * scale


def scale_within(rows: Sequence[RowOf], seconds: float, most: float = 1.0) -> float:
    """The scale at which all of these take so long; the smallest there is where they take longer."""
    least, full = sum(cost_s(row, 0.0) for row in rows), sum(cost_s(row, 1.0) for row in rows)
    return max(SCALE_MIN, min(most, (seconds - least) / (full - least)))


@dataclass
class Budget:
    """Of so many seconds, counted by `clock`, which says how many have passed."""

    seconds: float
    clock: Callable[[], float]
    pace: float = 1.0
    """How much slower than it should be the machine is today."""
    left_out: list[str] = field(default_factory=list[str])
    _expected_s: float = 0.0
    _took_s: float = 0.0

    def ordered(self, rows: Sequence[RowOf], chance: random.Random) -> list[RowOf]:
        """Those that come first, and the others in a random order."""
        others = [row for row in rows if row.name not in FIRST]
        chance.shuffle(others)
        return [*(row for row in rows if row.name in FIRST), *others]

    def scale(self, rows: Sequence[RowOf], most: float = 1.0) -> float:
        """At which all of these take the time that there is."""
        return scale_within(rows, self.seconds - _START_S - _END_S, most)

    def allows(self, row: RowOf, scale: float) -> bool:
        """Whether there is time for the row; if not, it is noted as left out."""
        left = self.seconds - _END_S - self.clock()
        fits = row.name in FIRST or cost_s(row, scale) * self.pace <= left
        if not fits:
            self.left_out.append(row.name)
        return fits

    def took(self, row: RowOf, scale: float, seconds: float) -> None:
        """Learns from a row how fast the machine is."""
        self._expected_s += cost_s(row, scale)
        self._took_s += seconds
        self.pace = max(1.0, self._took_s / self._expected_s)
