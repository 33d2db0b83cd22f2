"""Where the database's user is nobody special: it owns the schema, and may not make roles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from doors import Door

from tasker.model.errors import TaskNotFound
from tasker.model.ids import uuid7
from tasker.store.confined import ConfinedVerbs, Confinement
from tasker.store.connection import Connection, connect
from tasker.store.migrate import migrate
from tasker.store.overviews import TaskQuery, find_task_ids
from tasker.store.reads_doctor import examine
from tasker.store.verbs import Submit, Verbs
from tasker.templates import load_text
from tasker.templates.publishing import publish


@pytest.fixture
def owner(empty_database: str) -> Iterator[str]:
    """The name of a login that owns the database, and is no more than that."""
    name, database = f"plain_{uuid4().hex[:8]}", urlsplit(empty_database).path.strip("/")
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(f"create role {name} login nosuperuser nocreaterole")
        connection.execute(f'alter database "{database}" owner to {name}')
        try:
            yield name
        finally:
            connection.execute(f"drop owned by {name} cascade")
            connection.execute(f'alter database "{database}" owner to current_user')
            connection.execute(f"drop role {name}")


@pytest.fixture
async def plain(empty_database: str, owner: str) -> AsyncIterator[Connection]:
    """A connection of that login, to a database that it has migrated, with a task of each of two namespaces."""
    parts = urlsplit(empty_database)
    connection = await connect(
        urlunsplit(parts._replace(netloc=f"{owner}@{parts.netloc.rpartition('@')[2]}")), pinned=False
    )
    await migrate(connection)
    for namespace in ("ours", "theirs"):
        text = f"tasker: 1\nnamespace_name: {namespace}\nname: t\nversion: 1.0.0\nsteps: [{{name: a, handler: a}}]"
        await publish(connection, Verbs(), load_text(text).template)
        await Verbs().submit(connection, Submit(namespace, "t", None, [uuid7()], ["{}"]))
    yield connection
    connection.terminate()


def grant(admin: str, owner: str, connection: Connection) -> None:
    """What docs/security.md asks of an administrator."""
    with psycopg.connect(admin, autocommit=True) as by_admin:
        by_admin.execute("do $$ begin create role tasker_api; exception when duplicate_object then null; end $$")
        by_admin.execute(f"grant tasker_api to {owner}")


async def seen(connection: Connection) -> int:
    return await connection.fetchval("select count(*) from tasker_engine.steps")


async def test_without_the_role_the_server_is_the_net(plain: Connection) -> None:
    """It migrates and works; verbs and searches are confined, other reads rest on the operations, and that is told."""
    confinement = Confinement()
    theirs = await plain.fetchval("select task_id from tasker_engine.tasks order by namespace_id desc limit 1")
    async with confinement.transaction(plain, ["ours"]):
        assert len(await find_task_ids(plain, TaskQuery(), limit=10)) == 1
        assert await seen(plain) == 2
    assert confinement.has_role is False
    with pytest.raises(TaskNotFound):
        async with confinement.transaction(plain, ["ours"]):
            await ConfinedVerbs(["ours"]).act(plain, uuid4(), "cancel", theirs, actor="x")
    told = {finding.name: finding for finding in await examine(plain)}["role tasker_api"]
    assert told.is_ok
    assert "docs/security.md" in told.detail
    await Door(plain).make("tasks:read", namespaces=["ours"])
    assert not {finding.name: finding for finding in await examine(plain)}["role tasker_api"].is_ok


async def test_with_the_role_policies_hold_an_owner_too(plain: Connection, owner: str, empty_database: str) -> None:
    """Once an administrator has granted the role, and it was let at the tables, the owner's reads are held by it."""
    grant(empty_database, owner, plain)
    assert await plain.fetchval("select tasker_engine.grant_access()") is True
    confinement = Confinement()
    async with confinement.transaction(plain, ["ours"]):
        assert await seen(plain) == 1
    assert confinement.has_role is True
    assert await seen(plain) == 2
    assert all(finding.is_ok for finding in await examine(plain) if finding.name == "role tasker_api")
