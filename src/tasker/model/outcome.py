"""How an execution of a step ended: what a worker reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OutcomeKind = Literal["succeeded", "decided", "batched", "expanded", "failed", "retryable", "released"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One outcome, ready to be reported. Use the named constructors.

    `payload` is JSON text: the result of a success, the error record of a failure.
    """

    kind: OutcomeKind
    payload: str | None = None
    retry_after_s: float | None = None

    @property
    def is_success(self) -> bool:
        """True for a result, that of a decision or of a batchable step included."""
        return self.kind in ("succeeded", "decided", "batched")


def succeeded(result_json: str) -> Outcome:
    """The handler returned; `result_json` is its result as JSON text."""
    return Outcome("succeeded", result_json)


def decided(result_json: str) -> Outcome:
    """A decision was made; `result_json` holds `decision_point_outcome`."""
    return Outcome("decided", result_json)


def batched(result_json: str) -> Outcome:
    """Work was cut into parts; `result_json` holds `batch_processing_outcome`."""
    return Outcome("batched", result_json)


def expanded() -> Outcome:
    """No handler ran: the step is a batch, and asks the engine for its members."""
    return Outcome("expanded")


def failed(error_json: str) -> Outcome:
    """Trying again cannot help."""
    return Outcome("failed", error_json)


def retryable(error_json: str, retry_after_s: float | None = None) -> Outcome:
    """It failed for a passing reason; `retry_after_s` is the server's wish for the wait, in seconds."""
    return Outcome("retryable", error_json, retry_after_s)


def released(delay_s: float | None = None) -> Outcome:
    """It was not started: another worker may take it, and no try is spent."""
    return Outcome("released", None, delay_s)
