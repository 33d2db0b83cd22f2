"""What a client fills in before it sends, so that the same request may be sent again and is done once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import orjson

from tasker.model.errors import InvalidInput
from tasker.model.ids import uuid7
from tasker.operations.key_texts import new_key
from tasker.operations.tasks import CreatedTask, CreatedTasks
from tasker.operations.views import TaskResponse
from tasker.submission import encode_context

Id = UUID | str
_BYTES_MAX = 2**40
"""How large a context may be is the server's to say."""


class Identified:
    """Tasks that are to be created, each with an id, and with a correlation id: made here where none is given."""

    def __init__(self, *tasks: Mapping[str, Any]) -> None:
        self.many = [{"task_uuid": uuid7(), "correlation_id": uuid4(), **task} for task in tasks]
        self._own = {
            UUID(str(filled["task_uuid"]))
            for filled, given in zip(self.many, tasks, strict=True)
            if "task_uuid" not in given
        }

    @property
    def fields(self) -> dict[str, Any]:
        """Those of the only task."""
        return self.many[0]

    def own(self, answer: TaskResponse) -> TaskResponse:
        """The answer as the first request would have had it: a task whose id was made here is no duplicate, although a
        request that was sent again finds it there."""
        is_own = answer.is_duplicate and answer.task_uuid in self._own
        return answer.model_copy(update={"is_duplicate": False}) if is_own else answer

    def own_all(self, answer: CreatedTasks) -> CreatedTasks:
        """The same for many."""
        tasks = [
            CreatedTask(task_uuid=one.task_uuid, is_duplicate=one.is_duplicate and one.task_uuid not in self._own)
            for one in answer.tasks
        ]
        duplicates = sum(one.is_duplicate for one in tasks)
        return CreatedTasks(tasks=tasks, created=len(tasks) - duplicates, duplicates=duplicates)


def task_fields(context: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a task without those that are None. Raises InvalidInput for a context that cannot be JSON."""
    said = {name: value for name, value in fields.items() if value is not None}
    return {**said, "context": orjson.loads(encode_context(context or {}, _BYTES_MAX))}


def bulk_fields(tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same for many tasks."""
    wrong = next((one for one in tasks if not isinstance(one, Mapping)), None)  # pyright: ignore[reportUnnecessaryIsInstance]
    if wrong is not None:
        raise InvalidInput(f"tasks: each is a mapping such as {{'context': {{…}}}}, not a {type(wrong).__name__}")
    return [task_fields(one.get("context"), {k: v for k, v in one.items() if k != "context"}) for one in tasks]


def act_fields(about: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of an act, with an id by which a repeat does nothing again."""
    said = {name: value for name, value in about.items() if value is not None}
    return {"act_id": uuid7(), **said}


def rerun_fields(about: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a rerun, with the id of the task that it makes."""
    return {"new_task_uuid": uuid7(), **{name: value for name, value in about.items() if value is not None}}


def job_fields(about: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a job, with its id."""
    return {"job_uuid": uuid7(), **{name: value for name, value in about.items() if value is not None}}


def key_fields(field: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of an API key, with an id, so that a request that is sent again makes no second key."""
    return {field: new_key().key_id, **{name: value for name, value in about.items() if value is not None}}
