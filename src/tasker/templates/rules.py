"""What the grammar's tables cannot say: rules that look at several keys at once."""

from __future__ import annotations

from graphlib import CycleError
from typing import Any

from tasker.templates.batch_rules import check_batches
from tasker.templates.checker import WRONG
from tasker.templates.document import Spot, shorten, shown
from tasker.templates.grammar import DEPTH_MAX, EVERY_STEP
from tasker.templates.graph import find_cycle, levels_of
from tasker.templates.report import Report, did_you_mean

_CYCLES_MAX = 10
_CYCLE_NAMES_MAX = 30


def check_rules(values: dict[str, Any], spots: dict[str, Spot], report: Report, *, is_strict: bool) -> None:
    """Tells what is wrong with the names, the edges and the overrides of a checked document.

    `values` may lack what was told already, or hold WRONG in its place.
    """
    _check_search_fields(values.get("search_fields", []), spots, report)
    steps: Any = values.get("steps", WRONG)
    if steps is WRONG:
        return
    named = {index: step for index, step in enumerate(steps) if step is not WRONG and "name" in step}
    _check_names(named, spots, report)
    all_are_known = len(named) == len(steps)
    names = list(dict.fromkeys(step["name"] for step in named.values()))
    if _check_edges(named, names, spots, report, all_are_known=all_are_known):
        _check_shape(named, spots, report)
        _check_types(named, spots, report)
        check_batches(named, spots, report)
    if all_are_known:
        _check_overrides(values.get("environments", {}), names, spots, report, is_strict=is_strict)


def _check_search_fields(paths: Any, spots: dict[str, Spot], report: Report) -> None:
    for index, path in enumerate([] if paths is WRONG else paths):
        if path is not WRONG and path in paths[:index]:
            report.error(spots[f"search_fields[{index}]"], f"{shown(path)} stands in this list already: remove it")


def _check_names(named: dict[int, Any], spots: dict[str, Spot], report: Report) -> None:
    first: dict[str, int] = {}
    for index, step in named.items():
        name = step["name"]
        spot = spots[f"steps[{index}].name"]
        if name == EVERY_STEP:
            report.error(spot, f'"{EVERY_STEP}" means every step in `environments`: give this step another name')
        if name in first:
            line = spots[f"steps[{first[name]}].name"].place.line
            report.error(spot, f"a step named {shown(name)} stands in line {line} already: give one another name")
        first.setdefault(name, index)


def _check_edges(
    named: dict[int, Any], names: list[str], spots: dict[str, Spot], report: Report, *, all_are_known: bool
) -> bool:
    """True if every dependency leads somewhere, so that the graph has a shape."""
    known = set(names)
    leads_somewhere = True
    for index, step in named.items():
        seen: set[str] = set()
        for position, parent in enumerate(step.get("dependencies", [])):
            spot = spots[f"steps[{index}].dependencies[{position}]"]
            if parent is WRONG:
                continue
            if parent == step["name"]:
                report.error(spot, "a step cannot depend on itself: remove it")
            elif parent in seen:
                report.error(spot, f"{shown(parent)} stands in this list already: remove it")
            elif parent not in known:
                leads_somewhere = False
                if all_are_known:
                    hint = did_you_mean(parent, (name for name in names if name != step["name"]))
                    report.error(spot, f"{shown(parent)} is not a step of this template{hint}")
            seen.add(parent)
    return leads_somewhere


def _check_shape(named: dict[int, Any], spots: dict[str, Spot], report: Report) -> None:
    """Cycles and depth. Steps on a cycle are taken out before the next one is looked for."""
    position = {step["name"]: index for index, step in reversed(named.items())}
    graph = {
        name: [parent for parent in named[index].get("dependencies", []) if parent is not WRONG and parent != name]
        for name, index in sorted(position.items(), key=lambda item: item[1])
    }
    for _ in range(_CYCLES_MAX):
        cycle = find_cycle(graph)
        if cycle is None:
            break
        report.error(spots[f"steps[{position[cycle[0]]}].dependencies"], _cycle_message(cycle))
        graph = _without(graph, set(cycle))
    try:
        depth = len(levels_of(graph))
    except CycleError:
        return
    if depth > DEPTH_MAX:
        report.error(spots["steps"], f"the longest way has {depth} steps, and at most {DEPTH_MAX} are allowed")


def _check_types(named: dict[int, Any], spots: dict[str, Spot], report: Report) -> None:
    """A decision has something to choose from, a convergence something to wait for."""
    parents = {parent for step in named.values() for parent in step.get("dependencies", []) if parent is not WRONG}
    for index, step in named.items():
        spot = spots[f"steps[{index}].name"]
        if step.get("type") == "decision" and step["name"] not in parents:
            report.error(spot, "a decision chooses among the steps that depend on it, and none does")
        if step.get("type") == "deferred_convergence" and not step.get("dependencies"):
            report.error(spot, "a deferred_convergence waits for its dependencies, and has none")


def _without(graph: dict[str, list[str]], names: set[str]) -> dict[str, list[str]]:
    return {
        name: [parent for parent in parents if parent not in names]
        for name, parents in graph.items()
        if name not in names
    }


def _cycle_message(cycle: list[str]) -> str:
    names = [shorten(name) for name in cycle]
    if len(names) > _CYCLE_NAMES_MAX:
        half = _CYCLE_NAMES_MAX // 2
        names = [*names[:half], f"({len(names) - 2 * half} more)", *names[-half:]]
    return f"steps wait for each other in a circle: {' -> '.join(names)}; remove one of these dependencies"


def _check_overrides(
    environments: dict[str, Any], names: list[str], spots: dict[str, Spot], report: Report, *, is_strict: bool
) -> None:
    tell = report.error if is_strict else report.warn
    known = {*names, EVERY_STEP}
    for environment, changes in environments.items():
        overrides: Any = changes.get("steps", [])
        seen: set[str] = set()
        for index, override in enumerate(overrides):
            if override is WRONG or "name" not in override:
                continue
            name = override["name"]
            path = Spot.at(("environments", environment, "steps", index, "name"), spots["environments"].place).path
            spot = spots[path]
            if name not in known:
                tell(spot, f"{shown(name)} is not a step of this template{did_you_mean(name, names)}")
            elif name in seen:
                tell(spot, f"{shown(name)} is overridden above already: put both into one")
            seen.add(name)
