"""The lines of one run, read back: medians, spreads, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import orjson
from cells import Cell

from tasker.model.errors import TaskerError


@dataclass(frozen=True)
class Results:
    """`run` is the first line; `lines` has those of a peer's cell, one a repeat."""

    run: Mapping[str, Any]
    lines: Mapping[tuple[str, str], list[Mapping[str, Any]]]

    def all_lines(self) -> Iterator[Mapping[str, Any]]:
        """Those of all peers and cells."""
        return (line for lines in self.lines.values() for line in lines)

    def figures(self, peer: str, cell: Cell, name: str | None = None) -> list[float]:
        """One figure of all repeats that have it, in order of size; by default the cell's own."""
        found = (line.get("figures", {}).get(name or cell.figure) for line in self.lines.get((peer, cell.name), []))
        return sorted(value for one in found for value in spread(one))

    def value(self, peer: str, cell: Cell, name: str | None = None) -> float | None:
        """Its median."""
        values = self.figures(peer, cell, name)
        return median(values) if values else None

    def cost(self, peer: str, cell: Cell, name: str) -> float | None:
        """The median of what 1,000 steps cost: `cpu_s`, `commits`, `wal_bytes`, `statements`."""
        found = (line.get("costs", {}).get(name) for line in self.lines.get((peer, cell.name), []))
        values = [value for value in found if value is not None]
        return median(values) if values else None

    def errors(self, peer: str, cell: Cell) -> list[str]:
        """What went wrong, a text for each repeat that has no figures."""
        return [str(line["error"]) for line in self.lines.get((peer, cell.name), []) if "error" in line]


def spread(figure: Any) -> Sequence[float]:
    """The values of a figure: one, several of one measurement, or none."""
    if figure is None:
        return []
    return [figure] if isinstance(figure, int | float) else list[float](figure)


UNMEASURED = Results({}, {})
"""Before the first run."""


def read(path: Path) -> Results:
    """A file of `run.py`. Raises TaskerError where it is not one."""
    first, *others = (orjson.loads(line) for line in path.read_bytes().splitlines())
    if "run" not in first:
        raise TaskerError(f"{path} does not begin with the description of a run: make it with bench/peers/run.py")
    lines: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for line in others:
        lines.setdefault((line["peer"], line["cell"]), []).append(line)
    return Results(first["run"], lines)
