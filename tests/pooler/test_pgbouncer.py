"""Tasker behind a real PgBouncer in transaction mode: what a connection cannot keep there, it does without."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from support.pooler import Pooler
from support.serving import served
from support.until import until

from tasker import Settings, Tasker, step_handler
from tasker.model.errors import DatabaseUnavailable, SettingsError
from tasker.model.template import HandlerRef, Step, Template
from tasker.remote.worker import RemoteWorker
from tasker.store.connection import PLAN_SETTINGS, Connection, connect, create_pool, describe_road
from tasker.store.roads import road_to

TEMPLATE = Template(
    namespace="pooled",
    name="chain",
    version="1.0.0",
    steps=(
        Step(name="first", handler=HandlerRef(callable="first")),
        Step(name="second", handler=HandlerRef(callable="second"), dependencies=("first",)),
    ),
)
NEVER_S = 3600.0
QUICK = {"beat_s": 0.2, "sweep_s": 0.1}
IGNORE = "ignore_startup_parameters = " + ",".join(
    [*PLAN_SETTINGS, "search_path", "default_transaction_isolation", "tasker.startup"]
)


@step_handler("first")
async def first(context: Any) -> dict[str, int]:
    """The first half."""
    return {"n": 1}


@step_handler("second")
async def second(context: Any) -> dict[str, int]:
    """The other half."""
    return {"n": 2}


@pytest.fixture(params=["", IGNORE], ids=["refuses", "ignores"])
def pooler(database: str, request: pytest.FixtureRequest) -> Iterator[Pooler]:
    """A pooler that refuses what a connection begins with, or ignores it."""
    made = Pooler(database, getattr(request, "param", ""))
    made.start()
    yield made
    made.remove()


only_refusing = pytest.mark.parametrize("pooler", [""], ids=["refuses"], indirect=True)


async def run_tasks(tasker: Tasker, count: int) -> None:
    """Submits tasks, and sees all of them complete."""
    made = await tasker.submit_many("chain", [{} for _ in range(count)], namespace="pooled")
    async with asyncio.timeout(60):
        views = [await tasker.wait(one.task_uuid) for one in made]
    assert [view.status for view in views] == ["complete"] * count


async def test_all_of_it_works_and_every_statement_has_its_settings(pooler: Pooler, database: str) -> None:
    """Workers, submits and waits through a pooler that is found out by asking; verbs are planned as ever, and nothing
    is left behind in the server's connections."""
    async with Tasker(pooler.dsn, templates=[TEMPLATE], handlers=[first, second], settings=Settings(**QUICK)) as tasker:
        assert road_to(pooler.dsn).is_pooled
        client = Tasker(pooler.dsn, worker=False, settings=Settings(**QUICK))
        async with client:
            await asyncio.gather(*(run_tasks(one, 20) for one in (tasker, client)))
            assert (await client.stats()) is not None
    pinned = await connect(pooler.dsn)
    asked = " || ".join(f"current_setting('{name}')" for name in PLAN_SETTINGS)
    plain = await connect(database)
    assert await pinned.fetchval(f"select {asked}") == await plain.fetchval(f"select {asked}")
    # The same for a single call, where the settings are a condition of the statement.
    call = "select * from pg_catalog.current_setting($1::text)"
    assert await pinned.fetchval(call, "enable_seqscan") == "off"
    assert await pinned.fetchval(call, "plan_cache_mode") == "force_generic_plan"
    assert await _settings_left(pooler) == {("on", "auto", 0)}
    await pinned.close()
    await plain.close()


async def _settings_left(pooler: Pooler) -> set[Any]:
    """What other clients of the pooler find in the server's connections."""
    pool: Any = await create_pool(pooler.dsn, pinned=True, size=3)
    query = (
        "select current_setting('enable_seqscan'), current_setting('plan_cache_mode'),"
        " (select count(*)::int from pg_prepared_statements)"
    )
    found: set[Any] = set()
    for _ in range(6):
        async with pool._raw.acquire() as raw:
            found.add(tuple(await raw.fetchrow(query)))
    await pool.close()
    return found


