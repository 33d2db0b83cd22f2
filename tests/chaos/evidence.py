"""What the checker judges by: the tables, the two ledgers, and what the watch has seen on the way."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

from chaos.ledger import Entry

Row = dict[str, Any]
Key = tuple[str, int]
FIRST_MEMBER = 65_536
"""Steps from this number on are members of batches: the number of the batch times this, and their index."""

_QUERIES = {
    "tasks": "select task_id::text, template_id, state::text, moves, finished_at from tasker_engine.tasks",
    "steps": """select task_id::text, number, state::text, attempt, tries, losses, moves, granted_at, finished_at,
                  (result ->> 'sum')::bigint as total, md5(result::text) as digest, error from tasker_engine.steps""",
    "inputs": "select task_id::text, context, idempotency_key from tasker_engine.inputs",
    "plans": """select template_id, p.number, p.name, parents, max_attempts, is_retryable, c.handler
                from tasker_engine.template_steps p join tasker_engine.channels c using (channel_id)""",
    "history": """select task_id::text, number, seq, from_state::text, to_state::text, attempt, session_id, at
                  from tasker_engine.transitions order by task_id, number, seq""",
    "dlq": "select task_id::text, reason, status from tasker_engine.dlq",
    "messages": "select seq, kind, body from tasker_engine.messages",
    "identities": "select key, task_id::text from tasker_engine.identities",
}
_CONNECTIONS = """select pid, state, application_name, left(query, 80) as query from pg_stat_activity
                  where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"""
_LEAKS = {
    "connections": _CONNECTIONS,
    "advisory locks": """select l.pid, l.objid from pg_locks l join pg_database d on d.oid = l.database
                         where l.locktype = 'advisory' and d.datname = current_database()""",
    "prepared transactions": "select gid from pg_prepared_xacts where database = current_database()",
}


@dataclass
class Evidence:
    """Rows of tables by their names, as `_QUERIES` has them; the ledgers; what was seen."""

    dsn: str
    tables: dict[str, list[Row]]
    entries: list[Entry]
    asked: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict[str, tuple[str, dict[str, Any]]])
    told: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    wrong: list[str] = field(default_factory=list[str])
    """Answers that no client should get."""
    samples: dict[Key, str] = field(default_factory=dict[Key, str])
    """Digests of results as the watch saw them while work went on."""
    views: dict[str, dict[str, Row]] = field(default_factory=dict[str, dict[str, Row]])
    """Of some tasks what each face shows."""
    leaks: dict[str, list[Row]] = field(default_factory=dict[str, list[Row]])
    """What is left in the server when everybody has gone."""
    outcasts: set[str] = field(default_factory=set[str])
    """Tasks that may end in error for losing their workers: those whose steps are poison, or that were struck often."""

    def __post_init__(self) -> None:
        self.steps: dict[Key, Row] = {(row["task_id"], row["number"]): row for row in self.tables["steps"]}
        self.tasks: dict[str, Row] = {row["task_id"]: row for row in self.tables["tasks"]}
        self.inputs: dict[str, Row] = {row["task_id"]: row for row in self.tables["inputs"]}
        self.plans: dict[tuple[int, int], Row] = {
            (row["template_id"], row["number"]): row for row in self.tables["plans"]
        }
        self.history: dict[Key, list[Row]] = defaultdict(list)
        for row in self.tables["history"]:
            self.history[row["task_id"], row["number"]].append(row)

    def plan(self, task: str, number: int) -> Row:
        """What the template says of a step; of a member of a batch that of the batch."""
        return self.plans[self.tasks[task]["template_id"], number if number < FIRST_MEMBER else number // FIRST_MEMBER]


def read_tables(dsn: str) -> dict[str, list[Row]]:
    """One consistent look."""
    with psycopg.Connection[Row].connect(dsn, row_factory=dict_row) as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        return {name: connection.execute(query).fetchall() for name, query in _QUERIES.items()}  # type: ignore[arg-type]


def read_leaks(dsn: str) -> dict[str, list[Row]]:
    """What is open in this database, but for this look."""
    with psycopg.Connection[Row].connect(dsn, row_factory=dict_row, autocommit=True) as connection:
        return {name: connection.execute(query).fetchall() for name, query in _LEAKS.items()}  # type: ignore[arg-type]
