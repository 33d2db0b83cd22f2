"""The graph of a template: its levels, its ways, its circles, and two drawings of it.

An edge `a -> b` says that b depends on a.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from tasker.model.template import Template

_MERMAID_SHAPES = {
    "standard": ("[", "]"),
    "decision": ("{", "}"),
    "deferred_convergence": ("([", "])"),
    "batchable": ("[/", "/]"),
    "batch_worker": ("[[", "]]"),
}
_MERMAID_WAYS = ("-->", "-.->")
_MERMAID_ESCAPES = str.maketrans({c: f"#{ord(c)};" for c in '"#<>&`\\[](){}|;'})


def levels(template: Template) -> list[list[str]]:
    """The steps by level: those without dependencies, then those that need only them, and so on.

    Inside a level the steps stand as in the template.
    """
    return levels_of({step.name: step.dependencies for step in template.steps})


def levels_of(dependencies: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The levels of a graph given as the dependencies of each step. Raises graphlib.CycleError."""
    position = {name: index for index, name in enumerate(dependencies)}
    sorter = TopologicalSorter(dependencies)
    sorter.prepare()
    found: list[list[str]] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=position.__getitem__)
        sorter.done(*ready)
        found.append(ready)
    return found


def children(template: Template) -> dict[str, tuple[str, ...]]:
    """For each step the steps that depend on it directly, as they stand in the template."""
    found: dict[str, list[str]] = {step.name: [] for step in template.steps}
    for step in template.steps:
        for parent in step.dependencies:
            found[parent].append(step.name)
    return {name: tuple(below) for name, below in found.items()}


def items_path(expression: str, before: Iterable[str]) -> tuple[str, list[str]]:
    """The step and the path in its result that a `for_each` names; ValueError where no step before it is named.

    `load.orders.0` is the list under key `orders`, index 0, of the result of `load`. Names of steps may have dots.
    """
    named = [name for name in before if expression == name or expression.startswith(f"{name}.")]
    if not named:
        raise ValueError(expression)
    source = max(named, key=len)
    rest = expression[len(source) + 1 :]
    return source, rest.split(".") if rest else []


def ancestors(template: Template) -> dict[str, tuple[str, ...]]:
    """For each step all the steps that it depends on, directly or not, as they stand in the template.

    The answer grows with the square of a deep and wide graph: ask `ancestors_of` for a single step.
    """
    names = [step.name for step in template.steps]
    bit = {name: 1 << index for index, name in enumerate(names)}
    parents = {step.name: step.dependencies for step in template.steps}
    above: dict[str, int] = {}
    for level in levels(template):
        for name in level:
            above[name] = 0
            for parent in parents[name]:
                above[name] |= above[parent] | bit[parent]
    return {name: tuple(_names_in(above[name], names)) for name in names}


def _names_in(bits: int, names: Sequence[str]) -> Iterable[str]:
    while bits:
        lowest = bits & -bits
        yield names[lowest.bit_length() - 1]
        bits ^= lowest


def ancestors_of(template: Template, step: str) -> tuple[str, ...]:
    """All the steps that one step depends on, as they stand in the template. KeyError for an unknown step."""
    parents = {each.name: each.dependencies for each in template.steps}
    found: set[str] = set()
    waiting = list(parents[step])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(parents[name])
    return tuple(name for name in parents if name in found)


def joins(template: Template) -> dict[str, tuple[str, ...]]:
    """For each deferred convergence the decisions of which every way leads through it, in the template's order."""
    below = children(template)
    decisions = [step.name for step in template.steps if step.type == "decision"]
    convergences = [step.name for step in template.steps if step.type == "deferred_convergence"]
    return {one: tuple(name for name in decisions if not _gets_past(name, one, below)) for one in convergences}


def _gets_past(start: str, gate: str, below: Mapping[str, Sequence[str]]) -> bool:
    """True if some way from `start` ends without having passed the gate."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name == gate or name in seen:
            continue
        seen.add(name)
        if not below[name]:
            return True
        waiting.extend(below[name])
    return False


def find_cycle(dependencies: Mapping[str, Iterable[str]]) -> list[str] | None:
    """A circle as `[a, b, c, a]`, where b depends on a; it starts with the step named first. None where there is none.

    `dependencies` gives for each step the steps that it depends on.
    """
    try:
        TopologicalSorter(dependencies).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1][:-1]
        position = {name: index for index, name in enumerate(dependencies)}
        start = circle.index(min(circle, key=lambda name: position.get(name, len(position))))
        return [*circle[start:], *circle[:start], circle[start]]
    return None


def mermaid(template: Template) -> str:
    """The graph as a Mermaid flowchart: decisions are rhombs whose ways are dotted, convergences have round ends."""
    number = {step.name: index for index, step in enumerate(template.steps)}
    types = {step.name: step.type for step in template.steps}
    lines = ["flowchart TD"]
    for name, index in number.items():
        left, right = _MERMAID_SHAPES[types[name]]
        lines.append(f'    s{index}{left}"{name.translate(_MERMAID_ESCAPES)}"{right}')
    for step in template.steps:
        for parent in step.dependencies:
            lines.append(f"    s{number[parent]} {_MERMAID_WAYS[types[parent] == 'decision']} s{number[step.name]}")
    return "\n".join(lines) + "\n"


def tree(template: Template) -> str:
    """The levels as a tree for a terminal; each step says what it comes after."""
    parents = {step.name: step.dependencies for step in template.steps}
    types = {step.name: step.type for step in template.steps}
    found = levels(template)
    lines = [template.full_name]
    for index, level in enumerate(found):
        is_last = index == len(found) - 1
        lines.append(f"{'└──' if is_last else '├──'} level {index + 1}")
        margin = "    " if is_last else "│   "
        for place, name in enumerate(level):
            after = f"  (after {', '.join(parents[name])})" if parents[name] else ""
            kind = "" if types[name] == "standard" else f"  [{types[name]}]"
            lines.append(f"{margin}{'└──' if place == len(level) - 1 else '├──'} {name}{kind}{after}")
    return "\n".join(lines) + "\n"
