"""The table of routes: which operation answers which method and path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tasker.operations import Operation, tasks


@dataclass(frozen=True, slots=True)
class Route:
    """An operation at a method and a path.

    What the path does not name comes from the body of a POST, PUT or PATCH, else from the query. `body_field` is the
    field of the input that is the whole body, where that is so.
    """

    method: str
    path: str
    operation: Operation[Any]
    status: int = 200
    body_field: str | None = None

    @property
    def has_body(self) -> bool:
        """Whether the input comes from a body."""
        return self.method in ("POST", "PUT", "PATCH")

    @property
    def in_path(self) -> tuple[str, ...]:
        """The fields that the path names."""
        return tuple(re.findall(r"\{(\w+)\}", self.path))


_TASK = "/v1/tasks/{task_uuid}"

ROUTES: tuple[Route, ...] = (
    Route("POST", "/v1/tasks", tasks.create_task),
    Route("POST", "/v1/tasks/bulk", tasks.create_tasks),
    Route("GET", _TASK, tasks.get_task),
    Route("DELETE", _TASK, tasks.cancel_task),
    Route("POST", f"{_TASK}/cancel", tasks.cancel_task),
    Route("POST", f"{_TASK}/pause", tasks.pause_task),
    Route("POST", f"{_TASK}/resume", tasks.resume_task),
)
