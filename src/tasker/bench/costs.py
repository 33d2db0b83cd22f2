"""What the work costs: statements sent, transactions committed, log written."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cache

from tasker.store.connection import Connection
from tasker.store.statements import count_statements

_READ = """
select (select xact_commit from pg_stat_database where datname = current_database()),
  pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint
"""
_YOUNGER = """
select count(*) from pg_stat_activity a join pg_stat_activity own on own.pid = pg_backend_pid()
where a.datname = own.datname and a.backend_type = 'client backend' and a.backend_start > own.backend_start
"""
_LOOKS = 40
_LOOK_S = 0.05


class StatementCount:
    """How many statements this process has sent, on connections opened since the count began."""

    def __init__(self) -> None:
        self.total = 0
        count_statements(self._add)

    def _add(self) -> None:
        self.total += 1


@cache
def statements_sent() -> StatementCount:
    """This process's count, which begins with the first call."""
    return StatementCount()


@dataclass(frozen=True, slots=True)
class Costs:
    """Counts since some moment, or between two."""

    statements: int = 0
    commits: int = 0
    wal_bytes: int = 0

    def __add__(self, other: Costs) -> Costs:
        return Costs(self.statements + other.statements, self.commits + other.commits, self.wal_bytes + other.wal_bytes)

    def __sub__(self, other: Costs) -> Costs:
        return Costs(self.statements - other.statements, self.commits - other.commits, self.wal_bytes - other.wal_bytes)


async def read_costs(connection: Connection, statements: int = 0) -> Costs:
    """What the server has counted until now, with what the client has.

    The server counts what other sessions did as well, so measure on one that is at rest.
    """
    commits, wal_bytes = await connection.fetchrow(_READ)
    return Costs(statements, commits, wal_bytes)


async def until_alone(connection: Connection) -> None:
    """Waits, two seconds at most, until sessions opened after this one are gone: then their last commits count."""
    for _ in range(_LOOKS):
        if not await connection.fetchval(_YOUNGER):
            return
        await asyncio.sleep(_LOOK_S)
