"""Confinement in the database: what a caller of some namespaces does not reach is not there for it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from support.engine import Engine

from tasker.model.errors import ActionForbidden, Forbidden, NotFound, TaskNotFound
from tasker.model.ids import uuid7
from tasker.model.task import TaskFilter
from tasker.model.template import EventDeclaration
from tasker.store.breakers import Breakers
from tasker.store.confined import ConfinedVerbs, Confinement
from tasker.store.connection import Connection
from tasker.store.event_lists import list_events, read_event
from tasker.store.jobs import create_job, drive_job, read_job, stop_job
from tasker.store.overviews import TaskQuery, find_task_ids, task_overviews
from tasker.store.reads import Reads
from tasker.store.reruns import rerun
from tasker.store.verbs import Submit

NOT_READ = {
    *("api_keys", "identities", "grants", "sweeps", "failures", "migrations", "functions_loaded"),
    *("breaker_moves", "breaker_signals", "refusals"),
    *("template_events", "event_subscribers", "event_deliveries"),
    *("transport", "messages", "publisher"),
    *("remote_sessions", "session_notes", "fleet_acts"),
}
"""Tables that confined callers have no business with, whatever the namespace."""
OF_ALL = {"sessions", "fields"}
"""Workers, and the paths of search fields, belong to the installation."""
DEFINERS = {
    *("reached_namespaces", "submit_confined", "act_confined", "publish_confined", "act_on_queue"),
    *("figures_until", "count_open", "failed_between"),
    *(
        "find_task_ids",
        "search_tasks",
        "count_tasks",
        "count_some",
        "count_by_state",
        "expected_runs",
        "add_to_dlq",
        "update_dlq",
        "requeue_dlq",
    ),
    *("create_job", "drive_job", "stop_job", "rerun", "events_end"),
    *("announce_steps", "announce_results"),
    *("list_reached_keys", "issue_api_key", "reissue_api_key", "end_api_key"),
}


@pytest.fixture
async def tenants(engine: Engine) -> dict[str, UUID]:
    """A task of each of two namespaces; a step of each has failed once, and each was acted on."""
    tasks: dict[str, UUID] = {}
    for namespace in ("ours", "theirs"):
        await engine.publish("a -> b", name=f"{namespace}_t", namespace=namespace)
        name = f"{namespace}_t"
        tasks[namespace] = (await engine.submit_many(1, name=name, tags=[namespace], initiator=namespace))[0]
        session = await engine.session()
        await session.retry(*await session.claim(), retry_after_s=3600)
        await engine.verbs.act(engine.connection, uuid4(), "pause", tasks[namespace], actor=namespace)
    return tasks


@pytest.fixture
async def plain(engine: Engine) -> AsyncIterator[Connection]:
    """A connection as the server's reads have it."""
    yield (await engine.connect(pinned=False)).raw


async def tables(connection: Connection) -> list[str]:
    query = (
        "select relname from pg_class where relnamespace = 'tasker_engine'::regnamespace and relkind = 'r' order by 1"
    )
    return [row[0] for row in await connection.fetch(query)]


async def seen(connection: Connection, table: str) -> list[str]:
    return [row[0] for row in await connection.fetch(f"select t::text from tasker_engine.{table} t order by 1")]


async def test_every_table_says_who_may_see_it(plain: Connection) -> None:
    """A table that confined callers may read has a policy; one without is read by nobody, or of no tenant."""
    query = """select relname, relrowsecurity, has_table_privilege('tasker_api', oid, 'select') as is_read,
                 has_table_privilege('tasker_api', oid, 'insert, update, delete, truncate') as is_written,
                 (select count(*) from pg_policy p where p.polrelid = c.oid) as policies
               from pg_class c where relnamespace = 'tasker_engine'::regnamespace and relkind = 'r'"""
    rows = {row["relname"]: row for row in await plain.fetch(query)}
    assert len(rows) > 15
    for name, row in rows.items():
        assert not row["is_written"], name
        if name in NOT_READ:
            assert not row["is_read"], name
        elif name in OF_ALL:
            assert row["is_read"], name
        else:
            said = f"{name}: give it a policy (0022_confinement.sql) and a line in grant_access, or name it in NOT_READ"
            assert (row["is_read"], row["relrowsecurity"], row["policies"]) == (True, True, 1), said


async def test_owners_functions_are_few_and_pin_their_search_path(plain: Connection) -> None:
    """Functions that run with their owner's rights are the ones named here; none can be led to other tables."""
    query = "select proname, proconfig from pg_proc where pronamespace = 'tasker_engine'::regnamespace and prosecdef"
    found = {row["proname"]: row["proconfig"] or [] for row in await plain.fetch(query)}
    assert set(found) == DEFINERS
    assert all("search_path=pg_catalog, pg_temp" in config for config in found.values())


