"""What a test lets go wrong: failures and lost workers, by step and attempt."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from tasker.model.errors import RetryableError, StepNotFound
from tasker.model.template import Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to a step in these attempts (None: in each). Made by `fail` and `lose_worker`.

    Of a batch every member is meant, or the one that is named. `error` is raised in the place of the handler; None: the
    worker dies. With `after_handler` the handler runs first,
    and what it did is done, but nobody learns of it. With `after_checkpoint` it runs until it has saved so many.
    """

    step: str
    attempts: frozenset[int] | None
    error: BaseException | None
    after_handler: bool = False
    after_checkpoint: int | None = None

    def meets(self, names: Collection[str], attempt: int) -> bool:
        """True when this attempt of the step that is called so is to go wrong."""
        return self.step in names and (self.attempts is None or attempt in self.attempts)


def fail(
    step: str,
    *,
    attempts: int | Iterable[int] | None = None,
    error: BaseException | type[BaseException] | str = "injected",
    after_handler: bool = False,
    after_checkpoint: int | None = None,
) -> Fault:
    """The step fails in these attempts, counted from 1 (default: in each), as if its handler had raised `error`.

    That is an exception or its class; a text is the message of a RetryableError. With `after_handler` the handler runs
    first: as when the card was charged and the answer was lost. With `after_checkpoint` it runs until it has saved so
    many checkpoints in this attempt; if it ends before, nothing goes wrong.
    """
    if isinstance(error, str):
        error = RetryableError(error)
    elif isinstance(error, type):
        error = error("injected")
    return Fault(
        step=step,
        attempts=_attempts(attempts),
        error=error,
        after_handler=after_handler,
        after_checkpoint=after_checkpoint,
    )


def lose_worker(
    step: str,
    *,
    attempts: int | Iterable[int] | None = 1,
    after_handler: bool = False,
    after_checkpoint: int | None = None,
) -> Fault:
    """The worker dies with the step in these attempts (None: in each), before its handler runs or after it.

    After it means: what the handler did is done, its result is lost, and the step runs again. `after_checkpoint` is as
    for `fail`.
    """
    return Fault(
        step=step,
        attempts=_attempts(attempts),
        error=None,
        after_handler=after_handler,
        after_checkpoint=after_checkpoint,
    )


def check_faults(faults: Sequence[Fault], templates: Iterable[Template]) -> None:
    """Raises StepNotFound for a fault that could never happen: a misspelt one would let a test pass for no reason."""
    steps = [step for template in templates for step in template.steps]
    names, batches = {step.name for step in steps}, tuple(f"{step.name}_" for step in steps if step.is_batch)
    for fault in faults:
        if fault.step in names or fault.step.startswith(batches):
            continue
        near = get_close_matches(fault.step, names, n=1)
        hint = f'; did you mean "{near[0]}"?' if near else f". Steps: {', '.join(sorted(names))}"
        raise StepNotFound(f'a fault names the step "{fault.step}", which no template here has{hint}')


def _attempts(attempts: int | Iterable[int] | None) -> frozenset[int] | None:
    if attempts is None:
        return None
    return frozenset([attempts] if isinstance(attempts, int) else attempts)
