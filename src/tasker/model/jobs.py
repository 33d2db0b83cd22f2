"""Reruns of tasks, and actions on many of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from tasker.model.states import TaskState
from tasker.model.task import TaskInfo

RerunWhat = Literal["again", "copied", "run", "not_taken", "undecided"]
BulkAction = Literal["cancel", "pause", "resume", "retry"]
JobStatus = Literal["running", "done", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunStep:
    """What a rerun does with a step: runs it `again`, has it `copied` with its result, or lets it `run` because it was
    not done; `not_taken` and `undecided` are those that decisions exclude, or may."""

    number: int
    name: str
    what: RerunWhat
    state: str
    """In the task that is rerun."""
    result_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """A task that began at a step of another one."""

    task_uuid: UUID
    origin_uuid: UUID
    from_step: str
    is_edited: bool
    """Its input is not the origin's."""
    copied: int
    """Steps that came with their results."""
    actor: str
    reason: str | None
    at: datetime
    state: TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkPreview:
    """How many tasks an action would be asked of, and the newest of them."""

    count: int
    is_exact: bool
    newest: tuple[TaskInfo, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An action on many tasks, and how far it has come."""

    job_uuid: UUID
    action: BulkAction
    filter: Mapping[str, Any]
    namespaces: tuple[str, ...] | None
    """Those that the filter names; None is all."""
    actor: str
    reason: str | None
    status: JobStatus
    tasks_max: int
    matched: int
    """Tasks that the filter let through when the job was made."""
    done: int
    refused: int
    busy: int
    """Tasks that another process held: they come again."""
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    stopped_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobItem:
    """What became of one task: done, refused (`said` tells why) or busy."""

    task_uuid: UUID
    status: Literal["done", "refused", "busy"]
    said: str | None
    at: datetime
