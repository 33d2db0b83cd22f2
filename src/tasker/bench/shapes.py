"""The graphs that are measured, and the handlers of their steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasker.handlers import depends_on, inputs, step_handler
from tasker.model.template import HandlerRef, Step, Template

FAN_WIDTH = 50
NAMESPACE = "bench"


@dataclass(frozen=True, slots=True)
class Shape:
    """A graph: the names of its steps in order, each with the names of its parents."""

    name: str
    steps: dict[str, tuple[str, ...]]

    @property
    def template(self) -> Template:
        """The graph as a template whose handlers are named as its steps are."""
        steps = tuple(
            Step(name=name, handler=HandlerRef(callable=name), dependencies=parents)
            for name, parents in self.steps.items()
        )
        return Template(namespace=NAMESPACE, name=self.name, version="1.0.0", steps=steps)

    @property
    def handlers(self) -> dict[str, Callable[..., Any]]:
        """An async handler for each step, that gets what a user's would and answers a small object."""
        return {name: _handler(name, parents) for name, parents in self.steps.items()}

    def ancestors(self, name: str) -> set[str]:
        """All steps before a step."""
        parents = self.steps[name]
        return set(parents).union(*(self.ancestors(parent) for parent in parents))

    def children(self, name: str) -> list[str]:
        """The steps that wait for a step."""
        return [child for child, parents in self.steps.items() if name in parents]


def _handler(name: str, parents: tuple[str, ...]) -> Callable[..., Any]:
    if not parents:

        @step_handler(name)
        @inputs("n")
        async def begin(n: int) -> dict[str, int]:
            return {"total": n}

        return begin

    @step_handler(name)
    @depends_on(**{parent: parent for parent in parents})
    async def go_on(**results: Any) -> dict[str, int]:
        return {"parents": len(results)}

    return go_on


def _graph(text: str) -> dict[str, tuple[str, ...]]:
    """`a; b: a; c: a b`: the steps, each with its parents."""
    steps: dict[str, tuple[str, ...]] = {}
    for part in text.split(";"):
        name, _, parents = part.partition(":")
        steps[name.strip()] = tuple(parents.split())
    return steps


_LEAVES = [f"leaf_{number}" for number in range(1, FAN_WIDTH + 1)]
_GRAPHS = {
    "chain": "a; b: a; c: b; d: c",
    "diamond": "a; b: a; c: a; d: b c",
    "tree": "root; left: root; right: root; l1: left; l2: left; r1: right; r2: right; end: l1 l2 r1 r2",
    "mixed": "begin; left: begin; right: begin; check: left right; turn: left; look: right; end: check turn look",
    "fan": f"begin; {'; '.join(f'{leaf}: begin' for leaf in _LEAVES)}; end: {' '.join(_LEAVES)}",
    "single": "only",
}
SHAPES = {name: Shape(name, _graph(text)) for name, text in _GRAPHS.items()}
"""By name: a chain of 4, a diamond of 4, a tree of 8, a mixed graph of 7, 1 to 50 to 1, and a step alone."""
