"""All that the engine has stored, read by a driver and by queries of the checker's own."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

Key = tuple[UUID, int]
Row = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What a template says about one step."""

    name: str
    type: str
    channel: int
    parents: tuple[int, ...]
    children: tuple[int, ...]
    max_attempts: int
    is_batch: bool = False


@dataclass
class Snapshot:
    """The tables at one moment. Histories are in order, those of tasks under number 0."""

    plans: dict[int, dict[int, Plan]] = field(default_factory=dict[int, dict[int, Plan]])
    tasks: dict[UUID, Row] = field(default_factory=dict[UUID, Row])
    batches: dict[Key, Row] = field(default_factory=dict[Key, Row])
    items: dict[UUID, set[int]] = field(default_factory=lambda: defaultdict[UUID, set[int]](set))
    inputs: set[UUID] = field(default_factory=set[UUID])
    steps: dict[UUID, dict[int, Row]] = field(default_factory=lambda: defaultdict[UUID, dict[int, Row]](dict))
    history: dict[Key, list[Row]] = field(default_factory=lambda: defaultdict[Key, list[Row]](list))
    ready: dict[Key, set[int]] = field(default_factory=lambda: defaultdict[Key, set[int]](set))
    due: dict[Key, dict[int, datetime]] = field(default_factory=lambda: defaultdict[Key, dict[int, datetime]](dict))
    grants: dict[Key, set[int]] = field(default_factory=lambda: defaultdict[Key, set[int]](set))
    sessions: dict[int, Row] = field(default_factory=dict[int, Row])
    identities: list[Row] = field(default_factory=list[Row])
    breakers: dict[int, Row] = field(default_factory=dict[int, Row])
    """With their `history`, and the keys and attempts of their `probing` steps."""
    guards: dict[int, int] = field(default_factory=dict[int, int])
    """The breaker of each channel that has one."""


def read(dsn: str, schema: str = "tasker_engine") -> Snapshot:
    """One consistent snapshot of a database."""
    with psycopg.Connection[Row].connect(dsn, row_factory=dict_row) as connection:
        return read_on(connection, schema)


def read_on(connection: psycopg.Connection[Row], schema: str = "tasker_engine") -> Snapshot:
    """The same in a transaction that has just begun."""
    connection.execute("set transaction isolation level repeatable read, read only")
    connection.execute(SQL("set local search_path = {}").format(Identifier(schema)))
    return _read(connection)


def _read(connection: psycopg.Connection[Row]) -> Snapshot:
    taken = Snapshot()
    for row in connection.execute("select * from template_steps"):
        edges = tuple(row["parents"]), tuple(row["children"])
        plan = Plan(row["name"], row["type"], row["channel_id"], *edges, row["max_attempts"], row["batch"] is not None)
        taken.plans.setdefault(row["template_id"], {})[row["number"]] = plan
    taken.tasks = {row["task_id"]: row for row in connection.execute("select *, state::text as state from tasks")}
    taken.batches = {(row["task_id"], row["number"]): row for row in connection.execute("select * from batches")}
    for row in connection.execute("select task_id, number from batch_items"):
        taken.items[row["task_id"]].add(row["number"])
    taken.inputs = {row["task_id"] for row in connection.execute("select task_id from inputs")}
    steps = """select task_id, number, state::text as state, waiting, attempt, tries, losses, moves, session_id,
               is_suspect, result_bytes, octet_length(result::text) as result_size, granted_at,
               result -> 'decision_point_outcome' -> 'step_names' as chosen from steps"""
    for row in connection.execute(steps):
        taken.steps[row["task_id"]][row["number"]] = row
    history = """select task_id, number, seq, from_state::text, to_state::text, attempt, session_id, at,
                 coalesce(detail, '{}') as detail
                 from transitions order by task_id, number, seq"""
    for row in connection.execute(history):
        taken.history[row["task_id"], row["number"]].append(row)
    for row in connection.execute("select lane, task_id, number from ready"):
        taken.ready[row["task_id"], row["number"]].add(row["lane"])
    for row in connection.execute("select due_at, task_id, number, attempt from due"):
        taken.due[row["task_id"], row["number"]][row["attempt"]] = row["due_at"]
    for row in connection.execute(
        "select session_id, unnest(task_ids) as task_id, unnest(numbers) as number from grants"
    ):
        taken.grants[row["task_id"], row["number"]].add(row["session_id"])
    taken.sessions = {row["session_id"]: row for row in connection.execute("select * from sessions")}
    _read_breakers(connection, taken)
    taken.identities = list(
        connection.execute("""select i.*, k.idempotency_key from identities i left join inputs k using (task_id)""")
    )
    return taken


def _read_breakers(connection: psycopg.Connection[Row], taken: Snapshot) -> None:
    for row in connection.execute("select * from breakers"):
        taken.breakers[row["breaker_id"]] = {**row, "history": [], "probing": set()}
    for row in connection.execute("select * from breaker_moves order by breaker_id, seq"):
        taken.breakers[row["breaker_id"]]["history"].append(row)
    for row in connection.execute("select * from breaker_probes"):
        taken.breakers[row["breaker_id"]]["probing"].add((row["task_id"], row["number"], row["attempt"]))
    for row in connection.execute("select channel_id, breaker_id from channels where breaker_id is not null"):
        taken.guards[row["channel_id"]] = row["breaker_id"]
