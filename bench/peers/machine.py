"""What a run costs and where it ran: CPU time of process trees, counters of PostgreSQL, the machine's description."""

from __future__ import annotations

import os
import platform
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasker.model.errors import TaskerError
from tasker.store.connection import Connection

_TICKS = os.sysconf("SC_CLK_TCK")
_COUNTERS = """
select (select sum(xact_commit)::bigint from pg_stat_database),
  pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint
"""
_STATEMENTS = "select sum(calls)::bigint from public.pg_stat_statements"


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent until some moment. `statements` is None where the server does not count them."""

    cpu_s: float
    commits: int
    wal_bytes: int
    statements: int | None

    def per_1000(self, before: Spent, steps: int) -> dict[str, float | None]:
        """The difference for every 1,000 steps."""
        share = 1000 / max(1, steps)
        counted = None
        if self.statements is not None and before.statements is not None:
            counted = (self.statements - before.statements) * share
        return {
            "cpu_s": (self.cpu_s - before.cpu_s) * share,
            "commits": (self.commits - before.commits) * share,
            "wal_bytes": (self.wal_bytes - before.wal_bytes) * share,
            "statements": counted,
        }


async def read_spent(connection: Connection, roots: Collection[int]) -> Spent:
    """The counters of the whole server, and the CPU time of these processes with all below them."""
    commits, wal_bytes = await connection.fetchrow(_COUNTERS)
    counts = await connection.fetchval("select to_regclass('public.pg_stat_statements') is not null")
    statements = await connection.fetchval(_STATEMENTS) if counts else None
    return Spent(cpu_seconds(roots), commits, wal_bytes, statements)


def cpu_seconds(roots: Collection[int]) -> float:
    """CPU time of these processes, of all below them or in their sessions, and of children that these have waited for.

    Raises TaskerError where the system does not tell.
    """
    processes = _processes()
    wanted = {pid for pid in processes if pid in roots or processes[pid][1] in roots}
    while more := {pid for pid, (parent, _, _) in processes.items() if parent in wanted} - wanted:
        wanted |= more
    return sum(processes[pid][2] for pid in wanted) / _TICKS


def _processes() -> dict[int, tuple[int, int, int]]:
    """Of each process its parent, its session, and ticks of CPU time."""
    found: dict[int, tuple[int, int, int]] = {}
    if not Path("/proc/self/stat").exists():
        raise TaskerError("CPU time of other processes cannot be read here: this program needs Linux's /proc")
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        found[int(place.parent.name)] = (int(fields[1]), int(fields[3]), sum(map(int, fields[11:15])))
    return found


def describe() -> dict[str, Any]:
    """The machine, for readers of the figures; nothing that names it."""
    model = ""
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = (line.partition(":") for line in info.read_text().splitlines())
        model = next((value.strip() for key, _, value in lines if key.strip() == "model name"), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": memory,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_at_start": [round(one, 2) for one in os.getloadavg()],
    }
