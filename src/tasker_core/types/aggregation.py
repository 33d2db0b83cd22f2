"""The sum of what the workers of a batch did."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from pydantic import BaseModel, Field

ERRORS_MAX = 100
"""How many errors of all workers an aggregation keeps."""


class BatchAggregationResult(BaseModel):
    """Totals of all workers. `success_rate` is a share of what was processed, 0.0 where that is nothing.

    `errors` are the first ones, `error_count` counts all.
    """

    total_processed: int = 0
    total_succeeded: int = 0
    total_failed: int = 0
    total_skipped: int = 0
    batch_count: int = 0
    success_rate: float = 0.0
    errors: list[Any] = Field(default_factory=list)
    error_count: int = 0


def aggregate_batch_results(worker_results: Iterable[Any]) -> BatchAggregationResult:
    """Of the results of workers: mappings with items_processed, items_succeeded, …; what is none is left out."""
    known = [cast("dict[str, Any]", one) for one in worker_results if isinstance(one, dict)]
    totals = {
        name: sum(one.get(f"items_{name}") or 0 for one in known)
        for name in ("processed", "succeeded", "failed", "skipped")
    }
    errors: list[Any] = [error for one in known for error in one.get("errors") or ()]
    return BatchAggregationResult(
        **{f"total_{name}": count for name, count in totals.items()},
        batch_count=len(known),
        success_rate=totals["succeeded"] / totals["processed"] if totals["processed"] else 0.0,
        errors=errors[:ERRORS_MAX],
        error_count=len(errors),
    )
