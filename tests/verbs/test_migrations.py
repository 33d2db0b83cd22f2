"""Bringing a database to this version: once, whoever asks and how many at a time."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from support.engine import Engine

from tasker import sql
from tasker.model.errors import SchemaOutdated, SettingsError
from tasker.store.connection import connect
from tasker.store.migrate import migrate, status
from tasker.store.verbs import Submit, Verbs


async def test_ten_processes_may_migrate_at_once(empty_database: str) -> None:
    """One does the work, the others wait for it and find nothing to do; all see the same schema."""
    connections = [await connect(empty_database) for _ in range(10)]
    found = await asyncio.gather(*(migrate(connection) for connection in connections))
    assert {one.is_current for one in found} == {True}
    numbers = await connections[0].fetch("select number from tasker_engine.migrations order by number")
    assert [row["number"] for row in numbers] == [migration.number for migration in sql.migrations()]
    for connection in connections:
        await connection.close()


async def test_a_migration_that_is_cut_leaves_nothing(empty_database: str) -> None:
    """It is one transaction: a process that dies in it has changed nothing, and the next one begins anew."""
    dying, after = await connect(empty_database), await connect(empty_database)
    transaction = dying.transaction()
    await transaction.start()  # type: ignore[attr-defined]
    await migrate(dying)
    dying.terminate()
    assert (await migrate(after)).is_current
    await after.close()


async def test_migrating_again_changes_nothing(engine: Engine) -> None:
    """A current schema is left alone."""
    before = await engine.value("select loaded_at from tasker_engine.functions_loaded")
    await migrate(engine.connection.raw)
    assert await engine.value("select loaded_at from tasker_engine.functions_loaded") == before


async def test_functions_are_replaced_as_a_whole_under_running_workers(engine: Engine) -> None:
    """A newer version's functions come while workers turn and hold locks: nobody waits, nothing is lost."""
    await engine.publish("a -> b")
    task = await engine.submit()
    worker = await engine.session(connection=await engine.connect())
    grants = await worker.claim()
    await engine.connection.execute("update tasker_engine.functions_loaded set digest = 'older'")
    await engine.connection.execute(
        "create or replace function tasker_engine.load(_task_ids uuid[], _numbers int[]) "
        "returns setof tasker_engine.reply language plpgsql stable as 'begin raise exception ''an older version''; end'"
    )
    await engine.connection.execute("set lock_timeout = '1s'")
    async with worker.connection.transaction():
        reply = await worker.succeed(*grants)
        assert (await migrate(engine.connection.raw)).is_current
    await engine.verbs.load(engine.connection, [task], [0])
    await worker.succeed(*reply.grants)
    assert await engine.state(task) == "complete"


async def test_a_schema_of_somebody_else_is_left_alone(empty_database: str) -> None:
    """A schema of that name that Tasker did not make is refused, and unchanged."""
    connection = await connect(empty_database)
    await connection.execute("create schema tasker_engine; create table tasker_engine.precious (id int)")
    with pytest.raises(SchemaOutdated, match="was not made by Tasker"):
        await migrate(connection)
    assert await connection.fetchval("select count(*) from pg_tables where schemaname = 'tasker_engine'") == 1
    await connection.close()


async def test_a_newer_schema_is_left_as_it_is(engine: Engine) -> None:
    """An older program works on what a newer one made where that says so, and does not touch it; else it says what to
    do. The newer one may differ in its tables, or in its functions alone."""
    newer = "update tasker_engine.functions_loaded set digest = 'newer', version = '99.0.0', oldest = $1"
    state = "select digest, loaded_at from tasker_engine.functions_loaded"
    await engine.connection.raw.execute(newer, "0.0.1")
    before = await engine.rows(state)
    for change in ("select 1", "insert into tasker_engine.migrations (number, name) values (9999, 'to come')"):
        await engine.connection.execute(change)
        found = await migrate(engine.connection.raw)
        assert (found.is_current, found.is_newer, found.version) == (True, True, "99.0.0")
        assert await engine.rows(state) == before
    await engine.connection.raw.execute(newer, "98.0.0")
    with pytest.raises(SchemaOutdated, match=r"works with 98\.0\.0 and later.*upgrade Tasker"):
        await migrate(engine.connection.raw)