async def test_the_role_is_nobody(plain: Connection) -> None:
    """It cannot log in, owns nothing, and no policy lets it pass."""
    row = await plain.fetchrow(
        "select rolcanlogin, rolsuper, rolbypassrls, rolcreaterole from pg_roles where rolname = 'tasker_api'"
    )
    assert list(row) == [False, False, False, False]


async def test_no_table_shows_a_row_of_another_tenant(plain: Connection, tenants: dict[str, UUID]) -> None:
    """Under confinement every table shows what is ours and nothing of theirs; without it there is more to see."""
    confinement, compared = Confinement(), 0
    for table in await tables(plain):
        if table in NOT_READ | OF_ALL:
            continue
        every = await seen(plain, table)
        async with confinement.transaction(plain, ["ours"]):
            ours = await seen(plain, table)
        async with confinement.transaction(plain, ["theirs"]):
            theirs = await seen(plain, table)
        assert set(ours).isdisjoint(theirs)
        assert sorted(ours + theirs) == every
        assert not any(str(tenants["theirs"]) in row or "theirs" in row for row in ours)
        compared += bool(ours) and bool(theirs)
    assert compared >= 8


@pytest.mark.parametrize(
    "namespaces", [[], ["nobody"], ["ours' or true --"], ["OURS"], ["*"], ["{ours,theirs}"], ["ours,theirs"]]
)
async def test_a_name_that_is_none_reaches_nothing(
    plain: Connection, tenants: dict[str, UUID], namespaces: list[str]
) -> None:
    """No spelling of a name reaches more than the namespace of exactly that name."""
    for table in ("tasks", "inputs", "steps", "transitions", "templates", "namespaces", "acts"):
        async with Confinement().transaction(plain, namespaces):
            assert await seen(plain, table) == []


async def test_the_role_without_the_setting_sees_nothing(plain: Connection, tenants: dict[str, UUID]) -> None:
    """Whoever takes on the role and does not say for whom finds empty tables, and cannot write or act."""
    async with plain.transaction():
        await plain.execute("set local role tasker_api")
        assert await seen(plain, "tasks") == []
        assert await find_task_ids(plain, TaskQuery(), limit=10) == []
        with pytest.raises(TaskNotFound):
            await ConfinedVerbs(["ours"]).act(plain, uuid4(), "cancel", tenants["ours"], actor="x")


FORBIDDEN = """
    update tasker_engine.tasks set state = 'cancelled'
    delete from tasker_engine.tasks
    truncate tasker_engine.steps
    insert into tasker_engine.namespaces (name) values ('x')
    create table tasker_engine.mine (x int)
    alter table tasker_engine.tasks disable row level security
    select * from tasker_engine.api_keys
    select * from tasker_engine.identities
    select tasker_engine.sweep()
    select tasker_engine.publish('n', 'n', '1', 'd', '{}', 'always_unique', '[]')
"""


