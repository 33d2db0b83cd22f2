"""The doctor: whether the server is set up for Tasker, and whether the engine's tables agree with each other."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from tasker import sql
from tasker.model.errors import SchemaOutdated
from tasker.model.fleet import Finding
from tasker.store import migrate
from tasker.store.connection import Connection
from tasker.store.errors import translating

OLDEST_SERVER = 15
LISTEN_WAIT_S = 2.0
CLOCK_SKEW_MAX_S = 60.0
CONNECTIONS_LEFT_MIN = 5
ROUNDS_MAX = 1_000
"""Each round of repair mends up to 1,000 faults of each kind."""

_SETTINGS = {
    "fsync": "what Tasker acknowledges would be lost with the power",
    "full_page_writes": "a power cut could leave torn pages",
    "synchronous_commit": "what was acknowledged just before a power cut may be lost; steps would run again",
    "autovacuum": "the small hot tables would grow without end",
    "track_counts": "autovacuum would not know when to run",
}
_OWN_ISOLATION = """
select c from pg_db_role_setting s cross join unnest(s.setconfig) c
where c like 'default_transaction_isolation=%' and c not like '%=read committed'
  and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
  and s.setrole in (0, (select oid from pg_roles where rolname = current_user)) limit 1
"""
_ROLE = """
select tasker_engine.may_be_api(), exists (
  select from tasker_engine.api_keys where namespaces is not null and revoked_at is null)
"""
_CONNECTIONS = """
select current_setting('max_connections')::int - count(*)::int
from pg_stat_activity where backend_type = 'client backend'
"""


async def examine(
    connection: Connection,
    *,
    repair: bool = False,
    schema: str = sql.DEFAULT_SCHEMA,
    on_round: Callable[[int], None] | None = None,
) -> list[Finding]:
    """Every check of the server and of the tables, in order. `on_round` hears how many faults are repaired so far.

    Takes a connection of its own: it listens on it. Repairs happen under the locks of the tasks, for which it waits.
    """
    found = [*await _check_server(connection), await _check_listening(connection)]
    schema_finding = await _check_schema(connection, schema)
    found.append(schema_finding)
    if not schema_finding.is_ok:
        return found
    return [*found, await _check_role(connection, schema), *await _check_tables(connection, repair, schema, on_round)]


async def _check_server(connection: Connection) -> list[Finding]:
    version = await connection.fetchval("select current_setting('server_version')")
    is_new = connection.get_server_version().major >= OLDEST_SERVER
    found = [Finding(name="PostgreSQL 15 or later", is_ok=is_new, detail=f"it is {version}")]
    for setting, danger in _SETTINGS.items():
        value = await connection.fetchval("select current_setting($1)", setting)
        is_ok = value not in ("off", "local") if setting == "synchronous_commit" else value == "on"
        detail = f"it is {value}" if is_ok else f"it is {value}: {danger}"
        found.append(Finding(name=setting, is_ok=is_ok, detail=detail))
    isolation = await connection.fetchval(_OWN_ISOLATION)
    what = "read committed" if isolation is None else f"{isolation}: verbs other than submit refuse it"
    found.append(Finding(name="isolation of new connections", is_ok=isolation is None, detail=what))
    return [*found, await _check_clock(connection), await _check_room(connection)]


async def _check_clock(connection: Connection) -> Finding:
    skew_s = ((await connection.fetchval("select clock_timestamp()")) - datetime.now(UTC)).total_seconds()
    is_ok = abs(skew_s) <= CLOCK_SKEW_MAX_S
    advice = "" if is_ok else "; ids that are made here carry this machine's time: set its clock"
    return Finding(
        name="clocks agree", is_ok=is_ok, detail=f"the server's is {skew_s:+.1f} s off this machine's{advice}"
    )


async def _check_room(connection: Connection) -> Finding:
    left = await connection.fetchval(_CONNECTIONS)
    is_ok = left >= CONNECTIONS_LEFT_MIN
    advice = "" if is_ok else ": raise max_connections, or put a pooler in front"
    return Finding(name="connections to spare", is_ok=is_ok, detail=f"{left} are free{advice}")


async def _check_listening(connection: Connection) -> Finding:
    """A pooler that lends a connection for one transaction only swallows LISTEN: wake-ups do not come, polling does."""
    channel, heard = f"tasker_doctor_{secrets.token_hex(4)}", asyncio.Event()

    def hear(*_: object) -> None:
        heard.set()

    await connection.add_listener(channel, hear)
    await connection.execute("select pg_notify($1, '')", channel)
    try:
        await asyncio.wait_for(heard.wait(), LISTEN_WAIT_S)
    except TimeoutError:
        what = (
            "notifications do not arrive, as behind a pooler in transaction mode: workers poll instead; "
            "TASKER_DATABASE_LISTEN_URL names a way past it"
        )
        return Finding(name="LISTEN and NOTIFY", is_ok=False, detail=what)
    return Finding(name="LISTEN and NOTIFY", is_ok=True, detail="a notification arrived")


async def _check_schema(connection: Connection, schema: str) -> Finding:
    name = f"schema {schema}"
    try:
        status = await migrate.status(connection, schema)
    except SchemaOutdated as error:
        return Finding(name=name, is_ok=False, detail=str(error))
    if not status.exists:
        return Finding(name=name, is_ok=False, detail="it does not exist: run `tasker db migrate`")
    if not status.is_current:
        what = f"{len(status.pending)} migrations are to be applied" if status.pending else "its functions are older"
        return Finding(name=name, is_ok=False, detail=f"{what}: run `tasker db migrate`")
    return Finding(name=name, is_ok=True, detail=f"at migration {status.applied[-1]}")


async def _check_role(connection: Connection, schema: str) -> Finding:
    """The role that holds confined callers' reads: needed once there are keys of some namespaces only."""
    has_role, is_needed = await connection.fetchrow(sql.in_schema(_ROLE, schema))
    if has_role:
        return Finding(name="role tasker_api", is_ok=True, detail="policies hold what confined callers read")
    what = "this user cannot take it on, so only the server itself keeps namespaces apart: see docs/security.md"
    return Finding(name="role tasker_api", is_ok=not is_needed, detail=what)


async def _check_tables(
    connection: Connection, repair: bool, schema: str, on_round: Callable[[int], None] | None
) -> list[Finding]:
    """The engine's own checks; with `repair`, again and again until there is nothing to mend, and once more to look."""
    query = sql.in_schema("select * from tasker_engine.doctor($1)", schema)
    first: list[Any] = []
    repaired: dict[str, int] = {}
    for _ in range(ROUNDS_MAX if repair else 1):
        with translating():
            rows = await connection.fetch(query, repair)
        first = first or rows
        for row in rows:
            repaired[row["name"]] = repaired.get(row["name"], 0) + row["repaired"]
        if on_round is not None:
            on_round(sum(repaired.values()))
        if not any(row["repaired"] for row in rows):
            return _joined(first, rows, repaired)
    return _joined(first, first, repaired)


def _joined(first: Sequence[Any], last: Sequence[Any], repaired: dict[str, int]) -> list[Finding]:
    """What was wrong at first, whether it still is, and how much was mended."""
    found: list[Finding] = []
    for before, after in zip(first, last, strict=True):
        count = repaired[after["name"]]
        detail = before["detail"] if count else after["detail"]
        found.append(Finding(name=after["name"], is_ok=after["ok"], detail=detail, repaired=count))
    return found
