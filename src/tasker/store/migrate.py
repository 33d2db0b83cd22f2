"""Migrations: numbered SQL, once each, and the functions as a whole, in one transaction under a lock.

Ten processes may start at once: one migrates, the others wait for it and find nothing to do. The schema only goes
forward: a process of an older version that it still works with leaves it as it is. (docs/decisions/upgrades.md)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import asyncpg

from tasker import __version__, sql
from tasker.model.errors import DatabaseUnavailable, SchemaOutdated, SettingsError
from tasker.store.connection import Connection
from tasker.store.errors import translating

_LOCK = 8_317_405_524_231_104_593
_OLDEST_SERVER = 150_000
OLDEST_VERSION = "0.1.0"
"""The oldest version of Tasker whose workers and servers work on this version's schema."""


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """What a database's schema is at. `pending` migrations are to be applied; functions may be out of date. With
    `is_newer` a newer version of Tasker made it what it is, and this one works on it as it is."""

    schema: str
    exists: bool
    applied: tuple[int, ...]
    pending: tuple[int, ...]
    functions_current: bool
    is_newer: bool = False
    version: str = ""
    """Of the Tasker that loaded the functions; "" where that was not noted."""

    @property
    def is_current(self) -> bool:
        """True when this version of Tasker has nothing to change."""
        return self.exists and (self.is_newer or (not self.pending and self.functions_current))


async def status(connection: Connection, schema: str = sql.DEFAULT_SCHEMA) -> SchemaStatus:
    """Where the schema stands. Raises SchemaOutdated where the schema was not made by Tasker, and where this version is
    too old for it."""
    exists = await connection.fetchval("select exists (select from pg_namespace where nspname = $1)", schema)
    known = [migration.number for migration in sql.migrations()]
    if not exists:
        return SchemaStatus(schema, False, (), tuple(known), False)
    if not await connection.fetchval("select to_regclass($1) is not null", f"{schema}.migrations"):
        raise SchemaOutdated(
            f'the schema "{schema}" exists but was not made by Tasker: name another one with TASKER_SCHEMA'
        )
    applied = await connection.fetch(
        sql.in_schema("select number from tasker_engine.migrations order by number", schema)
    )
    numbers = tuple(row["number"] for row in applied)
    loaded = await connection.fetchrow(sql.in_schema(_FUNCTIONS, schema))
    digest, version, oldest = loaded or (None, "", "")
    pending = tuple(number for number in known if number not in numbers)
    is_newer = (bool(numbers) and numbers[-1] > known[-1]) or _order(version) > _order(__version__)
    if is_newer and (not oldest or _order(__version__) < _order(oldest)):
        raise SchemaOutdated(
            f"the schema {schema} is at migration {numbers[-1]} of Tasker {version or '(unknown)'}, which works with "
            f"{oldest or 'no other'} and later; this is {__version__}, which knows {known[-1]}: upgrade Tasker"
        )
    return SchemaStatus(schema, True, numbers, pending, digest == sql.functions_digest(), is_newer, version)


def _order(version: str) -> tuple[int, ...]:
    """By which versions are older and newer."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


async def migrate(connection: Connection, schema: str = sql.DEFAULT_SCHEMA) -> SchemaStatus:
    """Brings the schema to this version, or leaves it to the newer one that made it. Safe to run from many processes at
    once, and again. Raises SchemaOutdated where this user may not change it, and it is not current."""
    if connection.get_server_version().major * 10_000 < _OLDEST_SERVER:
        raise SettingsError("Tasker needs PostgreSQL 15 or later")
    if await connection.fetchval("show fsync") != "on":
        raise DatabaseUnavailable("the server runs with fsync = off: what Tasker acknowledges would not be durable")
    with translating():
        async with connection.transaction(isolation="read_committed"):
            await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
            before = await status(connection, schema)
            if not before.is_current:
                await _apply(connection, before)
    return await status(connection, schema)


async def _apply(connection: Connection, before: SchemaStatus) -> None:
    try:
        await connection.execute(script(before))
    except asyncpg.InsufficientPrivilegeError as error:
        raise SchemaOutdated(
            f"the schema {before.schema} is older than Tasker {__version__}, and this user may not change it "
            f"({error}): run `tasker db migrate` as its owner, then start this again"
        ) from error


def script(before: SchemaStatus) -> str:
    """The SQL that brings a schema from `before` to this version."""
    parts = ["set local client_min_messages = warning;"]
    for migration in sql.migrations():
        if migration.number in before.pending:
            parts += [f"-- {migration.number:04} {migration.name}", migration.text]
            parts.append(_BOOKKEEPING if migration.number == 1 else "")
            parts.append(_APPLIED.format(migration.number, migration.name))
    parts += [_CLEAR, sql.functions(), _GRANT]
    parts.append(_LOADED.format(sql.functions_digest(), __version__, OLDEST_VERSION))
    return sql.in_schema("\n".join(parts), before.schema)


_APPLIED = "insert into tasker_engine.migrations (number, name) values ({}, '{}');"
_FUNCTIONS = """
select f.digest, coalesce(to_jsonb(f) ->> 'version', ''), coalesce(to_jsonb(f) ->> 'oldest', '')
from tasker_engine.functions_loaded f
"""  # to_jsonb: older schemas lack the columns
_LOADED = """
insert into tasker_engine.functions_loaded (digest, version, oldest) values ('{}', '{}', '{}')
on conflict (only_row) do update
set digest = excluded.digest, version = excluded.version, oldest = excluded.oldest, loaded_at = clock_timestamp();
"""
# What an older version called the same, with other arguments or another answer, would stand in the way or stay behind.
# What policies depend on stays, and is replaced.
_CLEAR = """
do $$ declare one regprocedure; begin
  for one in select oid from pg_proc where pronamespace = 'tasker_engine'::regnamespace loop
    begin
      execute format('drop routine %s', one);
    exception when dependent_objects_still_exist then null;
    end;
  end loop;
end $$;
"""
_GRANT = "select tasker_engine.grant_access();"
_BOOKKEEPING = """
create table tasker_engine.migrations (
  number int primary key, name text not null, applied_at timestamptz not null default clock_timestamp());
create table tasker_engine.functions_loaded (
  only_row boolean primary key default true check (only_row),
  digest text not null, loaded_at timestamptz not null default clock_timestamp());
"""
