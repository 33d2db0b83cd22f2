"""Batches: work that is cut into parts, each done by a step of its own, and what comes together of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from tasker.model.errors import StepValidationError

OUTCOME_KEY = "batch_processing_outcome"
MEMBERS_KEY = "members"


@dataclass(frozen=True, slots=True)
class Batches:
    """What the handler of a batchable step returns: `Batches.split(1000, 200)`, `Batches.ranges(…)`, `Batches.none()`.

    Each part is a cursor: batch_id, start_cursor, end_cursor, batch_size, and whatever else its worker should know.
    `context` is kept with the result, for people and for the steps that follow.
    """

    cursors: tuple[Mapping[str, Any], ...]
    total_items: int | None = None
    context: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def split(cls, total: int, size: int, **context: Any) -> Batches:
        """Rows 0 to `total`, `size` in each part but the last; none where there is nothing.

        The worker of a part does the rows from `start` up to, not including, `end`.
        """
        if size < 1 or total < 0:
            raise StepValidationError(
                f"{total} rows in parts of {size} cannot be: the size begins at 1, the total at 0"
            )
        starts = range(0, total, size)
        return cls.ranges([(start, min(start + size, total)) for start in starts], total_items=total, **context)

    @classmethod
    def ranges(cls, ranges: Iterable[Sequence[Any]], total_items: int | None = None, **context: Any) -> Batches:
        """A part for each pair of start and end: numbers, text, dates, whatever JSON holds.

        A third value is the number of its rows, where start and end do not say it.
        """
        cursors: list[dict[str, Any]] = []
        for index, (start, end, *size) in enumerate(ranges, 1):
            cursor = {"batch_id": f"{index:03}", "start_cursor": start, "end_cursor": end}
            rows = size[0] if size else end - start if isinstance(start, int) and isinstance(end, int) else None
            cursors.append(cursor if rows is None else {**cursor, "batch_size": rows})
        return cls(tuple(cursors), total_items, context)

    @classmethod
    def of(cls, cursors: Iterable[Mapping[str, Any]], total_items: int | None = None, **context: Any) -> Batches:
        """A part for each cursor; one without `batch_id` is numbered."""
        made = tuple({"batch_id": f"{index:03}", **cursor} for index, cursor in enumerate(cursors, 1))
        return cls(made, total_items, context)

    @classmethod
    def none(cls, reason: str | None = None, **context: Any) -> Batches:
        """There is nothing to do. One worker runs all the same, and is told so (`batch.is_no_op`)."""
        return cls((), 0, {"reason": reason, **context} if reason is not None else context)

    def to_result(self) -> dict[str, Any]:
        """The step's result."""
        outcome: dict[str, Any] = {"type": "no_batches"}
        if self.cursors:
            counts = {"worker_count": len(self.cursors), "total_items": self.total_items}
            outcome = {"type": "create_batches", **counts, "cursor_configs": [dict(cursor) for cursor in self.cursors]}
        return {**self.context, OUTCOME_KEY: outcome}


@dataclass(frozen=True, slots=True)
class Batch:
    """What one worker of a batch is to do. `cursor` is all that the batchable step said of this part."""

    batch_id: str
    index: int
    """Its place in the batch, from 1; 0 for the one that is told that there is nothing."""
    cursor: Mapping[str, Any]
    cursor_field: str = "id"
    failure_strategy: str = "continue_on_failure"

    @property
    def is_no_op(self) -> bool:
        """True where there is nothing to do."""
        return self.index == 0

    @property
    def start(self) -> Any:
        """Where the part begins."""
        return self.cursor.get("start_cursor")

    @property
    def end(self) -> Any:
        """Where it ends; of numbers, the first that is not in it."""
        return self.cursor.get("end_cursor")

    @property
    def size(self) -> int | None:
        """How many rows it has, where that is known."""
        return self.cursor.get("batch_size")


class BatchResults(list[Any]):
    """What the members of a batch returned, in their order: None for one that failed.

    `total`, `succeeded` and `failed` count the members, `items` the rows that they were to do, as far as that is known.
    """

    def __init__(self, members: Sequence[Mapping[str, Any]], counts: Mapping[str, Any]) -> None:
        super().__init__(member["result"] for member in members)
        self.ids = [member["batch_id"] for member in members]
        self.total: int = counts.get("total", len(members))
        self.succeeded: int = counts.get("succeeded", 0)
        self.failed: int = counts.get("failed", 0)
        self.items: int = counts.get("items", 0)
        self.errors: dict[str, Mapping[str, Any]] = {
            member["batch_id"]: member["error"] for member in members if member["error"] is not None
        }
        """By id: the errors of those that failed."""

    @property
    def by_id(self) -> dict[str, Any]:
        """The results by id, of those that returned one."""
        return {batch_id: value for batch_id, value in zip(self.ids, self, strict=True) if value is not None}


def is_members_json(text: str) -> bool:
    """True for what `members_json` made."""
    return text.startswith(f'{{"{MEMBERS_KEY}":')


def members_json(counts_json: str | None, members: Iterable[tuple[str, str | None, str | None]]) -> str:
    """The results of a batch as one JSON text. A member is its id, its result and its error, the latter as JSON."""
    parts = (
        f'{{"batch_id":{orjson.dumps(batch_id).decode()},"result":{result or "null"},"error":{error or "null"}}}'
        for batch_id, result, error in members
    )
    return f'{{"{MEMBERS_KEY}":[{",".join(parts)}],"counts":{counts_json or "{}"}}}'


def read_members(text: str) -> BatchResults:
    """What `members_json` wrote down."""
    value = orjson.loads(text)
    return BatchResults(value[MEMBERS_KEY], value["counts"] or {})
