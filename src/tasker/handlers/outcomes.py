"""From what a handler returned to the outcome that is reported."""

from __future__ import annotations

from typing import Any

import orjson

from tasker.handlers import batch, decision
from tasker.handlers.batch import Batches
from tasker.handlers.decision import Decision
from tasker.handlers.failures import outcome_of_error
from tasker.handlers.results import encode_result
from tasker.model.errors import StepError, StepValidationError
from tasker.model.outcome import Outcome, batched, decided, succeeded
from tasker.model.template import Step


def outcome_of_result(value: Any, limit_bytes: int | None = None) -> Outcome:
    """What to report when the handler returned `value`: a success, or a failure where it cannot be kept."""
    try:
        if isinstance(value, Decision):
            return decided(encode_result(value.to_result(), limit_bytes))
        if isinstance(value, Batches):
            return batched(encode_result(value.to_result(), limit_bytes))
        return succeeded(encode_result(value, limit_bytes))
    except StepError as error:
        return outcome_of_error(error)


def classify(step: Step, outcome: Outcome) -> Outcome:
    """A success of a decision as its decision, and of a batchable step as its batches; a failure where a step says what
    its type may not, or does not say what it should.

    Whether the names can be chosen, and the cursors be used, is for the engine to say.
    """
    if outcome.kind == "decided" and step.type != "decision":
        return _refused(
            f'step "{step.name}" returned a Decision: give it `type: decision` in the template', "invalid_decision"
        )
    if outcome.kind == "batched" and step.type != "batchable":
        return _refused(
            f'step "{step.name}" returned Batches: give it `type: batchable` in the template', "invalid_batch"
        )
    if outcome.kind == "succeeded" and step.type == "decision":
        if decision.OUTCOME_KEY in orjson.loads(outcome.payload or "{}"):
            return decided(outcome.payload or "{}")
        message = f'decision "{step.name}" returned no Decision: return Decision.route([…]) or Decision.skip()'
        return _refused(message, "invalid_decision")
    if outcome.kind == "succeeded" and step.type == "batchable":
        if batch.OUTCOME_KEY in orjson.loads(outcome.payload or "{}"):
            return batched(outcome.payload or "{}")
        message = (
            f'batchable step "{step.name}" returned no Batches: return Batches.split(total, size), '
            "Batches.ranges([…]) or Batches.none()"
        )
        return _refused(message, "invalid_batch")
    return outcome


def _refused(message: str, code: str) -> Outcome:
    return outcome_of_error(StepValidationError(message, error_code=code))
