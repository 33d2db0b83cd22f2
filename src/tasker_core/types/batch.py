"""The values of batch processing. The steps that would use them are not in this version: see docs/compatibility.md."""

from __future__ import annotations

from enum import Enum
from typing import Any

from pydantic import BaseModel, Field


class FailureStrategy(str, Enum):  # noqa: UP042 - str() gives what it always gave
    """What becomes of a batch when a part of it fails."""

    CONTINUE_ON_FAILURE = "continue_on_failure"
    FAIL_FAST = "fail_fast"
    ISOLATE = "isolate"


class CursorConfig(BaseModel):
    """A range of work: from start to before end."""

    start_cursor: int
    end_cursor: int
    step_size: int = 1
    metadata: dict[str, Any] = Field(default_factory=dict)


class BatchAnalyzerOutcome(BaseModel):
    """What an analyzer found: the ranges, and how many items there are."""

    cursor_configs: list[CursorConfig] = Field(default_factory=list[CursorConfig])
    total_items: int | None = None
    batch_metadata: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def from_ranges(
        cls,
        ranges: list[tuple[int, int]],
        step_size: int = 1,
        total_items: int | None = None,
        batch_metadata: dict[str, Any] | None = None,
    ) -> BatchAnalyzerOutcome:
        """Of pairs of start and end."""
        configs = [CursorConfig(start_cursor=start, end_cursor=end, step_size=step_size) for start, end in ranges]
        return cls(cursor_configs=configs, total_items=total_items, batch_metadata=batch_metadata or {})


class BatchWorkerOutcome(BaseModel):
    """What one part of a batch did."""

    items_processed: int = 0
    items_succeeded: int = 0
    items_failed: int = 0
    items_skipped: int = 0
    results: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    errors: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    last_cursor: int | None = None
    batch_metadata: dict[str, Any] = Field(default_factory=dict)
