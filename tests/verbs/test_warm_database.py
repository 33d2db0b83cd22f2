"""What tests share is as new for each of them."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from support.databases import Databases
from support.engine import Engine
from support.warm import WarmDatabase


async def _use(warm: WarmDatabase, beside: str) -> tuple[int, str]:
    """What a test does: a task, a setting, and perhaps more. Which backend serves on, and what was set before."""
    engine = Engine(warm.dsn)
    await engine.open(warm.kept)
    found = await engine.value("select coalesce(current_setting('tasker.handler_missing_s', true), '')")
    await engine.publish("a -> b")
    await engine.submit()
    await engine.connection.execute(f"set tasker.handler_missing_s = 5; {beside}")
    warm.kept = await engine.hand_over()
    await engine.close()
    return 0 if warm.kept is None else warm.kept.get_server_pid(), found


def _content(dsn: str) -> dict[str, list[Any]]:
    """All rows of all tables, and where all sequences stand."""
    tables = "select relname from pg_class where relkind = 'r' and relnamespace = 'tasker_engine'::regnamespace"
    sequences = "select sequencename, last_value from pg_sequences where schemaname = 'tasker_engine' order by 1"
    rows = SQL("select t::text from tasker_engine.{} t order by 1")
    with psycopg.connect(dsn) as connection:
        found = connection.execute(tables).fetchall()
        contents = {name: connection.execute(rows.format(Identifier(name))).fetchall() for (name,) in found}
        return {**contents, "sequences": connection.execute(sequences).fetchall()}


LEFT_BEHIND = "create table public.left_behind (id int)"


@pytest.mark.parametrize(
    ("beside", "is_kept"),
    [
        ("", True),
        ("analyze tasker_engine.tasks", False),
        ("create table public.left (id int)", False),
        ("begin", False),
    ],
)
def test_the_next_test_finds_it_as_new(databases: Databases, beside: str, is_kept: bool) -> None:
    """Rows, sequences and settings are as nobody has used them. The next test has the same connection, unless this one
    changed definitions or statistics, or left a transaction open."""
    warm = WarmDatabase(databases)
    with databases.migrated() as unused, asyncio.Runner() as runner:
        for _ in range(2):
            warm.prepare()
            dsn, (backend, found) = warm.dsn, runner.run(_use(warm, beside))
            assert found == ""
            assert warm.check() == []
            warm.clear()
            assert (warm.dsn == dsn and warm.kept is not None) == is_kept
            warm.prepare()
            assert _content(warm.dsn) == _content(unused)
            assert is_kept == (warm.kept is not None and warm.kept.get_server_pid() == backend)
        warm.give_up()
