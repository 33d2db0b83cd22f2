"""Batches of existing applications, as classes and as functions."""

from __future__ import annotations

from typing import Any

import pytest
from core_support import Application, ended, results, soon

from tasker_core import CursorConfig, poll_in_process_events
from tasker_core.batch_processing import Batchable
from tasker_core.types import aggregate_batch_results

STOCK = """
    name: stock
    namespace_name: shop
    version: 1.0.0
    steps:
      - name: analyze
        type: batchable
        handler: {callable: Stock::Analyze, initialization: {worker_template_name: count}}
      - name: count
        type: batch_worker
        dependencies: [analyze]
        handler: {callable: Stock::Count}
        batch_config:
          {batch_size: 200, parallelism: 5, cursor_field: row, worker_template: count, failure_strategy: STRATEGY}
        retry: {max_attempts: 2, backoff: none}
        publishes_events: [{name: part.counted, condition: success}]
      - name: sum
        type: deferred_convergence
        dependencies: [count]
        handler: {callable: Stock::Sum}
"""
CLASSES = """
    from tasker_core import Batchable, StepHandler, StepHandlerResult
    from tasker_core.errors import PermanentError, RetryableError

    SEEN, CALLS = [], []

    class Analyze(StepHandler, Batchable):
        handler_name = "Stock::Analyze"

        def call(self, context):
            outcome = self.create_batch_outcome(context.get_input("rows"), 200, batch_metadata={"sheet": 1})
            return self.batch_analyzer_success(
                outcome, worker_template_name=context.get_config("worker_template_name")
            )

    class Count(StepHandler, Batchable):
        handler_name = "Stock::Count"

        def call(self, context):
            nothing = self.handle_no_op_worker(context)
            if nothing is not None:
                return nothing
            part = self.get_batch_context(context)
            inputs = self.get_batch_worker_inputs(context)
            SEEN.append((part.batch_id, part.batch_index, part.total_batches, part.batch_size, part.step_size,
                         part.cursor_config.batch_id, inputs.batch_metadata.cursor_field, context.handler_name,
                         context.get_dependency_field("analyze", "total_items")))
            if part.batch_id in (context.get_input("broken") or ()):
                raise PermanentError("broken", error_code="BROKEN")
            done = context.checkpoint_cursor or part.start_cursor
            CALLS.append((part.batch_id, done))
            if done < part.start_cursor + 100 <= part.end_cursor:
                return self.checkpoint_yield(done + 100, 100, {"sum": 100})
            if context.has_checkpoint() and not context.is_retry() and part.batch_id == context.get_input("fails"):
                raise RetryableError("in the middle")
            return self.batch_worker_success(items_processed=part.batch_size, last_cursor=part.end_cursor)

    class Sum(StepHandler, Batchable):
        handler_name = "Stock::Sum"

        def call(self, context):
            scenario = self.detect_aggregation_scenario(context.dependency_results, "analyze", "count_")
            return self.aggregate_batch_worker_results(scenario, {"total_processed": 0})
"""
FUNCTIONS = """
    from tasker_core.step_handler.functional import BatchConfig, batch_analyzer, batch_worker
    from tasker_core.step_handler.functional import depends_on, inputs, step_handler

    @batch_analyzer("Stock::Analyze", worker_template="count")
    @inputs("rows")
    def analyze(rows):
        return BatchConfig(total_items=rows, batch_size=200, metadata={"reason": "no rows"} if not rows else {})

    @batch_worker("Stock::Count")
    def count(batch_context, context):
        if context.step_inputs.get("is_no_op"):
            return {"no_op": True}
        return {"items_processed": batch_context.batch_size, "start": batch_context.start_cursor}

    @step_handler("Stock::Sum")
    @depends_on(analysis="analyze")
    async def total(analysis, context):
        parts = context.get_all_dependency_results("count_")
        return {"sum": sum(one.get("items_processed", 0) for one in parts), "parts": len(parts), "said": analysis}
"""


