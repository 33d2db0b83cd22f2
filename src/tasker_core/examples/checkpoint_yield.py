"""A batch whose worker saves how far it is after every few items, and goes on from there.

The template names the three classes, in a module that Worker.start was given; the analyzer's `initialization` may say
`total_items`, `batch_size` and `worker_template_name`, the worker's `items_per_checkpoint`, `fail_after_items` and
`permanent_failure`; the task's context stands before all of them.
"""

from __future__ import annotations

from typing import Any, cast

from tasker_core.batch_processing import Batchable
from tasker_core.errors import PermanentError, RetryableError
from tasker_core.step_handler import StepHandler
from tasker_core.types import BatchWorkerOutcome, StepContext, StepHandlerResult


class CheckpointYieldAnalyzerHandler(StepHandler, Batchable):
    """Says how many items there are, and in which ranges."""

    handler_name = "checkpoint_yield_analyzer"

    def call(self, context: StepContext) -> StepHandlerResult:
        """Ranges of `batch_size` over `total_items`; one range where no size is said."""
        total = int(_said(context, "total_items", 100))
        size = int(_said(context, "batch_size", 0)) or max(total, 1)
        return self.batch_analyzer_success(
            self.create_batch_outcome(total, size),
            worker_template_name=str(_said(context, "worker_template_name", "checkpoint_yield_batch")),
        )


class CheckpointYieldWorkerHandler(StepHandler, Batchable):
    """Adds up the items of its range, a few at a time."""

    handler_name = "checkpoint_yield_worker"

    def call(self, context: StepContext) -> StepHandlerResult:
        """One stretch of items, from the last checkpoint; then a checkpoint, or the result."""
        nothing = self.handle_no_op_worker(context)
        if nothing is not None:
            return nothing
        part = self.get_batch_context(context)
        if part is None:
            raise PermanentError("this step is no worker of a batch", error_code="NO_BATCH_CONTEXT")
        sums: dict[str, Any] = context.accumulated_results or {"total": 0}
        done, total = context.checkpoint_items_processed, int(sums["total"])
        start = part.start_cursor + done
        stop = min(start + max(1, int(_said(context, "items_per_checkpoint", 25))), part.end_cursor)
        for cursor in range(start, stop):
            _fail_on_purpose(context, done)
            done, total = done + 1, total + cursor
        if stop < part.end_cursor:
            return self.checkpoint_yield(stop, done, {"total": total})
        outcome = BatchWorkerOutcome(
            items_processed=done,
            items_succeeded=done,
            results=[{"total": total, "resumed": context.has_checkpoint()}],
            last_cursor=stop,
        )
        return self.batch_worker_success(outcome)


class CheckpointYieldAggregatorHandler(StepHandler, Batchable):
    """Adds up the parts."""

    handler_name = "checkpoint_yield_aggregator"

    def call(self, context: StepContext) -> StepHandlerResult:
        """Totals of all workers. `analyzer` and `worker_prefix` of the configuration name the steps."""
        scenario = self.detect_aggregation_scenario(
            context.dependency_results,
            str(_said(context, "analyzer", "analyze_items")),
            str(_said(context, "worker_prefix", "checkpoint_yield_batch_")),
        )
        return self.aggregate_batch_worker_results(scenario, {"total_processed": 0, "total": 0}, _sums)


def _sums(results: dict[str, Any]) -> dict[str, Any]:
    outcomes = [cast("dict[str, Any]", one) for one in results.values() if isinstance(one, dict)]
    sums = Batchable.aggregate_worker_results(outcomes)
    parts: list[Any] = [part for one in outcomes for part in one.get("results") or ()]
    return {**sums, "total": sum(part["total"] for part in parts)}


def _said(context: StepContext, key: str, default: Any) -> Any:
    value = context.get_input_or(key, context.get_config(key))
    return default if value is None else value


def _fail_on_purpose(context: StepContext, done: int) -> None:
    """Once, in the first execution, after so many items: to see that the next one goes on from the checkpoint."""
    after = _said(context, "fail_after_items", None)
    if after is None or done != int(after):
        return
    if _said(context, "permanent_failure", False):
        raise PermanentError(f"failed on purpose after {done} items", error_code="ON_PURPOSE")
    if not context.is_retry():
        raise RetryableError(f"failed on purpose after {done} items")
