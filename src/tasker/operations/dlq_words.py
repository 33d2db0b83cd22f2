"""The words of the dead letter queue, and how older clients write them."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from tasker.model import dlq
from tasker.operations.fields import as_list

Status = Literal["pending", "manually_resolved", "permanently_failed", "cancelled"]
assert set(Status.__args__) == set(dlq.DlqStatus)  # noqa: S101 - the words of the API are those of the engine


def _snake(value: object) -> object:
    """`ManuallyResolved`, as some older clients write, is `manually_resolved`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", value).lower() if isinstance(value, str) else value


Reason = Literal[
    "staleness_timeout", "max_retries_exceeded", "dependency_cycle_detected", "worker_unavailable", "manual_dlq"
]
assert set(Reason.__args__) == set(dlq.DlqReason)  # noqa: S101 - the words of the API are those of the engine
ResolutionStatus = Annotated[Status, BeforeValidator(_snake)]
Statuses = Annotated[list[ResolutionStatus], BeforeValidator(as_list), Field(min_length=1, max_length=10)]
Reasons = Annotated[list[Reason], BeforeValidator(as_list), Field(min_length=1, max_length=10)]
