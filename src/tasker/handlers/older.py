"""What a handler of the older form, `process(task, sequence, step)`, is given.

These are views of one context. The result is what `process` returned, unless it set `step.results` itself: then that
is kept. A class may define `process_results(step, output, initial_results)`, which then sets `step.results`.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tasker.handlers.context import StepContext
from tasker.model.template import Step


class OlderTask:
    """The task: `task.context["…"]`, `task.task_id`."""

    def __init__(self, context: StepContext) -> None:
        self._context = context

    @property
    def context(self) -> dict[str, Any]:
        """The task's input, with text keys."""
        return self._context.inputs

    @property
    def task_id(self) -> str:
        """The task's uuid as text."""
        return str(self._context.task_uuid)

    @property
    def task_uuid(self) -> UUID:
        """The task's uuid."""
        return self._context.task_uuid

    @property
    def name(self) -> str:
        """The template's name."""
        return self._context.template.name

    @property
    def namespace(self) -> str:
        """The template's namespace."""
        return self._context.template.namespace

    @property
    def version(self) -> str:
        """The template's version."""
        return self._context.template.version


class OlderStep:
    """A step of the sequence. `results` is empty until the step is done, and of steps that are not before this one."""

    def __init__(self, context: StepContext, definition: Step, results: dict[str, Any]) -> None:
        self._context = context
        self._definition = definition
        self.results = results

    @property
    def name(self) -> str:
        """The step's name."""
        return self._definition.name

    @property
    def inputs(self) -> dict[str, Any]:
        """The task's input."""
        return self._context.inputs

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of the step that runs."""
        return self._context.configuration

    @property
    def retry_limit(self) -> int:
        """The limit of executions, the first one included."""
        return self._definition.retry.max_attempts


class CurrentStep(OlderStep):
    """The step that runs."""

    @property
    def step_id(self) -> str:
        """The step's uuid as text."""
        return str(self._context.step_uuid)

    @property
    def attempts(self) -> int:
        """How many executions ended before this one."""
        return self._context.tries


class Sequence:
    """The steps of the task, in the order of the template."""

    def __init__(self, context: StepContext, current: CurrentStep) -> None:
        self._context = context
        self._current = current

    @property
    def steps(self) -> list[OlderStep]:
        """All steps."""
        return [self._view(definition) for definition in self._context.template.steps]

    def find_step_by_name(self, name: str) -> OlderStep | None:
        """The step of that name; None where the template has none."""
        return next((self._view(step) for step in self._context.template.steps if step.name == name), None)

    def _view(self, definition: Step) -> OlderStep:
        if definition.name == self._current.name:
            return self._current
        return OlderStep(self._context, definition, self._context.get_dependency_result(definition.name) or {})


def run_process(handler: Any, context: StepContext) -> Any:
    """Call `handler.process` and return the step's result."""
    step = CurrentStep(context, context.step, {})
    output = handler.process(OlderTask(context), Sequence(context, step), step)
    return _result(handler, step, output)


async def run_process_async(handler: Any, context: StepContext) -> Any:
    """The same for a `process` that is a coroutine."""
    step = CurrentStep(context, context.step, {})
    output = await handler.process(OlderTask(context), Sequence(context, step), step)
    return _result(handler, step, output)


def _result(handler: Any, step: CurrentStep, output: Any) -> Any:
    hook = getattr(handler, "process_results", None)
    if hook is not None:
        hook(step, output, {})
        return step.results
    return step.results or output
