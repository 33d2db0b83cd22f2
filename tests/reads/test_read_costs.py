"""What hot reads touch where there are many tasks: pages of the database, not milliseconds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import orjson
import pytest
import pytest_asyncio
from support.engine import Engine
from support.templates import template

from tasker.model.states import TaskState
from tasker.model.task import TaskFilter
from tasker.operations.lists import COUNT_MAX, LOOK_MAX
from tasker.store.analytics import analyze_tasks
from tasker.store.confined import Confinement
from tasker.store.lists import count_some, list_tasks
from tasker.store.overviews import TaskQuery, find_task_ids, task_overviews
from tasker.store.reads import Reads
from tasker.store.why import explain_tasks

pytestmark = pytest.mark.own_database

TASKS, PAGE, FEW = 20_000, 26, 60
SOUGHT_MAX, SHOWN_MAX, COUNTED_MAX = 5_000, 3_500, 13_000
"""Buffers (pages of 8 kB) that a read may look at; the same page counts each time that it is looked at. To look at all
tasks, one by one along an index, takes 60,000 and more."""
LARGE = ("tasks", "inputs", "steps", "transitions", "task_fields", "dlq")
FILL = """
with task as (
  select n, tasker_engine.uuid7(at) as id, at, t.template_id, t.namespace_id,
    case when n % 3 = 0 and n % 20 <> 0 then 'pending' when n % 400 = 0 then 'cancelled'
      else 'complete' end::tasker_engine.state as state
  from generate_series(1, $1::int) n
  cross join lateral (select clock_timestamp() - ($1::int - n) * interval '1 second' as at) m
  join tasker_engine.templates t on t.name = case when n % 2 = 0 then 'even' else 'odd' end),
tasked as (
  insert into tasker_engine.tasks
    (task_id, template_id, namespace_id, state, is_checked, open, live, born_at, created_at, finished_at)
  select id, template_id, namespace_id, state, true, case when state = 'complete' then 0 else 2 end, 0, at, at,
    case when state <> 'pending' then at + interval '1 second' end from task),
described as (
  insert into tasker_engine.inputs (task_id, context, bytes, initiator, tags, source_system)
  select id, jsonb_build_object('kind', n % 4), 20, 'user' || n % 300,
    array['every', 'half' || n % 2] || case when n <= $2::int then '{few}'::text[] else '{}' end,
    case when n % 100 = 0 then 'shop' end from task),
found as (
  insert into tasker_engine.task_fields (field_id, value, task_id)
  select f.field_id, (n % 4)::text, id from task cross join tasker_engine.fields f),
stepped as (
  insert into tasker_engine.steps (task_id, number, state, waiting)
  select id, s, case state when 'complete' then 'complete' else 'pending' end::tasker_engine.state,
    case when state = 'complete' then 0 else s - 1 end from task cross join generate_series(1, 2) s)