def stock(strategy: str = "continue_on_failure") -> str:
    """The template, with a strategy."""
    return STOCK.replace("STRATEGY", strategy)


def test_a_batch_of_classes_runs_its_parts_and_adds_them_up(application: Application) -> None:
    """Each worker knows its own part; checkpoints and retries go on inside it; its events name it."""
    client = application(stock(), stock_handlers=CLASSES)
    task = client.create_task("stock", namespace="shop", context={"rows": 1000, "fails": "002"})
    done = ended(client, task)
    assert done.status == "complete", done.steps
    found = results(done)
    assert [name for name in found if name.startswith("count_")] == [f"count_{number:03}" for number in range(1, 6)]
    assert found["analyze"]["worker_count"] == 5
    sums = {key: found["sum"][key] for key in ("total_processed", "batch_count", "worker_count", "scenario")}
    assert sums == {"total_processed": 1000, "batch_count": 5, "worker_count": 5, "scenario": "with_batches"}
    attempts = {step["name"]: step["attempts"] for step in done.steps}
    assert (attempts["count_001"], attempts["count_002"]) == (1, 2)
    import stock_handlers

    firsts = sorted(set(stock_handlers.SEEN))
    assert firsts[0] == ("001", 0, 5, 200, 200, "001", "row", "Stock::Count", 1000)
    assert firsts[-1][:3] == ("005", 4, 5)
    assert [cursor for batch, cursor in stock_handlers.CALLS if batch == "002"] == [200, 300, 300]
    steps: set[str] = set()

    def told() -> bool:
        while (event := poll_in_process_events()) is not None:
            steps.add(event.payload["task_sequence_step"]["workflow_step"]["name"])
        return len(steps) == 5

    soon(told)
    assert steps == {f"count_{number:03}" for number in range(1, 6)}


def test_a_batch_of_functions_runs(application: Application) -> None:
    """The analyzer's figures become parts, which their workers and the convergence find."""
    client = application(stock(), stock_handlers=FUNCTIONS)
    done = ended(client, client.create_task("stock", namespace="shop", context={"rows": 450}))
    assert done.status == "complete", done.steps
    found = results(done)
    assert found["count_003"] == {"items_processed": 50, "start": 400}
    assert (found["sum"]["sum"], found["sum"]["parts"], found["sum"]["said"]["worker_count"]) == (450, 3, 3)


@pytest.mark.parametrize("code", [CLASSES, FUNCTIONS], ids=["classes", "functions"])
def test_a_batch_of_nothing_has_one_worker_that_is_told_so(application: Application, code: str) -> None:
    """And its convergence runs."""
    client = application(stock(), stock_handlers=code)
    done = ended(client, client.create_task("stock", namespace="shop", context={"rows": 0}))
    assert done.status == "complete", done.steps
    found = results(done)
    assert found["analyze"]["batch_processing_outcome"] == {"type": "no_batches"}
    assert found["count_000"]["no_op"] is True
    assert found["sum"].get("scenario", "no_batches") == "no_batches"
    assert found["sum"].get("total_processed", 0) == 0


def test_a_part_that_failed_is_left_out_of_the_sum(application: Application) -> None:
    """Where its strategy lets the others count."""
    client = application(stock("isolate"), stock_handlers=CLASSES)
    done = ended(client, client.create_task("stock", namespace="shop", context={"rows": 600, "broken": ["002"]}))
    found = results(done)
    assert "count_002" not in found
    assert (found["sum"]["total_processed"], found["sum"]["worker_count"]) == (400, 2)


ITEMS = """
    name: walk
    namespace_name: n
    version: 1.0.0
    steps:
      - name: analyze_items
        type: batchable
        handler:
          callable: checkpoint_yield_analyzer
          initialization: {worker_template_name: checkpoint_yield_batch, batch_size: 60}
      - name: checkpoint_yield_batch
        type: batch_worker
        dependencies: [analyze_items]
        handler: {callable: checkpoint_yield_worker, initialization: {items_per_checkpoint: 20}}
        batch_config: {batch_size: 60, parallelism: 2, worker_template: checkpoint_yield_batch}
        retry: {backoff: none}
      - name: aggregate
        type: deferred_convergence
        dependencies: [checkpoint_yield_batch]
        handler: {callable: checkpoint_yield_aggregator}
"""