@pytest.mark.parametrize("statement", [line.strip() for line in FORBIDDEN.strip().splitlines()])
async def test_the_role_may_nothing_but_read(plain: Connection, tenants: dict[str, UUID], statement: str) -> None:
    """Writing, the engine's own verbs and other tables are out of reach."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with Confinement().transaction(plain, ["ours", "theirs"]):
            await plain.execute(statement)


async def test_a_transactions_end_ends_confinement(plain: Connection, tenants: dict[str, UUID]) -> None:
    """After commit and after an error the connection is whose it was, and sees all again."""
    for fails in (False, True):
        try:
            async with Confinement().transaction(plain, ["ours"]):
                assert len(await seen(plain, "tasks")) == 1
                if fails:
                    await plain.execute("select 1 / 0")
        except asyncpg.DivisionByZeroError:
            pass
        assert len(await seen(plain, "tasks")) == 2
        assert await plain.fetchval("select current_user = session_user")


async def test_reads_find_what_is_ours_alone(plain: Connection, tenants: dict[str, UUID]) -> None:
    """Every read that is asked for both tasks answers for ours; every list and search leaves theirs out."""
    reads, both = Reads(), list(tenants.values())
    async with Confinement().transaction(plain, ["ours"]):
        assert [task.task_uuid for task in await reads.tasks(plain, both)] == [tenants["ours"]]
        views = await reads.task_views(plain, both)
        assert [(view.task_uuid, len(view.steps)) for view in views] == [(tenants["ours"], 2)]
        for read in (reads.steps, reads.history, reads.readiness, reads.execution_contexts, reads.summaries):
            found: list[Any] = await read(plain, both)
            assert found
            assert "theirs" not in repr(found)
            assert str(tenants["theirs"]) not in repr(found)
        assert set(await reads.levels(plain, both)) <= {tenants["ours"]}
        assert [one.namespace for one in await reads.templates(plain)] == ["ours"]
        for query in (
            TaskQuery(),
            TaskQuery(namespaces=["ours", "theirs"]),
            TaskQuery(states=["waiting_for_retry", "complete"]),
            TaskQuery(version="1.0.0"),
            TaskQuery(tag="ours"),
            TaskQuery(initiator="ours"),
        ):
            assert await find_task_ids(plain, query, limit=10) == [tenants["ours"]]
        for query in (
            TaskQuery(tag="theirs"),
            TaskQuery(initiator="theirs"),
            TaskQuery(name="theirs_t"),
            TaskQuery(namespaces=["theirs"]),
        ):
            assert await find_task_ids(plain, query, limit=10) == []
        assert [one.task.task_uuid for one in await task_overviews(plain, both)] == [tenants["ours"]]
        assert all(channel.namespace == "ours" for channel in (await reads.stats(plain)).channels)
    assert len(await find_task_ids(plain, TaskQuery(), limit=10)) == 2


async def test_acts_reach_our_tasks_alone(plain: Connection, tenants: dict[str, UUID]) -> None:
    """A task of another namespace is not found, whatever is done to it; ours is acted on, and the act is recorded."""
    verbs = ConfinedVerbs(["ours"])
    for action in ("cancel", "pause", "resume", "retry", "resolve", "complete"):
        with pytest.raises(TaskNotFound):
            async with Confinement().transaction(plain, ["ours"]):
                await verbs.act(plain, uuid4(), action, tenants["theirs"], number=1, actor="x")
    async with Confinement().transaction(plain, ["ours"]):
        answer = await verbs.act(plain, uuid4(), "cancel", tenants["ours"], actor="ann")
    assert answer["task_state"] == "cancelled"
    assert await plain.fetchval("select count(*) from tasker_engine.acts where actor = 'ann'") == 1


async def test_an_act_of_another_tenant_is_not_repeated_for_us(plain: Connection, tenants: dict[str, UUID]) -> None:
    """Whoever guesses the id of somebody's act is not told what it answered."""
    act_id = await plain.fetchval("select act_id from tasker_engine.acts where actor = 'theirs'")
    with pytest.raises(ActionForbidden, match="another task"):
        async with Confinement().transaction(plain, ["ours"]):
            await ConfinedVerbs(["ours"]).act(plain, act_id, "resume", tenants["ours"], actor="x")


async def test_a_job_reaches_our_tasks_alone(plain: Connection, tenants: dict[str, UUID]) -> None:
    """An action on many tasks is for those of our namespaces, whoever drives it; theirs are out of reach."""
    for which in (
        TaskFilter(tags=("theirs",)),
        TaskFilter(version="1.0.0"),
        TaskFilter(namespace="theirs", version="1.0.0"),
    ):
        async with Confinement().transaction(plain, ["ours"]):
            job = await create_job(plain, uuid7(), "cancel", which, actor="ann")
        await drive_job(plain, job)
        assert (await states(plain))["theirs"] == "waiting_for_retry"
    assert (await states(plain))["ours"] == "cancelled"
    theirs = await create_job(plain, uuid7(), "cancel", TaskFilter(namespace="theirs", version="1.0.0"), actor="root")
    for act in (
        lambda: drive_job(plain, theirs),
        lambda: stop_job(plain, theirs, actor="x"),
        lambda: read_job(plain, theirs),
    ):
        with pytest.raises(NotFound):
            async with Confinement().transaction(plain, ["ours"]):
                await act()
    assert (await states(plain))["theirs"] == "waiting_for_retry"


async def states(connection: Connection) -> dict[str, str]:
    """The state of the task of each namespace."""
    query = (
        "select n.name, t.state::text from tasker_engine.tasks t join tasker_engine.namespaces n using (namespace_id)"
    )
    return {row[0]: row[1] for row in await connection.fetch(query)}


async def test_our_tasks_alone_are_run_again(plain: Connection, tenants: dict[str, UUID]) -> None:
    """A rerun of a task of another namespace finds no task."""
    with pytest.raises(TaskNotFound):
        async with Confinement().transaction(plain, ["ours"]):
            await rerun(plain, uuid7(), tenants["theirs"], 1, actor="x")


