"""Handlers on their own, as the unit tests of existing projects call them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from unittest.mock import MagicMock
from uuid import UUID

import pytest
from pydantic import BaseModel

import tasker
from tasker.handlers import outcome_of_result
from tasker_core import (
    ApiResponse,
    Batchable,
    BatchAggregationScenario,
    BatchWorkerContext,
    DecisionHandler,
    ErrorClassifier,
    FfiStepEvent,
    StepContext,
    StepHandler,
    StepHandlerResult,
    TaskerError,
    errors,
)
from tasker_core.adapters import failed, kept, raised
from tasker_core.step_handler.functional import (
    BatchConfig,
    Decision,
    api_handler,
    batch_analyzer,
    batch_worker,
    decision_handler,
    depends_on,
    inputs,
    step_handler,
)
from tasker_core.step_handler.mixins import APIMixin

TASK = "0190f000-0000-7000-8000-000000000001"


def context(data: dict[str, Any] | None = None, results: dict[str, Any] | None = None, **step: Any) -> StepContext:
    """A context as the worker makes it."""
    sequence = {
        "task": {"task": {"context": data or {}}, "task_name": "t", "namespace_name": "n", "task_version": "1"},
        "workflow_step": step,
        "dependency_results": {name: {"result": value, "success": True} for name, value in (results or {}).items()},
        "step_definition": {"name": "s", "handler": {"callable": "h", "initialization": {"a": 1}}},
    }
    event = FfiStepEvent(event_id="e", task_uuid=TASK, step_uuid=TASK, correlation_id=TASK, task_sequence_step=sequence)
    return StepContext.from_ffi_event(event, "h")


def run(function: Any, given: StepContext) -> StepHandlerResult:
    """What the generated handler of a function answers."""
    answer = function._handler_class().call(given)
    return asyncio.run(answer) if asyncio.iscoroutine(answer) else answer


def test_a_context_reads_as_it_did() -> None:
    """Results come out of their envelopes; what is missing is None; tries count from 0."""
    given = context({"a": None, "b": 2}, {"one": {"x": [1, {"y": 2}]}, "bare": None}, attempts=None, inputs=None)
    assert given.task_uuid == UUID(TASK)
    assert given.get_dependency_result("one") == {"x": [1, {"y": 2}]}
    assert given.get_dependency_field("one", "x", 1, "y") == 2
    assert given.get_dependency_field("one", "z", 1) is None
    assert given.get_dependency_result("none") is None
    assert given.get_all_dependency_results("") == [{"x": [1, {"y": 2}]}]
    assert (given.get_input("b"), given.get_input_or("a", 5), given.get_config("a")) == (2, 5, 1)
    assert (given.retry_count, given.max_retries, given.is_retry(), given.is_last_retry()) == (0, 3, False, False)
    assert context(attempts=2).is_last_retry()
    assert (given.checkpoint, given.has_checkpoint(), given.checkpoint_items_processed) == (None, False, 0)
    assert given.task_sequence_step.get_task_field("b") == 2
    assert given.task_sequence_step.get_results("one") == {"x": [1, {"y": 2}]}


def test_success_is_a_factory_and_a_truth() -> None:
    """`StepHandlerResult.success(...)` makes one; `result.success` says whether it is one."""
    good, bad = StepHandlerResult.success({"a": 1}, {"m": 2}), StepHandlerResult.failure("no")
    assert good.success is True and good.is_success and good.is_success_result()
    assert bad.success is False and bad.is_failure_result() and bad.error_type == "handler_error"
    assert good.model_dump(by_alias=True)["success"] is True
    assert StepHandlerResult.model_validate({"success": True}).is_success


class Total(BaseModel):
    total: int


class Email(BaseModel):
    email: str
    coupon: str = "none"


def test_functions_get_what_they_declare() -> None:
    """Results, models, inputs (None where missing), the context if there is a parameter for it."""

    @step_handler("one", version="2.0.0")
    @depends_on(cart="cart", model=("cart", Total), none=("nothing", Total))
    @inputs("email", "missing")
    def one(cart, model, none, email, missing, context):
        return {"cart": cart, "model": model.total, "rest": [none, email, missing], "tries": context.retry_count}

    found = run(one, context({"email": "a@b"}, {"cart": {"total": 3}}))
    assert found.result == {"cart": {"total": 3}, "model": 3, "rest": [None, "a@b", None], "tries": 0}
    assert one(1, Total(total=1), None, None, None, context())["cart"] == 1
    handler = one._handler_class()
    assert (handler.name, handler.version, handler.capabilities) == ("one", "2.0.0", ["process"])


def test_a_missing_field_of_a_model_has_its_default() -> None:
    """And one without a default is a failure that is tried again."""

    @step_handler("one")
    @inputs(Email)
    async def one(inputs):
        return inputs

    assert run(one, context({"email": "a"})).result == {"email": "a", "coupon": "none"}
    missing = run(one, context())
    assert (missing.success, missing.error_type, missing.retryable) == (False, "handler_error", True)
    assert missing.metadata["exception_type"] == "ValidationError"


@pytest.mark.parametrize(
    ("value", "result"),
    [(None, {}), ({"a": 1}, {"a": 1}), (Total(total=1), {"total": 1}), ([1], {"result": [1]}), ("x", {"result": "x"})],
)
def test_what_functions_return_is_wrapped(value: Any, result: dict[str, Any]) -> None:
    """A mapping is the result, anything else lies in one."""
    assert run(step_handler("a")(lambda: value), context()).result == result


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        (errors.PermanentError("x"), "permanent_error", False),
        (errors.ValidationError("x"), "permanent_error", False),
        (errors.RateLimitError("x", retry_after=7), "retryable_error", True),
        (errors.TaskerError("x", retryable=False), "handler_error", False),
        (ValueError("x"), "handler_error", True),
        (tasker.PermanentError("x"), "permanent_error", False),
    ],
)
def test_what_functions_raise_is_classified(error: Exception, kind: str, retryable: bool) -> None:
    """By the class, for functions."""

    @step_handler("a")
    def fails():
        raise error

    found = run(fails, context())
    assert (found.error_message, found.error_type, found.retryable) == ("x", kind, retryable)


def test_failures_become_the_engines_errors() -> None:
    """A retry_after is honoured, an error_code kept, an exception's own word on retrying counts."""
    error = failed(StepHandlerResult.failure("m", "rate", True, {"retry_after_seconds": 7}, "CODE"))
    assert (str(error), error.error_type, error.error_code, error.retry_after) == ("m", "rate", "CODE", 7)
    error = raised(errors.RateLimitError("slow", retry_after=3))
    assert (error.error_type, error.retryable, error.retry_after) == ("RateLimitError", True, 3)
    assert raised(ValueError("x")).retryable is True
    assert raised(errors.NotFoundError("x")).retryable is False
    assert kept(StepHandlerResult.success({"a": float("inf"), "b": {1: 2}})) == {"a": None, "b": {"1": 2}}


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (float("nan"), None),
        (Decimal("1.5"), "1.5"),
        (b"text", "text"),
        ({1: Total(total=2)}, {"1": {"total": 2}}),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
    ],
)
def test_results_become_json_as_they_did(value: Any, plain: Any) -> None:
    """Of a StepHandlerResult and of a plain dict."""
    assert kept(StepHandlerResult.success({"a": value})) == kept({"a": value}) == {"a": plain}


