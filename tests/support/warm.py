"""A database that tests use one after the other, each of which finds it empty.

A connection's first calls cost ten times what later ones do: functions are parsed, queries planned, catalogs read. The
tests of the verbs are many and short, so the next one gets the database and the first connection of the one before. It
gets new ones where that one changed more than rows (a function, a table, a setting of the database) or left a
transaction open; and after `_TESTS_MAX` in any case, for deleted rows are not vacuumed away.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier, Literal

from support.checker import check_on
from support.databases import Databases
from support.snapshot import Row

_TESTS_MAX = 25
_ENDED_WITHIN_S = 10
_RELATIONS = """
select relname as name, relkind::text as kind from pg_class where relnamespace = 'tasker_engine'::regnamespace"""
_FILL = "insert into tasker_engine.{0} select * from jsonb_populate_recordset(null::tasker_engine.{0}, %s)"
_SHAPE = """
select 'class', count(*), sum(xmin::text::bigint) from pg_class
  where relnamespace::regnamespace::text in ('public', 'tasker_engine')
union all select 'proc', count(*), sum(xmin::text::bigint) from pg_proc
  where pronamespace::regnamespace::text in ('public', 'tasker_engine')
union all select 'trigger', count(*), sum(xmin::text::bigint) from pg_trigger
union all select 'constraint', count(*), sum(xmin::text::bigint) from pg_constraint
union all select 'policy', count(*), sum(xmin::text::bigint) from pg_policy
union all select 'default', count(*), sum(xmin::text::bigint) from pg_attrdef
union all select 'namespace', count(*), sum(xmin::text::bigint) from pg_namespace
union all select 'setting', count(*), sum(xmin::text::bigint) from pg_db_role_setting
  where setdatabase = (select oid from pg_database where datname = current_database())
union all select 'statistic', count(*), 0 from pg_statistic where starelid >= 16384"""
"""What changes with every definition and with `analyze`, and with no row."""
_OTHERS = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and backend_type = 'client backend' and pid not in (pg_backend_pid(), %s)"""


class WarmDatabase:
    """One database at a time. `kept` is a connection of the tests' driver that the next test may go on with."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._stack = ExitStack()
        self._connection: psycopg.Connection[Row] | None = None
        self._served = 0
        self.dsn = ""
        self.kept: Any = None

    def prepare(self) -> None:
        """An empty database stands at `dsn`."""
        if self._connection is None:
            self.dsn = self._stack.enter_context(self._databases.migrated())
            connect = psycopg.Connection[Row].connect(self.dsn, autocommit=True, row_factory=dict_row)
            self._connection = self._stack.enter_context(connect)
            self._look(self._connection)
        self._served += 1

    def check(self) -> list[str]:
        """What of the checker's invariants does not hold."""
        assert self._connection is not None
        with self._connection.transaction():
            return check_on(self._connection)

    def clear(self) -> None:
        """Makes it as new; or gives it up, where that cannot be."""
        assert self._connection is not None
        can_serve = self.kept is not None and self._served < _TESTS_MAX
        if can_serve and self._is_alone(self._connection) and self._shape() == self._made_as:
            self._empty(self._connection)
        else:
            self.give_up()

    def give_up(self) -> None:
        """The next test gets a new database."""
        self.let_go()
        self._connection, self._served = None, 0
        self._stack.close()

    def let_go(self) -> None:
        """The connection that was kept ends."""
        if self.kept is not None:
            self.kept.terminate()
            self.kept = None

    def _look(self, connection: psycopg.Connection[Row]) -> None:
        """Notes what an empty database is like."""
        relations = connection.execute(_RELATIONS).fetchall()
        filled = [
            SQL("select {} as name where exists (select from tasker_engine.{})").format(Literal(name), Identifier(name))
            for name in (row["name"] for row in relations if row["kind"] == "r")
        ]
        self._which_are_filled = SQL(" union all ").join(filled)
        self._first_rows: dict[str, str] = {}
        for row in connection.execute(self._which_are_filled).fetchall():
            query = SQL("select jsonb_agg(t) as rows from tasker_engine.{} t").format(Identifier(row["name"]))
            (found,) = connection.execute(query).fetchall()
            self._first_rows[row["name"]] = json.dumps(found["rows"])
        names = (row["name"] for row in relations if row["kind"] == "S")
        begin = SQL("setval({}, 1, false)")
        self._restart = SQL("select {}").format(
            SQL(", ").join(begin.format(Literal(f"tasker_engine.{name}")) for name in names)
        )
        self._made_as = self._shape()

    def _shape(self) -> list[Row]:
        assert self._connection is not None
        return self._connection.execute(_SHAPE).fetchall()

    def _is_alone(self, connection: psycopg.Connection[Row]) -> bool:
        """Whether the test's other connections have ended, so that nothing of theirs comes afterwards."""
        deadline = time.monotonic() + _ENDED_WITHIN_S
        while connection.execute(_OTHERS, [self.kept.get_server_pid()]).fetchall():
            if time.monotonic() > deadline:
                return False
        return True

    def _empty(self, connection: psycopg.Connection[Row]) -> None:
        with connection.transaction():
            connection.execute("set local session_replication_role = replica")
            for row in connection.execute(self._which_are_filled).fetchall():
                connection.execute(SQL("delete from tasker_engine.{}").format(Identifier(row["name"])))
            for name, rows in self._first_rows.items():
                connection.execute(SQL(_FILL).format(Identifier(name)), [rows])
            connection.execute(self._restart)