@pytest.mark.parametrize(("extra", "tries"), [({}, 1), ({"fail_after_items": 30}, 2)])
def test_the_example_of_checkpoints_runs(application: Application, extra: dict[str, Any], tries: int) -> None:
    """Every item is added up once, also where a worker failed between two checkpoints."""
    client = application(ITEMS, walking="from tasker_core.examples.checkpoint_yield import *")
    done = ended(client, client.create_task("walk", namespace="n", context={"total_items": 100, **extra}))
    assert done.status == "complete", done.steps
    found = results(done)
    assert (found["aggregate"]["total_processed"], found["aggregate"]["total"]) == (100, sum(range(100)))
    attempts = {step["name"]: step["attempts"] for step in done.steps}
    assert attempts["checkpoint_yield_batch_001"] == tries


def test_the_example_may_fail_for_good(application: Application) -> None:
    """With its code, after the items that it was told."""
    client = application(ITEMS, walking="from tasker_core.examples.checkpoint_yield import *")
    context = {"total_items": 50, "fail_after_items": 10, "permanent_failure": True}
    done = ended(client, client.create_task("walk", namespace="n", context=context))
    assert done.status == "error"
    failed = next(step for step in done.steps if step["name"] == "checkpoint_yield_batch_001")
    assert (failed["current_state"], failed["error"]["error_code"]) == ("error", "ON_PURPOSE")


def test_a_step_for_each_item_finds_its_own(application: Application) -> None:
    """In its inputs, with its place; the step after it finds them all."""
    client = application(
        """
        name: each
        namespace_name: n
        version: 1.0.0
        steps:
          - {name: list, handler: {callable: make_list}}
          - {name: double, handler: {callable: double}, dependencies: [list], for_each: list.items}
          - {name: sum, handler: {callable: sum_up}, dependencies: [double]}
        """,
        each_handlers="""
        from tasker_core.step_handler.functional import step_handler

        @step_handler("make_list")
        def make_list():
            return {"items": [3, None, 5]}

        @step_handler("double")
        def double(context):
            return {"doubled": 2 * (context.step_inputs["item"] or 0), "at": context.step_inputs["item_index"]}

        @step_handler("sum_up")
        def sum_up(context):
            return {"sum": sum(one["doubled"] for one in context.get_all_dependency_results("double_"))}
        """,
    )
    found = results(ended(client, client.create_task("each", namespace="n")))
    assert (found["double_003"], found["sum"]) == ({"doubled": 10, "at": 2}, {"sum": 16})


def test_results_are_added_up() -> None:
    """What is no mapping is left out; of errors the first hundred are kept, and all are counted."""
    one = {"items_processed": 150, "items_succeeded": 30, "items_failed": 120, "errors": [{}] * 120}
    total = aggregate_batch_results([one, None, {"items_processed": 50, "items_succeeded": 50}])
    assert (total.total_processed, total.total_failed, total.batch_count, total.success_rate) == (200, 120, 2, 0.4)
    assert (len(total.errors), total.error_count) == (100, 120)
    assert Batchable.aggregate_worker_results([]) == aggregate_batch_results([]).model_dump()


def test_a_range_keeps_its_id() -> None:
    """One that has none is numbered."""
    ranges = [CursorConfig(start_cursor=0, end_cursor=2, batch_id="odd"), CursorConfig(start_cursor=2, end_cursor=3)]
    result = Batchable().batch_analyzer_success(cursor_configs=ranges).result
    assert result is not None
    assert [one["batch_id"] for one in result["batch_processing_outcome"]["cursor_configs"]] == ["odd", "002"]
