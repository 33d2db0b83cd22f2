"""Collecting problems, so that several are told at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NoReturn

from tasker.model.errors import TemplateError
from tasker.model.problem import Problem
from tasker.templates.document import Place, Spot, shown

PROBLEMS_MAX = 50
"""Per file. Past them the reading ends: nobody reads more, and a hostile file must not cost more."""
_SUGGESTIONS_FROM_MAX = 2_000
_SUGGESTION_LENGTH_MAX = 128


class Report:
    """The problems and warnings of one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def error(self, spot: Spot | Place, message: str) -> None:
        """Notes a problem; raises TemplateError with all of them when there are too many to go on."""
        self.problems.append(self._problem(spot, message))
        if len(self.problems) >= PROBLEMS_MAX:
            more = Problem(self.file, 0, 0, "", "there may be more problems; these are the first")
            raise error_of([*in_order(self.problems), more])

    def warn(self, spot: Spot | Place, message: str) -> None:
        """Notes something that has no effect or another one than its writer may think."""
        if len(self.warnings) < PROBLEMS_MAX:
            self.warnings.append(self._problem(spot, message))

    def stop(self, spot: Spot | Place, message: str) -> NoReturn:
        """Notes a problem past which nothing can be read, and raises."""
        self.problems.append(self._problem(spot, message))
        raise error_of(in_order(self.problems))

    def close(self) -> None:
        """Raises TemplateError if there is any problem."""
        if self.problems:
            raise error_of(in_order(self.problems))

    def _problem(self, spot: Spot | Place, message: str) -> Problem:
        if isinstance(spot, Spot):
            return Problem(self.file, spot.place.line, spot.place.column, spot.written, message)
        return Problem(self.file, spot.line, spot.column, "", message)


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """The problems of one file as one meets them when reading it."""
    return sorted(problems, key=lambda problem: (problem.line, problem.column))


def error_of(problems: Iterable[Problem]) -> TemplateError:
    """One TemplateError that carries and tells all the problems."""
    found = tuple(problems)
    lines = "\n".join(f"  {problem}" for problem in found)
    return TemplateError(str(found[0]) if len(found) == 1 else f"{len(found)} problems:\n{lines}", found)


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The name that is most like the word, None where none is. Looks at no more names than it can afford."""
    candidates = list(names)[:_SUGGESTIONS_FROM_MAX]
    if len(word) > _SUGGESTION_LENGTH_MAX:
        return None
    lowered = {name.lower(): name for name in reversed(candidates)}
    close = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.6)
    return lowered[close[0]] if close else None


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """`; did you mean "charge"?` or nothing: the end of a message."""
    near = nearest(word, names)
    return f"; did you mean {shown(near)}?" if near else ""
