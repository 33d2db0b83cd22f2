"""What a worker knows of a template: each step with its handler, resolved once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, signature

from tasker.handlers import Handler
from tasker.handlers.functional import declaration_of
from tasker.handlers.resolution import resolve
from tasker.model.errors import HandlerNotFound, InvalidHandler
from tasker.model.template import HandlerRef, Step, Template
from tasker.templates.graph import ancestors, ancestors_of, items_path
from tasker.templates.report import did_you_mean
from tasker.worker.log import log


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
    batches: frozenset[str]
    """Those of `needs` that are batches: their members' results are read."""
    is_batch: bool
    """True for a batch, and so for its members."""
    is_grown: bool
    """True where batches play a part: what it needs is looked at more closely."""
    has_checks: bool
    is_last: bool
    """True where no step waits for it: with its outcome the task may have ended."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A template as a worker runs it."""

    template: Template
    steps: Mapping[int, StepPlan]


def make_plan(template: Template, handlers: Mapping[str, Handler]) -> Plan:
    """Resolves each step's handler; a step without one has None, and fails if it is granted all the same."""
    before = ancestors(template)
    numbers = {step.name: number for number, step in enumerate(template.steps, 1)}
    batches = frozenset(step.name for step in template.steps if step.is_batch)
    parents = {name for step in template.steps for name in step.dependencies}
    steps: dict[int, StepPlan] = {}
    for number, step in enumerate(template.steps, 1):
        handler = _handler_of(template, step, handlers)
        everything = frozenset(before[step.name])
        needs = everything if handler is None or handler.needs is None else handler.needs & everything
        if step.for_each is not None and (handler is None or handler.needs is None):
            needs -= {items_path(step.for_each, everything)[0]}  # a member is handed its item, not the whole list
        has_checks = template.enforce_schemas and step.result_schema is not None
        is_grown = step.is_batch or bool(needs & batches)
        is_last = step.name not in parents
        steps[number] = StepPlan(
            number,
            step,
            template,
            handler,
            needs,
            numbers,
            needs & batches,
            step.is_batch,
            is_grown,
            has_checks,
            is_last,
        )
    return Plan(template, steps)


def _handler_of(template: Template, step: Step, handlers: Mapping[str, Handler]) -> Handler | None:
    try:
        return resolve(handlers, step.handler)
    except (HandlerNotFound, InvalidHandler) as error:
        log.error("a step has no handler here", template=template.full_name, step=step.name, error=str(error))
        return None


def unreadable_plan(template_id: int, number: int) -> StepPlan:
    """Stands for a step of a template that this version of Tasker cannot read."""
    step = Step(name=f"step {number}", handler=HandlerRef(callable=""))
    template = Template(namespace="", name=f"template {template_id}", version="0", steps=(step,))
    nothing: frozenset[str] = frozenset()
    return StepPlan(
        number,
        step,
        template,
        None,
        nothing,
        {},
        nothing,
        is_batch=False,
        is_grown=False,
        has_checks=False,
        is_last=False,
    )


def check_handlers(template: Template, handlers: Mapping[str, Handler], queues: Sequence[str] | None = None) -> None:
    """Holds a template against the handlers of a process that serves these queues (None: all).

    Raises HandlerNotFound, which names every step whose handler is missing, and InvalidHandler, which names every
    dependency that a handler declares and that does not come before its step.
    """
    served = [step for step in template.steps if queues is None or (step.queue or template.namespace) in queues]
    missing: list[str] = []
    problems: list[str] = []
    for step in served:
        try:
            problems += _misreadings(template, step, resolve(handlers, step.handler))
        except HandlerNotFound as error:
            missing.append(f"{str(error).removeprefix('no handler ')} (step {step.name})")
        except InvalidHandler as error:
            problems.append(f"step {step.name}: {error}")
    if missing:
        raise HandlerNotFound(
            f"{template.full_name} names handlers that this process does not have: {', '.join(missing)}. "
            f"It has: {', '.join(sorted(handlers)) or 'none'}"
        )
    if problems:
        raise InvalidHandler(f"{template.full_name}: {'; '.join(problems)}")


def _misreadings(template: Template, step: Step, handler: Handler) -> Iterator[str]:
    """What the handler of a step cannot do without, and the step's ancestors do not give."""
    declaration = declaration_of(handler.source)
    if declaration is None or not declaration.dependencies:
        return
    before = ancestors_of(template, step.name)
    parameters = signature(handler.source).parameters
    for name, (wanted, _) in declaration.dependencies.items():
        if wanted in before or (name in parameters and parameters[name].default is not Parameter.empty):
            continue
        depends = f'step {step.name}: its handler {handler.place} depends on "{wanted}"'
        if any(other.name == wanted for other in template.steps):
            yield f"{depends}, which does not come before the step: add it to the step's dependencies"
        else:
            yield f"{depends}, which is no step of the template{did_you_mean(wanted, before)}"