async def test_tasks_are_created_in_our_namespaces_alone(plain: Connection, tenants: dict[str, UUID]) -> None:
    """Submit for another namespace is refused before it finds out whether there is such a template."""
    verbs = ConfinedVerbs(["ours", "more"])
    made = await verbs.submit(plain, Submit("ours", "ours_t", None, [uuid7()], ["{}"]))
    assert len(made) == 1
    for name in ("theirs_t", "no such template"):
        with pytest.raises(Forbidden, match="theirs"):
            await verbs.submit(plain, Submit("theirs", name, None, [uuid7()], ["{}"]))
    with pytest.raises(Forbidden):
        await ConfinedVerbs([]).submit(plain, Submit("ours", "ours_t", None, [uuid7()], ["{}"]))


async def test_templates_are_published_in_our_namespaces_alone(plain: Connection, tenants: dict[str, UUID]) -> None:
    """Publishing elsewhere is refused, and stores nothing."""
    verbs = ConfinedVerbs(["ours", "fresh"])
    steps = json.dumps([{
        "number": 1, "name": "a", "queue": "q", "handler": "h", "parents": [], "children": [], "is_retryable": True,
        "max_attempts": 1, "backoff": "none", "backoff_base_s": 1, "backoff_max_s": 1, "jitter": 0,
    }])  # fmt: skip
    with pytest.raises(Forbidden):
        async with Confinement().transaction(plain, ["ours", "fresh"]):
            await verbs.publish(plain, "theirs", "t", "1.0.0", "d", "{}", "always_unique", steps)
    async with Confinement().transaction(plain, ["ours", "fresh"]):
        _, is_new = await verbs.publish(plain, "fresh", "t", "1.0.0", "d", "{}", "always_unique", steps)
    assert is_new
    assert [one.namespace for one in await Reads().templates(plain, name="t")] == ["fresh"]


async def test_without_the_role_the_verbs_still_ask(plain: Connection, tenants: dict[str, UUID]) -> None:
    """Where no such role can be had, acts and new tasks are confined all the same."""
    confinement = Confinement()
    confinement.has_role = False
    with pytest.raises(TaskNotFound):
        async with confinement.transaction(plain, ["ours"]):
            await ConfinedVerbs(["ours"]).act(plain, uuid4(), "cancel", tenants["theirs"], actor="x")
    async with confinement.transaction(plain, ["ours"]):
        assert await find_task_ids(plain, TaskQuery(), limit=10) == [tenants["ours"]]


async def test_the_engine_is_not_held(engine: Engine, tenants: dict[str, UUID]) -> None:
    """Workers and owners see and do all: their plans have no policy in them."""
    explained = await engine.connection.fetch("explain select * from tasker_engine.tasks where template_id = 1")
    plan = "\n".join(row[0] for row in explained)
    assert "is_confined" not in plan
    assert "InitPlan" not in plan


async def test_breakers_of_what_we_use_are_seen(engine: Engine, plain: Connection) -> None:
    """A breaker belongs to those whose steps depend on its system; names of other tenants' systems are not told."""
    for namespace in ("ours", "theirs"):
        await engine.publish("a", name=f"{namespace}_shared", namespace=namespace, system_dependency="shared")
        await engine.publish("a", name=f"{namespace}_own", namespace=namespace, system_dependency=f"{namespace} only")
    async with Confinement().transaction(plain, ["ours"]):
        assert [one.name for one in await Breakers().list(plain)] == ["ours only", "shared"]
    assert [one.name for one in await Breakers().list(plain)] == ["ours only", "shared", "theirs only"]


async def test_events_of_our_templates_are_seen(engine: Engine, plain: Connection) -> None:
    """The outbox shows what our steps tell; others' events are not listed, not found by their ids, and not counted."""
    for namespace in ("ours", "theirs"):
        told = (EventDeclaration(name=f"{namespace}.done"),)
        await engine.publish("a", name=namespace, namespace=namespace, publishes_events=told)
        await engine.submit_many(1, name=namespace)
        session = await engine.session()
        await session.succeed(*await session.claim())
    every = await list_events(plain, statuses=["recorded"])
    assert [one.name for one in every] == ["ours.done", "theirs.done"]
    async with Confinement().transaction(plain, ["ours"]):
        for newest_first in (False, True):
            found = await list_events(plain, statuses=["recorded"], newest_first=newest_first)
            assert [one.name for one in found] == ["ours.done"]
        assert (await read_event(plain, every[0].event_id)).name == "ours.done"
        with pytest.raises(NotFound):
            await read_event(plain, every[1].event_id)