@pytest.mark.parametrize("value", [2**70, "\ud800", object(), b"\xff"])
def test_what_cannot_be_json_is_told_by_the_engine(value: Any) -> None:
    """For good, and with the place where it lies."""
    outcome = outcome_of_result(kept({"a": value}))
    assert outcome.kind == "failed"
    assert "$.a" in (outcome.payload or "")


def test_errors_belong_to_the_engines_family() -> None:
    """A handler may raise either; the top-level TaskerError is another class."""
    error = errors.NotFoundError("gone", error_code="E", context={"id": 1})
    assert isinstance(error, tasker.PermanentError)
    assert error.to_dict() == {
        "error_type": "NotFoundError",
        "message": "gone",
        "retryable": False,
        "metadata": {"id": 1, "error_code": "E"},
    }
    assert TaskerError is not errors.TaskerError
    with pytest.raises(TypeError):
        errors.RetryableError("x", error_type="y")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("error", "retryable", "reason"),
    [
        (errors.PermanentError("x", retryable=True), True, "explicit_attribute"),
        (KeyError("x"), False, "permanent"),
        (NotImplementedError("x"), False, "permanent"),
        (ConnectionError("x"), True, "retryable"),
        (TimeoutError("x"), True, "retryable"),
        (RuntimeError("x"), True, "default"),
    ],
)
def test_the_classifier_guesses(error: Exception, retryable: bool, reason: str) -> None:
    """For handlers that ask it."""
    said = ErrorClassifier().classify(error)
    assert said == {"error_type": type(error).__name__, "retryable": retryable, "classification": reason}
    assert ErrorClassifier(default_retryable=False).permanent(RuntimeError("x"))


