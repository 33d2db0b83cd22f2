"""The two tables of moves in docs/lifecycle.md."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "lifecycle.md"
_ROW = re.compile(r"\| (`\w+`|\(new\)) \| `(\w+)` \| .+ \|")

Move = tuple[str | None, str]


@lru_cache
def task_moves() -> frozenset[Move]:
    """Every move that a task may make; a new task comes from None."""
    return _moves("## Moves of a task")


@lru_cache
def step_moves() -> frozenset[Move]:
    """Every move that a step may make."""
    return _moves("## Moves of a step")


def _moves(heading: str) -> frozenset[Move]:
    section = PAGE.read_text().split(f"{heading}\n")[1].split("\n## ")[0]
    found = [_ROW.fullmatch(line) for line in section.splitlines()]
    return frozenset((None if row[1] == "(new)" else row[1].strip("`"), row[2]) for row in found if row)
