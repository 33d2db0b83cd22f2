"""The shapes of workflows that others know: each runs, in order, once, with the results of what came before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from workflow_history import Begin, assert_clean, run

from tasker import StepContext, step_handler

Numbers = Callable[[StepContext], Any]


@step_handler("double")
async def double(context: StepContext) -> dict[str, int]:
    """Twice what the parents make together, or twice the input."""
    parents = [context.get_dependency_field(name, "value") for name in context.step.dependencies]
    return {"value": 2 * (sum(parents) if parents else context.get_input("n"))}


@step_handler("double_in_thread")
def double_in_thread(context: StepContext) -> dict[str, int]:
    """The same, in a thread."""
    parents = [context.get_dependency_field(name, "value") for name in context.step.dependencies]
    return {"value": 2 * (sum(parents) if parents else context.get_input("n"))}


def _template(name: str, graph: dict[str, list[str]]) -> str:
    lines = ["tasker: 1", "namespace_name: shapes", f"name: {name}", "version: 1.0.0", "steps:"]
    for number, (step, parents) in enumerate(graph.items()):
        handler = "double" if number % 2 == 0 else "double_in_thread"
        lines.append(f"  - {{name: {step}, handler: {handler}, dependencies: [{', '.join(parents)}]}}")
    return "\n".join(lines)


LINEAR: dict[str, list[str]] = {"one": [], "two": ["one"], "three": ["two"], "four": ["three"]}
DIAMOND: dict[str, list[str]] = {"start": [], "left": ["start"], "right": ["start"], "end": ["left", "right"]}
TREE: dict[str, list[str]] = {
    "root": [],
    "branch_1": ["root"],
    "branch_2": ["root"],
    "leaf_1": ["branch_1"],
    "leaf_2": ["branch_1"],
    "leaf_3": ["branch_2"],
    "leaf_4": ["branch_2"],
    "together": ["leaf_1", "leaf_2", "leaf_3", "leaf_4"],
}
MIXED: dict[str, list[str]] = {
    "begin": [],
    "first": ["begin"],
    "second": ["begin"],
    "both": ["first", "second"],
    "only_first": ["first"],
    "only_second": ["second"],
    "finish": ["both", "only_first", "only_second"],
}


def _expected(graph: dict[str, list[str]], n: int) -> dict[str, dict[str, int]]:
    values: dict[str, int] = {}
    for step, parents in graph.items():
        values[step] = 2 * (sum(values[parent] for parent in parents) if parents else n)
    return {step: {"value": value} for step, value in values.items()}


@pytest.mark.parametrize(
    ("name", "graph"), [("linear", LINEAR), ("diamond", DIAMOND), ("tree", TREE), ("mixed", MIXED)]
)
async def test_a_shape_runs_in_order(begin: Begin, database: str, name: str, graph: dict[str, list[str]]) -> None:
    """Every step once, with what its parents made, on the loop and in threads alike."""
    tasker = await begin(_template(name, graph), [double, double_in_thread])
    ended = await run(tasker, name, "shapes", n=3)
    assert_clean(database, ended)
    assert ended.results == _expected(graph, 3)
    finished = {step.name: step.finished_at for step in ended.steps}
    started = {step.name: step.started_at for step in ended.steps}
    for step, parents in graph.items():
        for parent in parents:
            before, after = finished[parent], started[step]
            assert before is not None
            assert after is not None
            assert before <= after


async def test_two_namespaces_hold_the_same_name(begin: Begin, database: str) -> None:
    """The same task name means another workflow in another namespace; their steps never mix."""
    ours = _template("order", {"a": [], "b": ["a"]})
    theirs = ours.replace("namespace_name: shapes", "namespace_name: elsewhere").replace("name: b", "name: c")
    tasker = await begin([ours, theirs], [double, double_in_thread])
    mine, other = await run(tasker, "order", "shapes", n=1), await run(tasker, "order", "elsewhere", n=5)
    assert mine.results == {"a": {"value": 2}, "b": {"value": 4}}
    assert other.results == {"a": {"value": 10}, "c": {"value": 20}}
    for ended in (mine, other):
        assert_clean(database, ended)
