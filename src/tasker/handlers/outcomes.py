"""From what a handler returned to the outcome that is reported."""

from __future__ import annotations

from typing import Any

import orjson

from tasker.handlers.decision import OUTCOME_KEY, Decision
from tasker.handlers.failures import outcome_of_error
from tasker.handlers.results import encode_result
from tasker.model.errors import StepError, StepValidationError
from tasker.model.outcome import Outcome, decided, succeeded
from tasker.model.template import Step


def outcome_of_result(value: Any, limit_bytes: int | None = None) -> Outcome:
    """What to report when the handler returned `value`: a success, or a failure where it cannot be kept."""
    try:
        if isinstance(value, Decision):
            return decided(encode_result(value.to_result(), limit_bytes))
        return succeeded(encode_result(value, limit_bytes))
    except StepError as error:
        return outcome_of_error(error)


def classify_decision(step: Step, outcome: Outcome) -> Outcome:
    """A success of a decision as its decision; a failure where a step decides that may not, or does not that should.

    Whether the names can be chosen is for the engine to say.
    """
    if step.type != "decision":
        if outcome.kind != "decided":
            return outcome
        return _refused(f'step "{step.name}" returned a Decision: give it `type: decision` in the template')
    if outcome.kind != "succeeded":
        return outcome
    if OUTCOME_KEY in orjson.loads(outcome.payload or "{}"):
        return decided(outcome.payload or "{}")
    return _refused(f'decision "{step.name}" returned no Decision: return Decision.route([…]) or Decision.skip()')


def _refused(message: str) -> Outcome:
    return outcome_of_error(StepValidationError(message, error_code="invalid_decision"))
