"""What is known beside tasks: published templates, worker processes, queues, and the doctor's findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateInfo:
    """A published version of a template, at its newest revision."""

    template_id: int
    namespace: str
    name: str
    version: str
    revision: int
    step_count: int
    identity_strategy: str
    digest: str
    published_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateDefinition:
    """A published version with its definition: a template in the strict grammar, with every default written out."""

    template_id: int
    revision: int
    published_at: datetime
    definition: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """One start of one worker process."""

    session_uuid: UUID
    name: str
    host: str
    pid: int
    started_at: datetime
    beat_at: datetime
    silent_s: float
    """Seconds since its last beat; past `lease_s` it is ended."""
    lease_s: float
    is_idle: bool
    stale_outcomes: int
    held: int
    """Steps that it runs now."""
    handlers: tuple[str, ...]
    queues: tuple[str, ...]
    ended_at: datetime | None
    end_reason: str | None
    is_loss: bool
    """It did not end by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelInfo:
    """Where steps of one handler wait: how many are ready, since when, and how many living workers serve them."""

    namespace: str
    queue: str
    handler: str
    ready: int
    oldest_s: float | None
    sessions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """How much lies where. A count that has reached the limit that was asked for means that many or more."""

    tasks: Mapping[str, int]
    channels: tuple[ChannelInfo, ...]
    due: int
    sessions: int
    idle_sessions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check of the doctor found, and how many faults it repaired."""

    name: str
    is_ok: bool
    detail: str
    repaired: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerName:
    """A living worker process, by what people know it by."""

    session_uuid: UUID
    name: str
    host: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerInfo:
    """A handler in one queue of one namespace: which templates need it, and which workers have it."""

    namespace: str
    queue: str
    handler: str
    templates: tuple[str, ...]
    """Those whose newest version needs it, as name@version; fifty at most."""
    template_count: int
    sessions: int
    """Living workers that have it."""
    workers: tuple[WorkerName, ...]
    """Fifty of them at most."""
    ready: int
    """Steps that wait for it, up to 10,000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceInfo:
    """A namespace: how many templates, versions of them and handlers it has, and living workers with one of these."""

    namespace: str
    templates: int
    versions: int
    handlers: int
    sessions: int


WorkerAction = Literal["pause", "drain", "resume"]
QueueAction = Literal["pause", "resume"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """A worker process with all that is known of it."""

    session_uuid: UUID
    name: str
    host: str
    pid: int
    version: str
    """Of Tasker, or of the SDK; "" where it said none."""
    transport: str
    """direct, or gateway: it works through a server."""
    state: str
    """running, paused, draining or ended."""
    namespaces: tuple[str, ...]
    queues: tuple[str, ...]
    handlers: tuple[str, ...]
    handler_versions: Mapping[str, str]
    """Of those that said one."""
    held: int
    """Steps that it runs now."""
    is_idle: bool
    stale_outcomes: int
    started_at: datetime
    beat_at: datetime
    silent_s: float
    lease_s: float
    wanted_by: str | None
    """Who paused, drained or resumed it last, with `wanted_reason` and `wanted_at`."""
    wanted_reason: str | None
    wanted_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None
    is_loss: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerActed:
    """What an operator did to a worker, and how it is then."""

    action: str
    session_uuid: UUID
    name: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePause:
    """A pause of queues of a namespace. `queue` and `handler` None: every one; `until` None: until it is resumed."""

    queue: str | None
    handler: str | None
    actor: str
    reason: str | None
    since: datetime
    until: datetime | None
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueInfo:
    """A queue of a namespace, with what lies in it."""

    namespace: str
    queue: str
    handlers: tuple[str, ...]
    ready: int
    oldest_s: float | None
    workers: int
    """Living ones that serve it and take work."""
    paused: str | None
    """Why nothing of it is handed out; None: it is not paused as a whole."""
    pauses: tuple[QueuePause, ...]
    """All that hold it, or some of its handlers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseRecord:
    """A pause, in force or over."""

    namespace: str
    queue: str | None
    handler: str | None
    actor: str
    reason: str | None
    since: datetime
    until: datetime | None
    ended_at: datetime | None
    ended_by: str | None
    end_reason: str | None
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueAct:
    """What an operator asks of the queues of a namespace: of all, of one, of the steps of one handler. A pause lasts
    for `for_s` seconds, or until resumed. The same act_id does nothing again."""

    act_id: UUID
    action: QueueAction
    namespace: str
    queue: str | None = None
    handler: str | None = None
    for_s: float | None = None
    actor: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueActed:
    """What an operator did to queues. `is_paused`: something holds them still, or again."""

    action: str
    namespace: str
    queue: str | None
    handler: str | None
    since: datetime
    until: datetime | None
    is_paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFigures:
    """What holds work up; no count of steps goes beyond the limit that was asked for."""

    unserved_steps: int
    """Ready, and no living worker has their handler."""
    paused_steps: int
    """Ready, in a queue that is paused."""
    pauses: int
    running_workers: int
    paused_workers: int
    draining_workers: int
