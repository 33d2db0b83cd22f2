"""Figures that may be read and called: `registry.stats` and `registry.stats()` are the same."""

from __future__ import annotations

from typing import Any


class Figures(dict[str, Any]):
    """A mapping of figures."""

    def __call__(self) -> Figures:
        return self


class Count(int):
    """One figure."""

    def __call__(self) -> int:
        return int(self)
