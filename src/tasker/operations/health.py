"""How this server is: alive, ready, and in detail. Open to everybody, so it names no task, no namespace, no address."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from tasker import __version__
from tasker.model.errors import TaskerError
from tasker.model.fleet import FleetFigures, Stats
from tasker.operations.engine import Engine
from tasker.operations.registry import Answer
from tasker.store.connection import Connection
from tasker.store.errors import CONNECTION_ERRORS, DatabaseError
from tasker.store.fleet import Fleet
from tasker.store.migrate import status as schema_status
from tasker.store.sweeps import seconds_since_sweep

_STARTED = time.monotonic()
SWEEP_LATE_S = 60.0


class Health(Answer):
    """Whether the process answers."""

    status: str = Field(examples=["healthy"])
    timestamp: datetime


class Check(Answer):
    """One thing that was looked at."""

    status: str = Field(description="healthy, degraded or unhealthy.")
    message: str | None = None
    duration_ms: float


class ReadinessChecks(Answer):
    """What has to be well for work to go on."""

    web_database: Check = Field(description="The database answers.")
    orchestration_database: Check = Field(description="Its schema is this version's.")
    circuit_breaker: Check = Field(description="Always healthy: the database stands behind none.")
    orchestration_system: Check = Field(description="The sweep is drawn; degraded where no worker lives.")
    command_processor: Check = Field(description="Always healthy: workers turn on the database.")


class HealthInfo(Answer):
    """About the process."""

    version: str
    environment: str
    operational_state: str
    uptime_s: float
    process_id: int


class ReadinessReport(Answer):
    """Whether the server can do its work now."""

    status: str
    timestamp: datetime
    checks: ReadinessChecks
    info: HealthInfo

    @property
    def is_ready(self) -> bool:
        """False where something is unhealthy."""
        return self.status != "unhealthy"


class DetailedReport(ReadinessReport):
    """The same, and how much lies waiting; no figure goes beyond 10,000."""

    queue_depth: int | None = Field(description="Steps that are ready and wait for a worker.")
    due_steps: int | None = Field(description="Steps that wait for a time.")
    workers: int | None
    idle_workers: int | None
    unserved_steps: int | None = Field(description="Steps that are ready, and no living worker has their handler.")
    paused_steps: int | None = Field(description="Steps that are ready in a queue that is paused.")
    pauses: int | None = Field(description="Namespaces, queues and handlers that are paused.")
    paused_workers: int | None
    draining_workers: int | None


def health() -> Health:
    """The process answers; nothing else is looked at."""
    return Health(status="healthy", timestamp=datetime.now(UTC))


async def readiness(engine: Engine) -> ReadinessReport:
    """Looks at the database and at what keeps work going."""
    report, _, _ = await _report(engine, count_max=1)
    return ReadinessReport(**report)


async def details(engine: Engine) -> DetailedReport:
    """The same, with counts."""
    report, stats, fleet = await _report(engine, count_max=10_000)
    return DetailedReport(
        **report,
        queue_depth=None if stats is None else sum(channel.ready for channel in stats.channels),
        due_steps=None if stats is None else stats.due,
        workers=None if stats is None else stats.sessions,
        idle_workers=None if stats is None else stats.idle_sessions,
        unserved_steps=None if fleet is None else fleet.unserved_steps,
        paused_steps=None if fleet is None else fleet.paused_steps,
        pauses=None if fleet is None else fleet.pauses,
        paused_workers=None if fleet is None else fleet.paused_workers,
        draining_workers=None if fleet is None else fleet.draining_workers,
    )


async def _report(engine: Engine, *, count_max: int) -> tuple[dict[str, Any], Stats | None, FleetFigures | None]:
    found: list[Stats] = []
    held: list[FleetFigures] = []

    async def answers(connection: Connection) -> tuple[str, str | None]:
        found.append(await engine.reads.stats(connection, count_max=count_max))
        held.append(await Fleet(engine.settings.schema_name).figures(connection, count_max=count_max))
        return "healthy", None

    async def is_current(connection: Connection) -> tuple[str, str | None]:
        status = await schema_status(connection, engine.settings.schema_name)
        return ("healthy", None) if status.is_current else ("unhealthy", "the schema is another version's")

    async def sweeps(connection: Connection) -> tuple[str, str | None]:
        late_s = await seconds_since_sweep(connection, engine.settings.schema_name)
        if found and not found[0].sessions:
            return "degraded", "no worker lives: tasks wait"
        if late_s is None or late_s > SWEEP_LATE_S:
            return "degraded", "the sweep is late"
        if held and held[0].unserved_steps:
            return "degraded", "steps are ready whose handler no living worker has: `tasker handler list --missing`"
        return "healthy", "something is paused: `tasker queue list`" if held and held[0].pauses else None

    checks = {
        "web_database": await _look(engine, answers),
        "orchestration_database": await _look(engine, is_current),
        "circuit_breaker": Check(status="healthy", duration_ms=0),
        "orchestration_system": await _look(engine, sweeps),
        "command_processor": Check(status="healthy", duration_ms=0),
    }
    states = {check.status for check in checks.values()}
    status = next((word for word in ("unhealthy", "degraded") if word in states), "healthy")
    info = HealthInfo(
        version=__version__,
        environment=engine.settings.env or "none",
        operational_state="normal",
        uptime_s=round(time.monotonic() - _STARTED, 3),
        process_id=os.getpid(),
    )
    report = {"status": status, "timestamp": datetime.now(UTC), "checks": ReadinessChecks(**checks), "info": info}
    return report, found[0] if found else None, held[0] if held else None


async def _look(engine: Engine, look: Callable[[Connection], Awaitable[tuple[str, str | None]]]) -> Check:
    began = time.perf_counter()
    try:
        status, message = await engine.ask(look)
    except (TaskerError, DatabaseError, *CONNECTION_ERRORS):
        status, message = "unhealthy", "the database does not answer"
    return Check(status=status, message=message, duration_ms=round((time.perf_counter() - began) * 1000, 3))
