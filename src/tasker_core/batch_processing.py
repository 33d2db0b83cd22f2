"""What handlers of batches call: pure functions of values.

Ranges, outcomes and checkpoints are made here; the engine makes the workers of the outcome of a `batchable` step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import ValidationError

from tasker_core.types import (
    BatchAnalyzerOutcome,
    BatchWorkerConfig,
    BatchWorkerContext,
    BatchWorkerOutcome,
    CursorConfig,
    RustBatchWorkerInputs,
    StepContext,
    StepHandlerResult,
    aggregate_batch_results,
)


@dataclass
class BatchAggregationScenario:
    """What a convergence of a batch finds: results of workers, or that there were no batches."""

    is_no_batches: bool
    batchable_result: dict[str, Any] = field(default_factory=dict[str, Any])
    batch_results: dict[str, Any] = field(default_factory=dict[str, Any])
    worker_count: int = 0

    @classmethod
    def detect(
        cls, dep_results: Mapping[str, Any], batchable_step_name: str, batch_worker_prefix: str
    ) -> BatchAggregationScenario:
        """Of the results before a convergence. Raises ValueError where the batchable step, or workers, are missing."""
        if batchable_step_name not in dep_results:
            raise ValueError(f"there is no result of the batchable step {batchable_step_name!r}")
        analysed: dict[str, Any] = _unwrapped(dep_results[batchable_step_name]) or {}
        outcome: dict[str, Any] = analysed.get("batch_processing_outcome") or {}
        if outcome.get("type") == "no_batches":
            return cls(True, analysed)
        names = [name for name in dep_results if name.startswith(batch_worker_prefix)]
        workers = {name: _unwrapped(dep_results[name]) for name in names}
        if not workers:
            raise ValueError(f"there are no results of workers {batch_worker_prefix!r}…, and no no_batches outcome")
        return cls(False, analysed, workers, len(workers))

    def no_batches(self) -> bool:
        """True where there was nothing to do."""
        return self.is_no_batches


class Batchable:
    """Beside StepHandler: for analyzers, workers and aggregations of batches."""

    # Ranges -----------------------------------------------------------------------------------------------------------

    def create_cursor_config(
        self, start: int, end: int, step_size: int = 1, metadata: dict[str, Any] | None = None
    ) -> CursorConfig:
        """A range, its end not included."""
        return CursorConfig(start_cursor=start, end_cursor=end, step_size=step_size, metadata=metadata or {})

    def create_cursor_ranges(
        self, total_items: int, batch_size: int, step_size: int = 1, max_batches: int | None = None
    ) -> list[CursorConfig]:
        """Ranges over all items; `max_batches` makes them larger. Raises ValueError for a size below 1."""
        if batch_size <= 0:
            raise ValueError("batch_size must be greater than 0")
        if max_batches and total_items > batch_size * max_batches:
            batch_size = -(-total_items // max_batches)
        starts = range(0, total_items, batch_size)
        return [self.create_cursor_config(one, min(one + batch_size, total_items), step_size) for one in starts]

    def create_cursor_configs(self, total_items: int, worker_count: int) -> list[BatchWorkerConfig]:
        """One range a worker, named "001", "002", … Raises ValueError for fewer than one worker."""
        if worker_count <= 0:
            raise ValueError("worker_count must be greater than 0")
        size = max(1, -(-total_items // worker_count))
        found = self.create_cursor_ranges(total_items, size)
        return [
            BatchWorkerConfig(
                batch_id=f"{number:03}",
                cursor_start=one.start_cursor,
                cursor_end=one.end_cursor,
                row_count=one.end_cursor - one.start_cursor,
                worker_index=number - 1,
                total_workers=len(found),
            )
            for number, one in enumerate(found, 1)
        ]

    # Analyzers --------------------------------------------------------------------------------------------------------

    def create_batch_outcome(
        self, total_items: int, batch_size: int, step_size: int = 1, batch_metadata: dict[str, Any] | None = None
    ) -> BatchAnalyzerOutcome:
        """An outcome of equal ranges."""
        configs = self.create_cursor_ranges(total_items, batch_size, step_size)
        return BatchAnalyzerOutcome(
            cursor_configs=configs, total_items=total_items, batch_metadata=batch_metadata or {}
        )

    def create_batch_outcome_from_ranges(
        self,
        ranges: list[tuple[int, int]],
        step_size: int = 1,
        total_items: int | None = None,
        batch_metadata: dict[str, Any] | None = None,
    ) -> BatchAnalyzerOutcome:
        """An outcome of given ranges."""
        return BatchAnalyzerOutcome.from_ranges(ranges, step_size, total_items, batch_metadata)

    def batch_analyzer_success(
        self,
        outcome: BatchAnalyzerOutcome | None = None,
        metadata: dict[str, Any] | None = None,
        worker_template_name: str = "batch_worker",
        cursor_configs: list[Any] | None = None,
        total_items: int | None = None,
        batch_metadata: dict[str, Any] | None = None,
    ) -> StepHandlerResult:
        """What an analyzer returns: the ranges of an outcome, or those given."""
        if outcome is None and cursor_configs is None:
            return self.no_batches_outcome("no_cursor_configs_provided", metadata)
        configs = list(outcome.cursor_configs if outcome is not None else cursor_configs or ())
        extra = (outcome.batch_metadata if outcome is not None else batch_metadata) or {}
        total = outcome.total_items if outcome is not None else total_items
        if not configs:
            return self.no_batches_outcome(extra.get("reason") or "empty_dataset", metadata)
        wire = [_wire(one, number) for number, one in enumerate(configs, 1)]
        total = sum(one["batch_size"] for one in wire) if total is None else total
        said: dict[str, Any] = {
            "batch_processing_outcome": {
                "type": "create_batches",
                "worker_template_name": worker_template_name,
                "worker_count": len(wire),
                "cursor_configs": wire,
                "total_items": total,
            },
            "worker_count": len(wire),
            "total_items": total,
        }
        return StepHandlerResult.success({**said, **({"batch_metadata": extra} if extra else {})}, metadata)

    def no_batches_outcome(self, reason: str, metadata: dict[str, Any] | None = None) -> StepHandlerResult:
        """There is nothing to do, and why."""
        said = {"batch_processing_outcome": {"type": "no_batches"}, "reason": reason, **(metadata or {})}
        return StepHandlerResult.success(said, metadata)

    # Workers ----------------------------------------------------------------------------------------------------------

    def get_batch_context(self, context: StepContext) -> BatchWorkerContext | None:
        """The part of the batch that this step works on."""
        return BatchWorkerContext.from_step_context(context)

    def get_batch_worker_inputs(self, context: StepContext) -> RustBatchWorkerInputs | None:
        """The step's inputs; None where they are not those of a worker of a batch."""
        try:
            return RustBatchWorkerInputs.model_validate(context.step_inputs)
        except ValidationError:
            return None

    def handle_no_op_worker(self, context: StepContext) -> StepHandlerResult | None:
        """The result of a worker that stands for an empty batch; None where there is something to do."""
        if not context.step_inputs.get("is_no_op"):
            return None
        return StepHandlerResult.success({"no_op": True, "reason": "no_batches", "items_processed": 0})

    def create_batch_context(
        self,
        cursor_config: CursorConfig,
        batch_index: int,
        total_batches: int,
        batch_metadata: dict[str, Any] | None = None,
    ) -> BatchWorkerContext:
        """A part of a batch."""
        return BatchWorkerContext(
            batch_id=f"{batch_index + 1:03}",
            cursor_config=cursor_config,
            batch_index=batch_index,
            total_batches=total_batches,
            batch_metadata=batch_metadata or {},
        )

    def create_worker_outcome(
        self,
        items_processed: int,
        items_succeeded: int = 0,
        items_failed: int = 0,
        items_skipped: int = 0,
        results: list[dict[str, Any]] | None = None,
        errors: list[dict[str, Any]] | None = None,
        last_cursor: int | None = None,
        batch_metadata: dict[str, Any] | None = None,
    ) -> BatchWorkerOutcome:
        """What a worker did; 0 succeeded means all that were processed."""
        return BatchWorkerOutcome(
            items_processed=items_processed,
            items_succeeded=items_succeeded or items_processed,
            items_failed=items_failed,
            items_skipped=items_skipped,
            results=results or [],
            errors=errors or [],
            last_cursor=last_cursor,
            batch_metadata=batch_metadata or {},
        )

    def batch_worker_success(
        self,
        outcome: BatchWorkerOutcome | None = None,
        metadata: dict[str, Any] | None = None,
        items_processed: int | None = None,
        items_succeeded: int | None = None,
        items_failed: int = 0,
        items_skipped: int = 0,
        results: list[dict[str, Any]] | None = None,
        errors: list[dict[str, Any]] | None = None,
        last_cursor: int | None = None,
        batch_metadata: dict[str, Any] | None = None,
    ) -> StepHandlerResult:
        """What a worker returns: an outcome, or its figures."""
        if outcome is None and items_processed is None:
            problem = "give batch_worker_success an outcome, or items_processed"
            return StepHandlerResult.failure(problem, "invalid_args", False)
        if outcome is None:
            outcome = self.create_worker_outcome(
                items_processed or 0,
                items_succeeded or 0,
                items_failed,
                items_skipped,
                results,
                errors,
                last_cursor,
                batch_metadata,
            )
        return StepHandlerResult.success(outcome.model_dump(), {**(metadata or {}), "batch_worker": True})

    def batch_worker_partial_failure(
        self, outcome: BatchWorkerOutcome, message: str | None = None, metadata: dict[str, Any] | None = None
    ) -> StepHandlerResult:
        """Some items failed: a success that says so."""
        said = {**outcome.model_dump(), "partial_failure": True, "message": message}
        return StepHandlerResult.success(said, {**(metadata or {}), "batch_worker": True, "partial_failure": True})

    def checkpoint_yield(
        self, cursor: Any, items_processed: int, accumulated_results: dict[str, Any] | None = None
    ) -> StepHandlerResult:
        """Return this to save how far the step is: the handler is called again and finds it in its context."""
        said = {"cursor": cursor, "items_processed": items_processed, "accumulated_results": accumulated_results}
        return StepHandlerResult.success(said, {"checkpoint_yield": True, "batch_worker": True})

    # Aggregation ------------------------------------------------------------------------------------------------------

    def detect_aggregation_scenario(
        self, dep_results: Mapping[str, Any], batchable_step_name: str, batch_worker_prefix: str
    ) -> BatchAggregationScenario:
        """See BatchAggregationScenario.detect."""
        return BatchAggregationScenario.detect(dep_results, batchable_step_name, batch_worker_prefix)

    def no_batches_aggregation_result(self, zero_metrics: dict[str, Any] | None = None) -> StepHandlerResult:
        """The sum of nothing."""
        return StepHandlerResult.success(
            {**(zero_metrics or {}), "worker_count": 0, "scenario": "no_batches"}, {"batch_aggregation": True}
        )

    def aggregate_batch_worker_results(
        self,
        scenario: BatchAggregationScenario,
        zero_metrics: dict[str, Any] | None = None,
        aggregation_fn: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> StepHandlerResult:
        """The sum of the workers' results: yours, or their totals."""
        if scenario.is_no_batches:
            return self.no_batches_aggregation_result(zero_metrics)
        results = scenario.batch_results
        total = aggregation_fn(results) if aggregation_fn else self.aggregate_worker_results(list(results.values()))
        said = {**total, "worker_count": scenario.worker_count, "scenario": "with_batches"}
        return StepHandlerResult.success(said, {"batch_aggregation": True})

    @staticmethod
    def aggregate_worker_results(worker_results: list[Any]) -> dict[str, Any]:
        """Totals, batch_count, success_rate, and the first errors of all."""
        return aggregate_batch_results(worker_results).model_dump()


def _wire(config: Any, number: int) -> dict[str, Any]:
    is_mapping = isinstance(config, Mapping)
    said: dict[str, Any] = dict(cast("Mapping[str, Any]", config)) if is_mapping else config.model_dump()
    start = said.get("start_cursor", said.get("cursor_start"))
    end = said.get("end_cursor", said.get("cursor_end"))
    size = end - start if isinstance(start, int) and isinstance(end, int) else said.get("batch_size", 0)
    return {
        "batch_id": getattr(config, "batch_id", said.get("batch_id")) or f"{number:03}",
        "start_cursor": start,
        "end_cursor": end,
        "batch_size": size,
    }


def _unwrapped(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    known = cast("dict[str, Any]", value)
    return known.get("result", known)
