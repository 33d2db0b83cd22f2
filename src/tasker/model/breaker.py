"""Circuit breakers: what is known of the outside systems that steps depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

BreakerState = Literal["closed", "open", "half_open"]
BreakerAction = Literal["open", "reset", "set"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerInfo:
    """The breaker of one outside system, shared by all workers. Durations in seconds."""

    name: str
    """What templates and handlers name as `system_dependency`."""
    state: BreakerState
    failures: int
    """In a row, while it is closed; when it opened, those that opened it."""
    successes: int
    """Of probes, while it is half open."""
    openings: int
    """How often it opened by itself since it was closed last."""
    changed_at: datetime | None
    open_until: datetime | None
    """While it is open: when it lets probes through; None: when somebody resets it."""
    for_s: float | None
    """Seconds until then."""
    running_probes: int
    waiting: int
    """Steps that are ready and wait behind it, or would if it were open; counted up to 10,000."""
    handlers: tuple[str, ...]
    failure_threshold: int
    """So many failures in a row open it."""
    success_threshold: int
    """So many probes that succeed close it."""
    probes: int
    """So many steps at once may run while it is half open, in the whole fleet."""
    reset_s: float
    """How long it is open the first time; each further time in a row, twice as long."""
    reset_max_s: float
    why: str | None
    """Why steps behind it wait; None while it is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerMove:
    """One move of a breaker: by itself (`actor` is None), or by somebody."""

    seq: int
    from_state: BreakerState
    to_state: BreakerState
    at: datetime
    actor: str | None
    reason: str | None
    detail: Mapping[str, Any] | None