async def test_who_may_not_change_an_older_schema_is_told(engine: Engine) -> None:
    """A newer program whose user does not own the tables leaves an older schema alone, and says who has to do what."""
    user = f"plain_{uuid4().hex}"
    await engine.connection.execute("update tasker_engine.functions_loaded set digest = 'older'")
    await engine.connection.execute(f"create role {user}; grant usage on schema tasker_engine to {user}")
    await engine.connection.execute(f"grant select on all tables in schema tasker_engine to {user}")
    try:
        await engine.connection.execute(f"set role {user}")
        with pytest.raises(SchemaOutdated, match="`tasker db migrate` as its owner"):
            await migrate(engine.connection.raw)
    finally:
        await engine.connection.execute(f"reset role; drop owned by {user}; drop role {user}")
    assert await engine.value("select digest from tasker_engine.functions_loaded") == "older"


async def test_a_schema_that_is_missing_is_told(empty_database: str) -> None:
    """A verb on an empty database says that it must be migrated."""
    connection = await connect(empty_database)
    with pytest.raises(SchemaOutdated, match="tasker db migrate"):
        await Verbs().submit(connection, Submit("a", "b", None, [], []))
    assert not (await status(connection)).exists
    await connection.close()


async def test_a_server_that_does_not_sync_is_refused(empty_database: str) -> None:
    """What Tasker acknowledges is durable: it does not work on a server that could forget it."""
    connection = await connect(empty_database)

    class Careless:
        """The same connection, to a server that says it runs without fsync."""

        def __getattr__(self, name: str) -> object:
            return getattr(connection, name)

        async def fetchval(self, query: str, *args: object) -> object:
            return "off" if query == "show fsync" else await connection.fetchval(query, *args)

    with pytest.raises(Exception, match="fsync"):
        await migrate(Careless())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert not (await status(connection)).exists
    await connection.close()


async def test_an_older_server_is_refused(empty_database: str) -> None:
    """PostgreSQL 15 is the oldest that is supported."""
    connection = await connect(empty_database)

    class Older:
        """The same connection, to a server that says it is 14."""

        def __getattr__(self, name: str) -> object:
            return getattr(connection, name)

        def get_server_version(self) -> object:
            return type(connection.get_server_version())(14, 9, 0, "final", 0)

    with pytest.raises(SettingsError, match="PostgreSQL 15"):
        await migrate(Older())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await connection.close()


@pytest.mark.parametrize("name", ["", "Tasker", "a-b", 'x"; drop schema public', "x" * 48])
def test_a_schema_has_a_plain_name(name: str) -> None:
    """Names that would have to be quoted are refused, before any SQL is made of them."""
    with pytest.raises(ValueError, match="cannot be the name of a schema"):
        sql.in_schema("select 1", name)


async def test_functions_of_an_older_version_leave_nothing_behind(engine: Engine) -> None:
    """One that answered something else, one with other arguments, one that is gone: after migrating there is only what
    this version has."""
    names = (
        "select p.oid::regprocedure::text, pg_get_function_result(p.oid) from pg_proc p "
        "where pronamespace = $1::regnamespace"
    )
    current = {tuple(row) for row in await engine.connection.raw.fetch(names, "tasker_engine")}
    await engine.connection.execute("update tasker_engine.functions_loaded set digest = 'older'")
    await engine.connection.execute("drop function tasker_engine.hold_tasks(uuid[], boolean)")
    for older in ("hold_tasks(_ids uuid[], _may_wait boolean)", "hold_tasks(_ids uuid[])", "forgotten()"):
        await engine.connection.execute(f"create function tasker_engine.{older} returns int language sql as 'select 1'")
    await migrate(engine.connection.raw)
    assert {tuple(row) for row in await engine.connection.raw.fetch(names, "tasker_engine")} == current
