"""Who is measured: each peer with its program, its options, what it stores, and what it cannot express."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cells import Cell

_GRAPHS = "no graphs of steps: only jobs that are each submitted"
_NO_TABLES = "it keeps tasks elsewhere than in tables, and running a million takes it hours"


@dataclass(frozen=True)
class Entrant:
    """A row of the tables. `cannot` has, by cell or its first part (`S3`, `S1 tree`), why there is no figure."""

    name: str
    title: str
    program: str
    environment: str
    stores: str
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    start_s: float = 5.0
    """About what a figure takes beside the seconds that are measured: a new database, processes that start, a few tasks
    to warm up."""
    needs: str = ""
    """What has to be on the machine beside PostgreSQL: `rabbitmq`, `redis`, `restate`."""
    repeats_max: int = 5
    """Rows that take long to start, or stand beside another of the same peer, are run less often."""
    cannot: Mapping[str, str] = field(default_factory=dict[str, str])


_DBOS = "in PostgreSQL: the input and result of each workflow, the result of each step, once it has run"
_TUNED = "see the row with shorter polling"
_DEFAULTS: Mapping[str, str] = {
    **dict.fromkeys(("S1 diamond", "S1 mixed", "S1 tree", "S2 1 worker", "S2 4 workers", "S3", "S4"), _TUNED),
    **dict.fromkeys(("S6", "S7", "S8", "S10", "S11"), _TUNED),
    "S9": _TUNED,
}
"""Of peers in their defaults, where another row has them tuned: what the polling changes most is measured."""
_DIRECT: Mapping[str, str] = {
    "S4": "submitting is running: the process that starts a workflow runs it",
    "S5": "nothing is picked up: the process that starts a workflow runs it",
    "S9": "its tables are those of the queued rows",
}
_JOBS: Mapping[str, str] = {
    "S1 diamond": _GRAPHS,
    "S1 mixed": _GRAPHS,
    "S1 tree": _GRAPHS,
    "S3": _GRAPHS,
}
_CHORDS: Mapping[str, str] = {
    "S1 mixed": "steps that wait for some of those before them are neither chains nor chords",
    "S1 tree": "steps that wait for some of those before them are neither chains nor chords",
}
_TOO_LONG = "left out to stay below an hour: its server starts anew for each figure"
_PREFECT: Mapping[str, str] = {
    **dict.fromkeys(("S1 mixed", "S1 tree", "S2 1 worker", "S2 4 workers", "S3 100", "S3 1000"), _TOO_LONG),
    **dict.fromkeys(("S1 diamond", "S6", "S7", "S10", "S11"), _TOO_LONG),
    "S4": _DIRECT["S4"],
    "S5": _DIRECT["S5"],
    "S8": "nothing starts a flow anew that was called by a process which died",
    "S9": _TOO_LONG,
}
_ABSURD = "in PostgreSQL: the input and result of each task, each attempt, the result of each step"
_RUNS_AT_ONCE = "it pushes each task to a worker at once: submitting was not measured apart"
ENTRANTS = (
    Entrant(
        "tasker",
        "Tasker",
        "tasker_peer.py",
        "tasker",
        "in PostgreSQL: input, result and every transition of each step",
        start_s=2,
    ),
    Entrant("dbos", "DBOS, direct", "dbos_peer.py", "dbos", _DBOS, {"mode": "direct"}, cannot=_DIRECT),
    Entrant(
        "dbos-queued",
        "DBOS, queued",
        "dbos_peer.py",
        "dbos",
        _DBOS,
        {"mode": "queued"},
        start_s=10,
        repeats_max=1,
        cannot=_DEFAULTS,
    ),
    Entrant(
        "dbos-tuned",
        "DBOS, queued, polling every 10 ms",
        "dbos_peer.py",
        "dbos",
        _DBOS,
        {"mode": "queued", "polling_s": 0.01},
    ),
    Entrant(
        "procrastinate",
        "procrastinate, chains by hand",
        "procrastinate_peer.py",
        "procrastinate",
        "in PostgreSQL: the input and state of each job, no results",
        cannot=_JOBS,
    ),
    Entrant(
        "celery-rabbitmq",
        "Celery, RabbitMQ",
        "celery_peer.py",
        "celery",
        "messages in RabbitMQ on disk, each step's result in PostgreSQL; a task as a whole nowhere, no history",
        {"broker": "rabbitmq"},
        needs="rabbitmq",
        cannot=_CHORDS,
    ),
    Entrant(
        "celery-redis",
        "Celery, Redis",
        "celery_peer.py",
        "celery",
        "messages and results in Redis, its log written to disk at each change; a task as a whole nowhere",
        {"broker": "redis"},
        needs="redis",
        cannot={**_CHORDS, "S8 restarted": "PostgreSQL has no part in it", "S9": _NO_TABLES},
    ),
    Entrant(
        "restate",
        "Restate, Python SDK",
        "restate_peer.py",
        "restate",
        "in its own log on disk: the input and result of each workflow, the result of each step",
        needs="restate",
        cannot={"S8 restarted": "PostgreSQL has no part in it", "S9": _NO_TABLES, "S4": _RUNS_AT_ONCE},
    ),
    Entrant(
        "absurd",
        "absurd, steps one by one",
        "absurd_peer.py",
        "absurd",
        _ABSURD,
        start_s=3,
        repeats_max=1,
        cannot={**_DEFAULTS, "S2": _TUNED},
    ),
    Entrant(
        "absurd-tuned",
        "absurd, polling every 10 ms, lease 15 s",
        "absurd_peer.py",
        "absurd",
        _ABSURD,
        {"polling_s": 0.01, "lease_s": 15},
        start_s=2,
    ),
    Entrant(
        "prefect",
        "Prefect, flows called directly",
        "prefect_peer.py",
        "prefect",
        "in PostgreSQL: the states of each flow and task; results in files",
        start_s=22,
        repeats_max=1,
        cannot=_PREFECT,
    ),
)
ABSENT: Mapping[str, str] = {
    "Temporal": "its development server is a download of its SDK; the one package that carries it has no binary that "
    "runs on this system",
}
"""Peers that could not be run, with the reason that the page gives."""
BY_NAME = {entrant.name: entrant for entrant in ENTRANTS}


def repeats(entrant: Entrant, cell: Cell, wanted: int) -> int:
    """How often a cell is run for a peer where `wanted` repeats are asked for; 0 where it cannot be."""
    return 0 if reason(entrant, cell) else min(wanted, cell.repeats_max, entrant.repeats_max)


def reason(entrant: Entrant, cell: Cell) -> str | None:
    """Why a peer has no figure in a cell; None if it has."""
    return entrant.cannot.get(cell.name) or entrant.cannot.get(cell.scenario)
