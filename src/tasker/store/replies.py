"""What verbs answer to workers: rows of one type, read as one record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from tasker.model.event import EventOutcome


@dataclass(slots=True)
class Grant:
    """The right to run one step: the session holds this attempt until it reports, or loses it."""

    task_id: UUID
    number: int
    attempt: int
    tries: int
    template_id: int
    grant_no: int
    is_alone: bool = False
    is_unchecked: bool = False


@dataclass(slots=True)
class Verdict:
    """An outcome that was not recorded as new: already, stale or deferred."""

    task_id: UUID
    number: int
    attempt: int
    verdict: str


@dataclass(frozen=True, slots=True)
class Told:
    """An event that a recorded outcome is told by: the `place` of its declaration, its id, and how the step ended."""

    task_id: UUID
    number: int
    attempt: int
    place: int
    event_id: UUID
    outcome: EventOutcome


@dataclass(frozen=True, slots=True)
class Submitted:
    """One answer of submit: the task, and whether it existed before."""

    task_id: UUID
    is_duplicate: bool


@dataclass(slots=True)
class Reply:
    """What a verb answered to a worker."""

    grants: list[Grant] = field(default_factory=list[Grant])
    inputs: dict[UUID, str] = field(default_factory=dict[UUID, str])
    correlation_ids: dict[UUID, UUID] = field(default_factory=dict[UUID, UUID])
    results: dict[UUID, dict[int, str]] = field(default_factory=dict[UUID, dict[int, str]])
    items: dict[tuple[UUID, int], tuple[str, str | None]] = field(
        default_factory=dict[tuple[UUID, int], tuple[str, str | None]]
    )
    """What members of batches work on: the id in the batch, and the cursor or item as JSON."""
    verdicts: list[Verdict] = field(default_factory=list[Verdict])
    ended: list[tuple[UUID, str]] = field(default_factory=list[tuple[UUID, str]])
    views: dict[UUID, tuple[str, str]] = field(default_factory=dict[UUID, tuple[str, str]])
    """Awaited tasks that have ended, as `task_views` has them: JSON of the task and of its steps."""
    told: list[Told] = field(default_factory=list[Told])
    submitted: list[Submitted] = field(default_factory=list[Submitted])
    gone: list[tuple[UUID, int, int]] = field(default_factory=list[tuple[UUID, int, int]])
    next_due_s: float | None = None
    left: int = 0
    """How many steps a report has made ready without handing them to this session."""
    idle_peers: int = 0
    session_ended: bool = False
    wanted: str | None = None
    """What an operator wants of the session: paused or drained; None: that it works."""


def read_reply(rows: Iterable[Any]) -> Reply:
    """Rows of type `tasker_engine.reply` as one record."""
    reply = Reply()
    grant_no = 0
    for kind, task_id, number, attempt, tries, template_id, payload, info in rows:
        if kind == "grant":
            grant = Grant(task_id, number, attempt, tries, template_id, grant_no)
            if info is not None:
                about = orjson.loads(info)
                grant.is_alone, grant.is_unchecked = about["is_alone"], about["is_unchecked"]
            reply.grants.append(grant)
        elif kind == "batch":
            grant_no = int(payload)
        elif kind == "inputs":
            reply.inputs[task_id] = payload
            if info is not None:
                reply.correlation_ids[task_id] = UUID(orjson.loads(info)["correlation_id"])
        elif kind == "event":
            outcome = orjson.loads(info or "{}")["outcome"]
            reply.told.append(Told(task_id, number, attempt, tries, UUID(payload), outcome))
        elif kind == "result":
            if payload is not None:
                reply.results.setdefault(task_id, {})[number] = payload
        else:
            _read_other(reply, kind, task_id, number, attempt, payload, info)
    return reply


def _read_other(
    reply: Reply, kind: str, task_id: UUID, number: int, attempt: int, payload: str, info: str | None
) -> None:
    if kind == "ended":
        reply.ended.append((task_id, payload))
    elif kind == "view":
        reply.views[task_id] = payload, info or "[]"
    elif kind == "item":
        reply.items[task_id, number] = (orjson.loads(info or "{}")["batch_id"], payload)
    elif kind == "submitted":
        reply.submitted.append(Submitted(task_id, payload == "duplicate"))
    elif kind == "left":
        reply.left += number
    elif kind == "verdict":
        reply.verdicts.append(Verdict(task_id, number, attempt, payload))
    elif kind == "gone":
        reply.gone.append((task_id, number, attempt))
    elif kind == "session_ended":
        reply.session_ended = True
    elif kind == "next":
        reply.next_due_s = orjson.loads(info or "{}").get("due_s")
    elif kind == "peers":
        reply.idle_peers = orjson.loads(info or "{}")["idle"]
    elif kind == "wanted":
        reply.wanted = payload