@only_refusing
async def test_wake_ups_come_past_the_pooler(pooler: Pooler, database: str) -> None:
    """A worker that polls once an hour is woken through the DSN for LISTEN, also after that connection was cut."""
    settings = Settings(**QUICK, poll_s=NEVER_S, database_listen_url=database)
    worker = Tasker(pooler.dsn, templates=[TEMPLATE], handlers=[first, second], settings=settings)
    async with worker, Tasker(pooler.dsn, worker=False, settings=settings) as client:
        await run_tasks(client, 2)
        admin = await connect(database)
        ears = "from pg_catalog.pg_stat_activity where application_name = 'tasker listener'"
        cut = await admin.fetchval(
            f"select count(pg_catalog.pg_terminate_backend(pid)) {ears} and datname = current_database()"
        )
        assert cut == 1

        async def listens_again() -> bool:
            return await admin.fetchval(
                f"select count(*) = 1 {ears} and query like 'LISTEN%' and datname = current_database()"
            )

        await until(listens_again, "the worker listens again")
        await run_tasks(client, 2)
        await admin.close()


@only_refusing
async def test_a_pooler_that_begins_again_costs_nothing_but_time(pooler: Pooler) -> None:
    """The pooler dies with steps under way and comes back: every task completes."""
    async with Tasker(pooler.dsn, templates=[TEMPLATE], handlers=[first, second], settings=Settings(**QUICK)) as tasker:
        await run_tasks(tasker, 5)
        made = await tasker.submit_many("chain", [{} for _ in range(200)], namespace="pooled")
        pooler.kill()
        pooler.start()

        async def are_complete() -> bool:
            try:
                return {(await tasker.get(one.task_uuid)).status for one in made} == {"complete"}
            except DatabaseUnavailable:
                return False

        await until(are_complete, "all are complete", within_s=60)
        await run_tasks(tasker, 5)


@pytest.mark.slow
@only_refusing
async def test_servers_and_commands_work_through_it(pooler: Pooler) -> None:
    """A server with workers of the gateway, and the command line, whose doctor says what does not arrive."""
    async with Tasker(pooler.dsn, templates=[TEMPLATE], worker=False) as client:
        with served(lambda: Tasker(pooler.dsn, worker=False).asgi()) as server:
            async with RemoteWorker(server.url, handlers=[first, second], settings=Settings(**QUICK)):
                await run_tasks(client, 3)
            async with httpx2.AsyncClient() as http:
                listed = (await http.get(f"{server.url}/v1/tasks")).json()
            assert len(listed["tasks"]) == 3
    command = [sys.executable, "-m", "tasker", "db", "doctor", "--json", "--database-url", pooler.dsn]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, env={**os.environ, "TASKER_SCHEMA": "tasker_engine"}
    )
    assert "TASKER_DATABASE_LISTEN_URL" in json.dumps(json.loads(done.stdout)), done.stdout + done.stderr


@only_refusing
async def test_a_way_past_the_pooler_that_is_none_is_refused(pooler: Pooler, database: str) -> None:
    """A DSN for LISTEN that leads to a pooler too is an error at the start, as is another isolation of the database."""
    with pytest.raises(SettingsError, match="leads to a pooler"):
        await Tasker(pooler.dsn, worker=False, settings=Settings(database_listen_url=pooler.dsn)).start()
    admin: Connection = await connect(database)
    name = await admin.fetchval("select pg_catalog.current_database()")
    await admin.execute(f"alter database \"{name}\" set default_transaction_isolation = 'serializable'")
    await admin.close()
    fresh = Pooler(database)
    fresh.start()
    try:
        with pytest.raises(SettingsError, match="READ COMMITTED"):
            await connect(fresh.dsn)
    finally:
        fresh.remove()


async def test_a_pooler_that_cannot_be_found_out_is_named(database: str) -> None:
    """With `database_pooler` on, no statement is prepared, whatever the other side accepts."""
    await describe_road(database, "on", None)
    connection = await connect(database)
    await connection.fetchval("select $1::int", 1)
    assert await connection.fetchval("select count(*) from pg_catalog.pg_prepared_statements") == 0
    await connection.close()
