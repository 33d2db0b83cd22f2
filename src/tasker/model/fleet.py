"""What is known beside tasks: published templates, worker processes, queues, and the doctor's findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
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