def test_decisions_have_their_wire_shape() -> None:
    """Routes and skips, of functions and of classes."""

    @decision_handler("way")
    @inputs("n")
    def way(n):
        return Decision.route(["a"], n=n) if n else Decision.skip("none", why="zero")

    chosen = {"type": "create_steps", "step_names": ["a"], "routing_context": {"n": 1}}
    assert run(way, context({"n": 1})).result == {"decision_point_outcome": chosen}
    skipped = run(way, context({"n": 0})).result
    assert skipped is not None and skipped["decision_point_outcome"] == {"type": "no_branches"}

    class Way(DecisionHandler):
        handler_name = "way"

        def call(self, context):
            return self.skip_branches("nothing")

    found = Way().call(context())
    assert found.result == {"decision_point_outcome": {"type": "no_branches"}, "reason": "nothing"}
    assert found.metadata == {"decision_handler": "way", "decision_version": "1.0.0"}
    assert Way().decision_failure("no").retryable is False


class Batch(StepHandler, Batchable):
    handler_name = "batch"

    def call(self, context):
        return self.checkpoint_yield(5, 5, {"sum": 1})


def test_batches_are_cut_as_they_were() -> None:
    """Ranges, names, outcomes and their empty forms."""
    batch = Batch()
    cut = [(one.start_cursor, one.end_cursor) for one in batch.create_cursor_ranges(25, 10, max_batches=2)]
    assert cut == [(0, 13), (13, 25)]
    assert batch.create_cursor_ranges(0, 10) == []
    with pytest.raises(ValueError):
        batch.create_cursor_ranges(1, 0)
    assert [one.batch_id for one in batch.create_cursor_configs(10, 3)] == ["001", "002", "003"]
    found = batch.batch_analyzer_success(batch.create_batch_outcome(25, 10), worker_template_name="w").result
    assert found is not None
    outcome = found["batch_processing_outcome"]
    assert (outcome["type"], outcome["worker_count"], outcome["total_items"]) == ("create_batches", 3, 25)
    assert outcome["cursor_configs"][2] == {
        "batch_id": "003",
        "start_cursor": 20,
        "end_cursor": 25,
        "batch_size": 5,
    }
    empty = batch.batch_analyzer_success(batch.create_batch_outcome(0, 10)).result
    assert empty == {"batch_processing_outcome": {"type": "no_batches"}, "reason": "empty_dataset"}
    assert batch.batch_worker_success().error_type == "invalid_args"
    assert batch.create_worker_outcome(5).items_succeeded == 5


def test_batches_are_summed_as_they_were() -> None:
    """Totals over workers; nothing for an empty batch; missing parts are told."""
    results = {
        "scan": {"result": {"batch_processing_outcome": {"type": "create_batches"}}},
        "part_001": {"result": {"items_processed": 4, "items_succeeded": 3, "items_failed": 1, "errors": [{"e": 1}]}},
        "part_002": {"result": {"items_processed": 4, "items_succeeded": 4}},
    }
    batch = Batch()
    scenario = batch.detect_aggregation_scenario(results, "scan", "part_")
    total = batch.aggregate_batch_worker_results(scenario).result
    assert total is not None
    assert (total["total_processed"], total["success_rate"], total["error_count"]) == (8, 7 / 8, 1)
    assert (total["batch_count"], total["worker_count"]) == (2, 2)
    nothing = {"scan": {"result": {"batch_processing_outcome": {"type": "no_batches"}}}}
    assert BatchAggregationScenario.detect(nothing, "scan", "part_").no_batches()
    with pytest.raises(ValueError):
        BatchAggregationScenario.detect({}, "scan", "part_")
    with pytest.raises(ValueError):
        BatchAggregationScenario.detect({"scan": results["scan"]}, "scan", "part_")


