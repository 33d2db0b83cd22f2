"""The flour store: a batch, whose parts are shelves."""

from __future__ import annotations

from typing import Any

from tasker_core import StepContext, StepHandler, StepHandlerResult
from tasker_core.batch_processing import Batchable
from tasker_core.step_handler.functional import BatchConfig, batch_analyzer, batch_worker, inputs
from tasker_core.types import BatchWorkerContext, BatchWorkerOutcome


@batch_analyzer("list_shelves", worker_template="count_shelves")
@inputs("shelves")
def list_shelves(shelves: list[int] | None) -> BatchConfig:
    """Four shelves to each helper."""
    return BatchConfig(total_items=len(shelves or []), batch_size=4)


@batch_worker("count_shelves")
@inputs("shelves")
def count_shelves(shelves: list[int] | None, batch_context: BatchWorkerContext | None) -> dict[str, Any]:
    """The sacks on the shelves of one helper; the store may be empty."""
    if batch_context is None or not shelves:
        return BatchWorkerOutcome().model_dump()
    mine = shelves[batch_context.start_cursor : batch_context.end_cursor]
    outcome = BatchWorkerOutcome(items_processed=len(mine), items_succeeded=len(mine), results=[{"sacks": sum(mine)}])
    return outcome.model_dump()


class OrderFlour(StepHandler, Batchable):
    """What is missing is ordered."""

    handler_name = "Bakery::OrderFlour"

    def call(self, context: StepContext) -> StepHandlerResult:
        """The sacks that there are, and those to order."""
        scenario = self.detect_aggregation_scenario(context.dependency_results, "list_shelves", "count_shelves_")
        wanted: int = context.get_config("sacks_wanted")

        def add_up(parts: dict[str, Any]) -> dict[str, Any]:
            sacks = sum(one["sacks"] for part in parts.values() for one in part["results"])
            return {"sacks": sacks, "ordered": max(0, wanted - sacks)}

        return self.aggregate_batch_worker_results(scenario, {"sacks": 0, "ordered": wanted}, add_up)
