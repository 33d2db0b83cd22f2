"""Which steps of a task decisions have excluded, worked out from what the decisions say, by fixpoint.

A step that waits is excluded when every decision above it has declined it or is excluded itself, or when none of its
parents will run. A convergence is excluded only when none of its parents will run and no decision of which every way
leads through it has run.
"""

from __future__ import annotations

from support.snapshot import Plan, Row

_RAN = ("complete", "resolved_manually")


def excluded(steps: dict[int, Row], plans: dict[int, Plan], ready: set[int]) -> set[int]:
    """The numbers of those that must have no row. `ready` are those that ever became ready; what an operator ended
    while it waited stays."""
    gone: set[int] = set()
    while True:
        more = {
            number
            for number, plan in plans.items()
            if number not in gone
            and (number in ready or _may_go(steps.get(number)))
            and _goes(number, plan, steps, plans, gone)
        }
        if not more:
            return gone
        gone |= more


def _may_go(step: Row | None) -> bool:
    return step is None or step["state"] == "pending"


def _goes(number: int, plan: Plan, steps: dict[int, Row], plans: dict[int, Plan], gone: set[int]) -> bool:
    passed = {parent for parent in plan.parents if parent in gone or _declines(parent, number, steps, plans)}
    will_run = set(plan.parents) - passed
    if plan.type == "deferred_convergence":
        joined = (one for one in plans if plans[one].type == "decision" and _every_way_passes(one, number, plans))
        return bool(plan.parents) and not will_run and not any(_has_run(steps.get(one)) for one in joined)
    deciders = {parent for parent in plan.parents if plans[parent].type == "decision"}
    return bool(plan.parents) and (not will_run or (bool(deciders) and deciders <= passed))


def _has_run(step: Row | None) -> bool:
    return step is not None and step["state"] in _RAN


def _declines(parent: int, number: int, steps: dict[int, Row], plans: dict[int, Plan]) -> bool:
    decision = steps.get(parent)
    if plans[parent].type != "decision" or decision is None or decision["state"] not in _RAN:
        return False
    return plans[number].name not in (decision["chosen"] or [])


def _every_way_passes(start: int, gate: int, plans: dict[int, Plan]) -> bool:
    below = plans[start].children
    return bool(below) and all(child == gate or _every_way_passes(child, gate, plans) for child in below)
