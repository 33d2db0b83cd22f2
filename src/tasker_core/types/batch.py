"""The values of batch processing."""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal, cast

from pydantic import BaseModel, Field

from tasker_core.types.context import StepContext


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
    batch_id: str | None = Field(default=None, exclude=True)
    """Of the part that it belongs to; None where nobody has said it yet."""


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


class BatchWorkerContext(BaseModel):
    """The part of a batch that a step works on."""

    batch_id: str
    cursor_config: CursorConfig
    batch_index: int
    total_batches: int
    batch_metadata: dict[str, Any] = Field(default_factory=dict)
    checkpoint: dict[str, Any] = Field(default_factory=dict)

    @property
    def start_cursor(self) -> int:
        """Where the part begins."""
        return self.cursor_config.start_cursor

    @property
    def end_cursor(self) -> int:
        """Where it ends; not part of it."""
        return self.cursor_config.end_cursor

    @property
    def step_size(self) -> int:
        """How far it goes at once."""
        return self.cursor_config.step_size

    @property
    def batch_size(self) -> int:
        """How many items it has."""
        return self.end_cursor - self.start_cursor

    @property
    def checkpoint_cursor(self) -> Any:
        """Where to go on; None at the beginning."""
        return self.checkpoint.get("cursor")

    @property
    def accumulated_results(self) -> dict[str, Any] | None:
        """What was gathered so far."""
        return self.checkpoint.get("accumulated_results")

    @property
    def checkpoint_items_processed(self) -> int:
        """How many items are done."""
        return self.checkpoint.get("items_processed") or 0

    def has_checkpoint(self) -> bool:
        """True where an earlier execution left a cursor."""
        return self.checkpoint_cursor is not None

    @classmethod
    def from_step_context(cls, context: StepContext) -> BatchWorkerContext | None:
        """Of the step's inputs, else of `batch_context` in its configuration or the task; None where there is none."""
        cursor = context.step_inputs.get("cursor")
        if isinstance(cursor, dict):
            said = cast("dict[str, Any]", cursor)
            config = CursorConfig(
                start_cursor=said["start_cursor"],
                end_cursor=said["end_cursor"],
                step_size=said.get("step_size") or said.get("batch_size") or 1,
                batch_id=str(said.get("batch_id") or "") or None,
            )
            return cls(
                batch_id=str(said.get("batch_id") or ""),
                cursor_config=config,
                batch_index=context.step_inputs.get("batch_index") or 0,
                total_batches=context.step_inputs.get("total_batches") or 1,
                batch_metadata=context.step_inputs.get("batch_metadata") or {},
                checkpoint=context.checkpoint or {},
            )
        older = context.step_config.get("batch_context") or context.input_data.get("batch_context")
        return cls.model_validate(older) if isinstance(older, dict) else None


class BatchWorkerConfig(BaseModel):
    """A part of a batch for one worker."""

    batch_id: str
    cursor_start: int
    cursor_end: int
    row_count: int
    worker_index: int
    total_workers: int

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return self.model_dump()


class RustCursorConfig(BaseModel):
    """A range as it travels: cursors of any kind."""

    batch_id: str
    start_cursor: Any = None
    end_cursor: Any = None
    batch_size: int = 0


class BatchMetadata(BaseModel):
    """What a worker is told of its batch."""

    cursor_field: str = "id"
    failure_strategy: FailureStrategy = FailureStrategy.CONTINUE_ON_FAILURE


class RustBatchWorkerInputs(BaseModel):
    """The inputs of a worker of a batch."""

    cursor: RustCursorConfig
    batch_metadata: BatchMetadata = Field(default_factory=BatchMetadata)
    is_no_op: bool = False


class NoBatchesOutcome(BaseModel):
    """An analysis that found nothing to do."""

    type: Literal["no_batches"] = "no_batches"


class CreateBatchesOutcome(BaseModel):
    """An analysis that found ranges."""

    type: Literal["create_batches"] = "create_batches"
    worker_template_name: str
    worker_count: int
    cursor_configs: list[RustCursorConfig]
    total_items: int


BatchProcessingOutcome = NoBatchesOutcome | CreateBatchesOutcome


def no_batches() -> NoBatchesOutcome:
    """Nothing to do."""
    return NoBatchesOutcome()


def create_batches(
    worker_template_name: str, worker_count: int, cursor_configs: list[RustCursorConfig], total_items: int
) -> CreateBatchesOutcome:
    """Ranges for workers. Raises ValueError where their number is not the number of workers."""
    if worker_count != len(cursor_configs):
        raise ValueError(f"worker_count is {worker_count}, and there are {len(cursor_configs)} cursor_configs")
    return CreateBatchesOutcome(
        worker_template_name=worker_template_name,
        worker_count=worker_count,
        cursor_configs=cursor_configs,
        total_items=total_items,
    )