insert into tasker_engine.transitions (task_id, number, seq, to_state, at)
select id, s, 1, 'pending'::tasker_engine.state, at from task cross join generate_series(0, 2) s
"""
QUERIES: dict[str, TaskQuery] = {
    "no filter": TaskQuery(),
    "a common state": TaskQuery(states=["complete"]),
    "a rare state": TaskQuery(states=["cancelled"]),
    "a state that none has": TaskQuery(states=["error"]),
    "a namespace": TaskQuery(namespaces=["odd"]),
    "a name and a state": TaskQuery(name="odd", states=["pending"]),
    "a version": TaskQuery(version="1.0.0"),
    "a tag of all": TaskQuery(tag="every"),
    "a common tag": TaskQuery(tag="half1"),
    "a rare tag": TaskQuery(tag="few"),
    "a tag that none has": TaskQuery(tag="none"),
    "a rare tag, a common state": TaskQuery(tag="few", states=["complete"]),
    "a common tag, a rare state": TaskQuery(tag="half0", states=["cancelled"]),
    "a tag and a state that never meet": TaskQuery(tag="half1", states=["cancelled"]),
    "a tag that none has, a common state": TaskQuery(tag="none", states=["complete"]),
    "an initiator": TaskQuery(initiator="user7"),
    "an initiator and a state": TaskQuery(initiator="user7", states=["pending"]),
    "a source": TaskQuery(source_system="shop"),
    "a source that none has": TaskQuery(source_system="nobody"),
}
SEARCHES: dict[str, TaskFilter] = {
    "a field": TaskFilter(fields={"kind": 3}),
    "a value that none has": TaskFilter(fields={"kind": 9}),
    "a field and a rare state": TaskFilter(fields={"kind": 0}, states=(TaskState.CANCELLED,)),
    "two tags": TaskFilter(tags=("every", "few")),
}


@pytest_asyncio.fixture(loop_scope="session")
async def crowd(engine: Engine) -> AsyncIterator[Engine]:
    """Many tasks of two namespaces, written straight into the tables, of which no statistics know yet."""
    for name in ("even", "odd"):
        made = template("a -> b", name=name, namespace=name)
        await engine.publish(replace(made, search_fields=("kind",)))
    connection = (await engine.connect(pinned=False)).raw
    await connection.execute(FILL, TASKS, FEW)
    yield engine
    names = ", ".join(f"tasker_engine.{name}" for name in LARGE[:-1])
    await connection.execute(f"truncate {names}")  # no verb wrote them: their history is none


class Measured:
    """A connection that counts the buffers that its queries look at, and the sequential scans of large tables."""

    def __init__(self, raw: Any) -> None:
        self._raw, self.buffers = raw, 0

    async def fetch(self, query: str, *args: Any) -> list[Any]:
        (plan,) = orjson.loads(await self._raw.fetchval(f"explain (analyze, buffers, format json) {query}", *args))
        self.buffers += plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
        return await self._raw.fetch(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        return (await self.fetch(query, *args))[0][0]


class Cost:
    """What one piece of work has looked at."""

    buffers = scans = 0


@asynccontextmanager
async def cost_of(reader: Any, *, confined: bool) -> AsyncIterator[tuple[Any, Cost]]:
    """A connection to ask, and what that costs, which is known at the end."""
    cost, measured = Cost(), Measured(reader)
    await reader.execute("select pg_stat_force_next_flush()")  # what was counted before is no part of it
    held = Confinement().transaction(reader, ["odd"]) if confined else reader.transaction()
    async with held:
        yield measured, cost
        await reader.execute("reset role")
        query = "select sum(seq_scan) from pg_stat_xact_user_tables where relname = any ($1)"
        cost.buffers, cost.scans = measured.buffers, int(await reader.fetchval(query, LARGE))


@pytest.mark.parametrize("is_analyzed", [True, False], ids=["analysed", "not analysed"])
@pytest.mark.parametrize("confined", [False, True], ids=["free", "confined"])
async def test_a_page_is_found_by_what_is_rare(crowd: Engine, reader: Any, confined: bool, is_analyzed: bool) -> None:
    """Whatever a list asks for, together or never met, its page is found without a look at all tasks; what the
    statistics know, and whether they know, does not matter."""
    if is_analyzed:
        await crowd.connection.raw.execute("analyze")
    for name, which in QUERIES.items():
        async with cost_of(reader, confined=confined) as (connection, cost):
            found = await find_task_ids(connection, which, limit=PAGE)
        assert (cost.scans, cost.buffers <= SOUGHT_MAX) == (0, True), f"{name}: {cost.buffers} for {len(found)} tasks"
    for name, which in SEARCHES.items():
        async with cost_of(reader, confined=confined) as (connection, cost):
            await list_tasks(connection, which, limit=PAGE)
        assert (cost.scans, cost.buffers <= SOUGHT_MAX) == (0, True), f"{name}: {cost.buffers}"


@pytest.mark.parametrize("confined", [False, True], ids=["free", "confined"])
async def test_what_a_page_shows_is_read_by_keys(crowd: Engine, reader: Any, reads: Reads, confined: bool) -> None:
    """The tasks of a page, with their figures, cost so many looks a task; what is asked of one task does, too."""
    page = await find_task_ids(crowd.connection.raw, TaskQuery(name="odd"), limit=PAGE)
    asked: dict[str, Any] = {
        "a page": lambda connection: task_overviews(connection, page),
        "one task": lambda connection: reads.task_view(connection, page[0]),
        "its history": lambda connection: reads.history(connection, page[:1]),
        "its summary": lambda connection: reads.summaries(connection, page[:1]),
        "why": lambda connection: explain_tasks(connection, page[:1]),
        "its analysis": lambda connection: analyze_tasks(connection, page[:1]),
        "what waits": lambda connection: reads.channels(connection),
    }
    for name, ask in asked.items():
        async with cost_of(reader, confined=confined) as (connection, cost):
            assert await ask(connection), name
        assert (cost.scans, cost.buffers <= SHOWN_MAX) == (0, True), f"{name}: {cost.buffers}"


@pytest.mark.parametrize("confined", [False, True], ids=["free", "confined"])
async def test_a_count_is_as_true_as_it_says(crowd: Engine, reader: Any, confined: bool) -> None:
    """A count that says that it is exact is what a scan finds; one that is not is no more than that. Neither looks at
    more than its bounds."""
    assert LOOK_MAX < COUNT_MAX < TASKS
    reached = "p.name = 'odd'" if confined else "true"
    truth = """select count(*) filter (where {} and {}) from tasker_engine.tasks
               join tasker_engine.inputs using (task_id) join tasker_engine.templates p using (template_id)"""
    for which, condition in (
        (TaskFilter(), "true"),
        (TaskFilter(states=(TaskState.CANCELLED,)), "state = 'cancelled'"),
        (TaskFilter(tags=("every",)), "true"),
        (TaskFilter(tags=("few",)), "'few' = any (tags)"),
        (TaskFilter(tags=("half1",), states=(TaskState.CANCELLED,)), "'half1' = any (tags) and state = 'cancelled'"),
        (TaskFilter(tags=("half1",), states=(TaskState.PENDING,)), "'half1' = any (tags) and state = 'pending'"),
        (TaskFilter(initiator="user7", name="odd"), "initiator = 'user7' and p.name = 'odd'"),
        (TaskFilter(fields={"kind": 3}, states=(TaskState.PENDING,)), "context ->> 'kind' = '3' and state = 'pending'"),
    ):
        async with cost_of(reader, confined=confined) as (connection, cost):
            found = await count_some(connection, which, count_max=COUNT_MAX, look_max=LOOK_MAX)
        there = await reader.fetchval(truth.format(reached, condition))
        assert found.count == there if found.is_exact else found.count <= there, which
        assert (cost.scans, cost.buffers <= COUNTED_MAX) == (0, True), f"{which}: {cost.buffers}"
