"""What must hold of the steps of a template that run many times."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tasker.templates.checker import WRONG
from tasker.templates.document import Spot, shown
from tasker.templates.graph import items_path
from tasker.templates.report import Report, did_you_mean

_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
_ONLY_WORKERS = ("batch_size", "cursor_field", "worker_template")


def check_batches(named: dict[int, Any], spots: dict[str, Spot], report: Report) -> None:
    """Tells what is wrong with batchable steps, their workers and steps with `for_each`. Every edge leads somewhere."""
    by_name = {step["name"]: step for step in named.values()}
    for index, step in named.items():
        spot = spots[f"steps[{index}].name"]
        parents = [by_name[name] for name in step.get("dependencies", []) if name is not WRONG]
        if step.get("type") == "batchable":
            _check_batchable(step, list(by_name.values()), spot, report)
        if step.get("type") == "batch_worker":
            _check_worker(step, parents, spot, report)
        if step.get("for_each"):
            _check_for_each(step, _before(step, by_name), spots[f"steps[{index}].for_each"], report)
        config = step.get("batch_config")
        if config and config is not WRONG:
            _check_config(step, config, spots[f"steps[{index}].batch_config"], report)
        if step.get("type") == "batch_worker" or step.get("for_each"):
            _check_member_names(step["name"], by_name, spot, report)


def _check_batchable(step: Any, steps: Iterable[Any], spot: Spot, report: Report) -> None:
    workers = [
        other["name"]
        for other in steps
        if other.get("type") == "batch_worker" and step["name"] in other.get("dependencies", [])
    ]
    if not workers:
        report.error(spot, "a batchable step cuts work for a batch_worker that depends on it, and none does")
    elif len(workers) > 1:
        names = ", ".join(map(shown, workers))
        report.error(spot, f"a batchable step has one batch_worker that depends on it, and here are {names}")


def _check_worker(step: Any, parents: Iterable[Any], spot: Spot, report: Report) -> None:
    cutters = [parent["name"] for parent in parents if parent.get("type") == "batchable"]
    if len(cutters) != 1:
        found = " and ".join(map(shown, cutters)) or "none"
        report.error(spot, f"a batch_worker depends on one step of type batchable, which cuts its work; here: {found}")
    if step.get("for_each"):
        report.error(spot, "a batch_worker runs for the parts of its batchable step: remove for_each, or the type")


def _check_for_each(step: Any, before: list[str], spot: Spot, report: Report) -> None:
    expression: str = step["for_each"]
    if step.get("type", "standard") not in ("standard", "batch_worker"):
        report.error(spot, f"a step of type {step['type']} runs once: remove for_each")
    try:
        _, path = items_path(expression, before)
    except ValueError:
        first = expression.split(".")[0]
        hint = did_you_mean(first, before) or (f": there are {', '.join(map(shown, before))}" if before else "")
        report.error(spot, f"{shown(expression)} must begin with the name of a step before this one{hint}")
        return
    for segment in path:
        if not _SEGMENT.fullmatch(segment):
            message = f"{shown(segment)} cannot stand in a path: write step.key.key, with names and indexes only"
            report.error(spot, message)


def _check_config(step: Any, config: Any, spot: Spot, report: Report) -> None:
    if step.get("for_each"):
        for key in _ONLY_WORKERS:
            if key in config:
                report.error(spot, f"{shown(key)} is for a batch_worker, and this step has for_each: remove it")
    elif step.get("type") != "batch_worker":
        report.error(spot, "only a batch_worker or a step with for_each has a batch_config: put it there")
    elif config.get("worker_template") not in (None, WRONG, step["name"]):
        report.error(spot, f"worker_template names the step itself, {shown(step['name'])}: write that, or nothing")


def _check_member_names(name: str, by_name: dict[str, Any], spot: Spot, report: Report) -> None:
    """Members are called `{name}_001` and so on: no step of the template may be."""
    for other in by_name:
        if re.fullmatch(rf"{re.escape(name)}_\d+", other):
            report.error(spot, f"its members are called {shown(name + '_001')} and so on: rename {shown(other)}")


def _before(step: Any, by_name: dict[str, Any]) -> list[str]:
    """The names of all steps that come before this one."""
    found: dict[str, None] = {}
    waiting = [name for name in step.get("dependencies", []) if name is not WRONG]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = None
            waiting += [parent for parent in by_name[name].get("dependencies", []) if parent is not WRONG]
    return list(found)
