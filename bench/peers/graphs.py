"""The graphs that all peers run, by name. Standard library only: every peer's interpreter imports it."""

from __future__ import annotations

from collections.abc import Mapping

_TEXTS = {
    "single": "only",
    "chain": "a; b: a; c: b; d: c",
    "diamond": "a; b: a; c: a; d: b c",
    "mixed": "begin; left: begin; right: begin; check: left right; turn: left; look: right; end: check turn look",
    "tree": "root; left: root; right: root; l1: left; l2: left; r1: right; r2: right; end: l1 l2 r1 r2",
}


def graph(name: str) -> Mapping[str, tuple[str, ...]]:
    """The steps in an order that they can run in, each with its parents. `fan_N` is one, N beside each other, one."""
    if name.startswith("fan_"):
        leaves = tuple(f"leaf_{number}" for number in range(int(name.removeprefix("fan_"))))
        return {"begin": (), **dict.fromkeys(leaves, ("begin",)), "end": leaves}
    steps: dict[str, tuple[str, ...]] = {}
    for part in _TEXTS[name].split(";"):
        step, _, parents = part.partition(":")
        steps[step.strip()] = tuple(parents.split())
    return steps


def levels(name: str) -> list[list[str]]:
    """The same in levels: the steps of one can run beside each other as soon as the one before it is over."""
    steps = graph(name)
    depth: dict[str, int] = {}
    for step, parents in steps.items():
        depth[step] = 1 + max((depth[parent] for parent in parents), default=-1)
    found: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for step, level in depth.items():
        found[level].append(step)
    return found