def test_workers_of_batches_read_their_part() -> None:
    """The cursor in the step's inputs; None outside of a batch; the checkpoint of an earlier execution."""
    cursor = {"batch_id": "001", "start_cursor": 0, "end_cursor": 200, "batch_size": 200}
    given = context(inputs=None, checkpoint={"cursor": 7, "items_processed": 7, "accumulated_results": {"a": 1}})
    assert BatchWorkerContext.from_step_context(given) is None
    assert (given.checkpoint_cursor, given.accumulated_results, given.has_checkpoint()) == (7, {"a": 1}, True)
    given.step_inputs.update({"cursor": cursor, "is_no_op": False})
    part = BatchWorkerContext.from_step_context(given)
    assert part is not None
    assert (part.start_cursor, part.end_cursor, part.batch_size, part.checkpoint_cursor) == (0, 200, 200, 7)
    inputs_of = Batch().get_batch_worker_inputs(given)
    assert inputs_of is not None and inputs_of.cursor.batch_id == "001"
    assert Batch().handle_no_op_worker(given) is None
    given.step_inputs["is_no_op"] = True
    assert Batch().handle_no_op_worker(given).result["no_op"] is True  # type: ignore[union-attr,index]

    @batch_worker("w")
    def worker(batch_context):
        return {"end": batch_context.end_cursor}

    assert run(worker, given).result == {"end": 200}

    @batch_analyzer("a", worker_template="w")
    def analyzer():
        return BatchConfig(total_items=5, batch_size=2)

    analysed = run(analyzer, given).result
    assert analysed is not None
    assert analysed["batch_processing_outcome"]["worker_template_name"] == "w"
    assert [one["batch_size"] for one in analysed["batch_processing_outcome"]["cursor_configs"]] == [2, 2, 1]


class Reply:
    """A response as HTTP clients have it."""

    reason_phrase = "Too Many Requests"

    def __init__(self, status_code: int, headers: dict[str, str], text: str = "", json: Any = None) -> None:
        self.status_code, self.headers, self.text, self._json = status_code, headers, text, json

    def json(self) -> Any:
        return self._json


class Api(APIMixin, StepHandler):
    def call(self, context):
        return None


def test_responses_are_classified() -> None:
    """By their status; Retry-After is honoured by the engine; the message comes from the body."""
    busy = ApiResponse(Reply(429, {"Retry-After": "7", "content-type": "application/json"}, json={"error": "slow"}))
    found = Api().api_failure(busy)
    assert (found.error_message, found.error_type, found.retryable) == ("HTTP 429: slow", "rate_limited", True)
    assert failed(found).retry_after == 7
    assert ApiResponse(Reply(503, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"})).retry_after == 60
    gone = Api().api_failure(ApiResponse(Reply(418, {})))
    assert (gone.error_message, gone.error_type, gone.retryable) == (
        "HTTP 418: Too Many Requests",
        "client_error",
        False,
    )
    fine = ApiResponse(Reply(200, {}, "text"))
    assert Api().api_success(fine, include_response=False).result == {"data": "text"}
    assert Api().connection_error(OSError("x"), "bank").error_message == "Connection error (bank): x"


def test_a_function_may_have_an_api() -> None:
    """`api` is the handler, with its base URL."""

    @api_handler("bank", base_url="https://bank.example", timeout=5, default_headers={"A": "b"})
    def bank(api):
        return {"base": api.base_url, "timeout": api.default_timeout, "headers": api.default_headers}

    assert run(bank, context()).result == {"base": "https://bank.example", "timeout": 5, "headers": {"A": "b"}}


def test_handlers_may_be_tried_with_a_context_that_only_answers() -> None:
    """As tests of existing applications make them, of mocks."""
    answers = {"total": 7, "note": None}
    mock = MagicMock(spec=["get_input", "get_dependency_result"])
    mock.get_input.side_effect = answers.get
    mock.get_dependency_result.return_value = {"total": 3}

    @step_handler("model")
    @depends_on(cart=("cart", Total))
    @inputs(Total)
    def model(cart, inputs):
        return {"sum": cart.total + inputs.total}

    result = model._handler_class().call(mock)
    assert result.success is True
    assert result.result == {"sum": 10}
