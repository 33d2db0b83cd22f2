"""What the tests of the older interface share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from tasker_core import TaskerClient
from tasker_core.client import TaskResponse
from tasker_core.runtime import current

T = TypeVar("T")
Application = Callable[..., TaskerClient]
"""Starts an application of modules (`name="code"`) and templates, and gives a client."""


def ended(client: TaskerClient, task: TaskResponse) -> TaskResponse:
    """The task once it has ended."""
    current().run(current().tasker.wait(UUID(task.task_uuid), 20))
    return client.get_task(task.task_uuid)


def results(task: TaskResponse) -> dict[str, Any]:
    """What the complete steps returned, by name."""
    return {step["name"]: step["results"] for step in task.steps if step["current_state"] == "complete"}


def soon(look: Callable[[], T], timeout_s: float = 20.0) -> T:
    """What `look` finds, once it finds something. Raises AssertionError after the time."""
    end = time.monotonic() + timeout_s
    pause = threading.Event()
    while not (found := look()):
        assert time.monotonic() < end, "nothing was found in time"
        pause.wait(0.005)
    return found
