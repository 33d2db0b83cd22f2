"""Outcomes from the network on their way into the database: no single one stops the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import orjson

from tasker.handlers.failures import ERROR_CODE_MAX_BYTES, MESSAGE_MAX_BYTES, TRACEBACK_MAX_BYTES, outcome_of_error
from tasker.handlers.failures import clean_text as clean
from tasker.handlers.results import encode_result, plain_json
from tasker.model.errors import StepError, StepValidationError
from tasker.model.outcome import Outcome
from tasker.operations.worker_words import OutcomeVerdict, StepOutcome
from tasker.store.errors import CONNECTION_ERRORS, DatabaseError, refusal
from tasker.store.replies import Reply
from tasker.store.verbs import Report

CONFLICT_PAUSE_S = 0.05
_TEXTS = {
    "message": MESSAGE_MAX_BYTES,
    "traceback": TRACEBACK_MAX_BYTES,
    **dict.fromkeys(("error_type", "error_class", "error_code"), ERROR_CODE_MAX_BYTES),
}
Said = tuple[StepOutcome, Outcome]


def outcomes_of(said: Sequence[StepOutcome], result_bytes_max: int) -> tuple[list[Said], list[OutcomeVerdict]]:
    """Outcomes as the engine takes them. What cannot be kept fails its step, and has the verdict `refused`."""
    made: list[Said] = []
    refused: list[OutcomeVerdict] = []
    for one in said:
        try:
            made.append((one, _outcome(one, result_bytes_max)))
        except StepError as error:
            made.append((one, outcome_of_error(error)))
            refused.append(verdict_of(one, "refused", str(error)))
    return made, refused


def _outcome(said: StepOutcome, result_bytes_max: int) -> Outcome:
    if said.kind in ("failed", "retryable"):
        return Outcome(said.kind, _error_json(said), said.retry_after_s if said.kind == "retryable" else None)
    if said.kind in ("released", "expanded"):
        return Outcome(said.kind, None, said.retry_after_s if said.kind == "released" else None)
    return Outcome(said.kind, encode_result(said.result, result_bytes_max))


def _error_json(said: StepOutcome) -> str:
    """The record of a failure, its texts cut to what people read."""
    record: dict[str, Any] = {
        "error_type": "handler_error",
        "error_class": "",
        "message": "the worker gave no reason",
        "error_code": None,
        "traceback": None,
        "metadata": {},
        **(said.error or {}),
        "retryable": said.kind == "retryable",
    }
    for name, limit in _TEXTS.items():
        if record[name] is not None:
            record[name] = clean(str(record[name]), limit)
    known = {*_TEXTS, "retryable", "metadata", "is_dependency_failure"}
    record["metadata"] = {**_object(record["metadata"]), **{key: record.pop(key) for key in {*record} - known}}
    if len(orjson.dumps(record["metadata"])) > MESSAGE_MAX_BYTES * 2:
        record["metadata"] = {"left_out": "more metadata than is kept"}
    return orjson.dumps(plain_json(record)).decode()


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {"metadata": value}


def verdict_of(said: StepOutcome, verdict: Any, reason: str | None = None) -> OutcomeVerdict:
    """What became of an outcome."""
    return OutcomeVerdict(
        task_uuid=said.task_uuid, number=said.number, attempt=said.attempt, verdict=verdict, reason=reason
    )


class Recording:
    """Records the outcomes of one turn. `call` reports some of them, for all that this frees or ends."""

    def __init__(self, call: Callable[[Report], Awaitable[Reply]]) -> None:
        self._call = call
        self.replies: list[Reply] = []
        self.verdicts: list[OutcomeVerdict] = []

    async def record(self, outcomes: Sequence[Said]) -> None:
        """Records these, as far as they can be. Raises what is wrong with the database."""
        try:
            self.replies.append(await self._call(_report(outcomes)))
        except CONNECTION_ERRORS:
            raise
        except DatabaseError as error:
            await self._after_refusal(outcomes, error)

    async def _after_refusal(self, outcomes: Sequence[Said], error: DatabaseError) -> None:
        """Halves them until the bad one is alone: its step fails. What is stuck is sent again later by the worker."""
        reason = refusal(error)
        if reason == "away":
            raise error
        if reason == "conflict":
            await asyncio.sleep(CONFLICT_PAUSE_S)
        elif reason != "busy" and len(outcomes) > 1:
            middle = len(outcomes) // 2
            await self.record(outcomes[:middle])
            await self.record(outcomes[middle:])
            return
        elif reason == "data" and outcomes[0][1].kind != "failed":
            said, message = outcomes[0][0], f"the database refused the outcome of this step: {error}"
            await self.record([(said, outcome_of_error(StepValidationError(message, error_code="invalid_result")))])
            self.verdicts.append(verdict_of(said, "refused", message))
            return
        self.verdicts += [verdict_of(said, "deferred") for said, _ in outcomes]


def _report(outcomes: Sequence[Said]) -> Report:
    report = Report()
    for said, outcome in outcomes:
        report.add(said.task_uuid, said.number, said.attempt, outcome, said.run_s)
    return report
