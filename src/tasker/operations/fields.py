"""Kinds of fields that inputs share."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, WithJsonSchema

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)?")


def seconds(value: Any) -> float | None:
    """Seconds of `30`, `30s`, `500ms`, `1.5m`, `2h`. Raises ValueError."""
    if value is None:
        return None
    found = _DURATION.fullmatch(str(value))
    if not found:
        raise ValueError("a duration is a number with ms, s, m or h after it, such as 30s")
    return float(found[1]) * _UNITS_S[found[2] or "s"]


def _sensible(at: datetime) -> datetime:
    if not datetime(1970, 1, 1, tzinfo=UTC) <= at < datetime(9000, 1, 1, tzinfo=UTC):
        raise ValueError("a time between the years 1970 and 9000 is wanted")
    return at.astimezone(UTC)  # databases know fewer zones than ISO 8601


def as_list(value: Any) -> Any:
    """One value as a list of one."""
    return [value] if isinstance(value, str) else value


def listed(value: Any) -> list[str]:
    """Several values, given repeatedly or joined by commas."""
    parts: list[Any] = [value] if isinstance(value, str) else value
    return [part for one in parts for part in str(one).split(",")]


Name = Annotated[str, Field(min_length=1, max_length=255)]
Namespaces = Annotated[
    list[Name],
    BeforeValidator(as_list),
    Field(min_length=1, max_length=100, description="Of this namespace; of these, where it is said repeatedly."),
]
Moment = Annotated[AwareDatetime, AfterValidator(_sensible)]
Seconds = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,9}(\.\d{1,9})?(ms|s|m|h)?$", "examples": ["30s"]}),
]
TaskUuid = Annotated[UUID, Field(description="The task's id.", examples=["0198c0de-0000-7000-8000-000000000001"])]
