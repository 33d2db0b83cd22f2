"""What a worker knows of a template: each step with its handler, resolved once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tasker.handlers import Handler
from tasker.model.errors import HandlerNotFound
from tasker.model.template import HandlerRef, Step, Template
from tasker.templates.graph import ancestors


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step, ready to run. `needs` are the names of the steps whose results its handler reads."""

    number: int
    step: Step
    template: Template
    handler: Handler | None
    needs: frozenset[str]
    numbers: Mapping[str, int]
    """The numbers of the template's steps."""
    has_checks: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A template as a worker runs it."""

    template: Template
    steps: Mapping[int, StepPlan]


def make_plan(template: Template, handlers: Mapping[str, Handler]) -> Plan:
    """Resolves each step's handler; a step without one has None, and fails if it is granted all the same."""
    before = ancestors(template)
    numbers = {step.name: number for number, step in enumerate(template.steps, 1)}
    steps: dict[int, StepPlan] = {}
    for number, step in enumerate(template.steps, 1):
        handler = handlers.get(step.handler.callable)
        everything = frozenset(before[step.name])
        needs = everything if handler is None or handler.needs is None else handler.needs & everything
        has_checks = template.enforce_schemas and step.result_schema is not None
        steps[number] = StepPlan(number, step, template, handler, needs, numbers, has_checks)
    return Plan(template, steps)


def unreadable_plan(template_id: int, number: int) -> StepPlan:
    """Stands for a step of a template that this version of Tasker cannot read."""
    step = Step(name=f"step {number}", handler=HandlerRef(callable=""))
    template = Template(namespace="", name=f"template {template_id}", version="0", steps=(step,))
    return StepPlan(number, step, template, None, frozenset(), {}, has_checks=False)


def check_handlers(template: Template, handlers: Mapping[str, Handler]) -> None:
    """Raises HandlerNotFound, which names every step of the template whose handler is missing."""
    missing = [step for step in template.steps if step.handler.callable not in handlers]
    if missing:
        named = ", ".join(f'"{step.handler.callable}" (step {step.name})' for step in missing)
        raise HandlerNotFound(
            f"{template.full_name} names handlers that this process does not have: {named}. "
            f"It has: {', '.join(sorted(handlers)) or 'none'}"
        )
