"""Lists of tasks: filters, pages, and what they cost."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from support.engine import Engine

from tasker.model.errors import InvalidInput
from tasker.model.ids import uuid7
from tasker.model.states import TaskState
from tasker.model.task import TaskFilter, TaskInfo
from tasker.store.reads import Reads

pytestmark = pytest.mark.own_database

TASKS = 5_000
ROWS_PER_TASK_MAX = 20
"""Rows that a page may touch for each task that it shows; the planner's own looks at the ends of indexes count too."""
COST = """
select sum(coalesce(seq_tup_read, 0)), sum(coalesce(idx_tup_fetch, 0)), sum(coalesce(seq_scan, 0))
from pg_stat_xact_user_tables
where schemaname = 'tasker_engine' and relname in ('tasks', 'inputs', 'steps', 'transitions')
"""


async def pages(reads: Reads, reader: Any, which: TaskFilter | None = None, limit: int = 3) -> list[TaskInfo]:
    """All tasks of a list, page by page."""
    found: list[TaskInfo] = []
    cursor: str | None = None
    while True:
        page = await reads.task_page(reader, which, limit=limit, cursor=cursor)
        assert len(page.tasks) <= limit
        found += page.tasks
        cursor = page.next_cursor
        if cursor is None:
            return found


async def test_pages_show_each_task_once_newest_first(engine: Engine, reads: Reads, reader: Any) -> None:
    """Page after page shows every task once, the newest first, whatever comes in meanwhile."""
    await engine.publish("a")
    tasks: list[UUID] = []
    for _ in range(11):
        engine.advance(1)
        tasks.append(await engine.submit())
    assert [task.task_uuid for task in await pages(reads, reader)] == tasks[::-1]
    page = await reads.task_page(reader, limit=4)
    engine.advance(1)
    await engine.submit()
    rest = await reads.task_page(reader, limit=100, cursor=page.next_cursor)
    assert [task.task_uuid for task in (*page.tasks, *rest.tasks)] == tasks[::-1]


async def test_a_task_in_a_list_is_the_task(engine: Engine, reads: Reads, reader: Any) -> None:
    """What a list says of a task is what the task says of itself, but for its context and its start."""
    await engine.publish("a -> b")
    task = await engine.submit({"x": 1}, priority=-1, initiator="me", tags=["t"], correlation_id=str(uuid4()))
    (listed,) = (await reads.task_page(reader)).tasks
    (read,) = await reads.tasks(reader, [task])
    assert listed.task_uuid == task
    for field in TaskInfo.__slots__:
        if field not in ("context", "started_at"):
            assert getattr(listed, field) == getattr(read, field)


async def world(engine: Engine, seed: int) -> None:
    """Tasks of several templates, states, tags and times."""
    chance = random.Random(seed)
    for namespace, name, version in (
        ("one", "x", "1.0.0"),
        ("one", "x", "1.1.0"),
        ("one", "y", "1.0.0"),
        ("two", "x", "1.0.0"),
    ):
        await engine.publish("a -> b", namespace=namespace, name=name, version=version)
    session = await engine.session()
    groups = [uuid4() for _ in range(3)]
    for _ in range(60):
        engine.advance(chance.randint(1, 4000))
        namespace, name = chance.choice([("one", "x"), ("one", "y"), ("two", "x")])
        options: dict[str, Any] = {"tags": chance.sample(["red", "blue", "green"], chance.randint(0, 2))}
        if chance.random() < 0.5:
            options["initiator"] = chance.choice(["ada", "bob"])
        if chance.random() < 0.5:
            options["correlation_id"] = str(chance.choice(groups))
        version = chance.choice([None, "1.0.0"])
        task = await engine.submit(name=name, namespace=namespace, version=version, **options)
        if chance.random() < 0.3:
            await engine.act("cancel", task)
        elif chance.random() < 0.5:
            await session.succeed(*await session.claim(1), room=0)


@pytest.mark.parametrize("seed", range(2))
async def test_filters_show_what_fits_and_nothing_else(engine: Engine, reads: Reads, reader: Any, seed: int) -> None:
    """A list with any filters is the list without them, less the tasks that do not fit."""
    await world(engine, seed)
    every = await pages(reads, reader, limit=50)
    assert len(every) == 60
    chance = random.Random(seed)
    for _ in range(60):
        some = chance.choice(every)
        wishes: dict[str, Any] = {
            "states": tuple(chance.sample([TaskState.PENDING, TaskState.CANCELLED, TaskState.STEPS_IN_PROCESS], 2)),
            "namespace": some.namespace,
            "name": some.name,
            "version": some.version,
            "tag": chance.choice([*some.tags, "red"]),
            "correlation_id": some.correlation_id,
            "initiator": some.initiator,
            "created_from": chance.choice(every).created_at,
            "created_until": chance.choice(every).created_at,
        }
        which = TaskFilter(**{key: wishes[key] for key in chance.sample(sorted(wishes), chance.randint(1, 4))})
        assert await pages(reads, reader, which, limit=7) == [task for task in every if fits(task, which)]


def fits(task: TaskInfo, which: TaskFilter) -> bool:
    """Whether a filter lets a task through."""
    equal = all(
        getattr(which, field) in (None, getattr(task, field))
        for field in ("namespace", "name", "version", "correlation_id", "initiator")
    )
    return (
        equal
        and (which.states is None or task.status in which.states)
        and (which.tag is None or which.tag in task.tags)
        and (which.created_from is None or task.created_at >= which.created_from)
        and (which.created_until is None or task.created_at < which.created_until)
    )


async def test_wrong_pages_are_refused(reads: Reads, reader: Any) -> None:
    """A page too large or too small, and a cursor that is none, are refused with what is right."""
    for limit in (0, 501):
        with pytest.raises(InvalidInput, match="1 to 500"):
            await reads.task_page(reader, limit=limit)
    for cursor in ("", "x", "MQ", "é", str(uuid7())):
        with pytest.raises(InvalidInput, match="next_cursor"):
            await reads.task_page(reader, cursor=cursor)


FILTERS = {
    "no filter": TaskFilter(),
    "a common state": TaskFilter(states=(TaskState.PENDING,)),
    "a rare state": TaskFilter(states=(TaskState.CANCELLED,)),
    "states": TaskFilter(states=(TaskState.PENDING, TaskState.CANCELLED, TaskState.ERROR)),
    "a namespace": TaskFilter(namespace="rare"),
    "a name": TaskFilter(name="common"),
    "a name and a rare state": TaskFilter(name="common", states=(TaskState.CANCELLED,)),
    "a version": TaskFilter(version="1.0.0"),
    "a common tag": TaskFilter(tag="many"),
    "a rare tag": TaskFilter(tag="few"),
    "a tag that is not": TaskFilter(tag="none"),
    "a correlation": TaskFilter(correlation_id=UUID(int=5)),
    "a common initiator": TaskFilter(initiator="everybody"),
    "a rare initiator": TaskFilter(initiator="somebody"),
    "nobody": TaskFilter(initiator="nobody", namespace="rare"),
}


@pytest_asyncio.fixture(loop_scope="session")
async def crowd(engine: Engine) -> Engine:
    """Many tasks of one kind; the few of another kind are the oldest, where a search along all would end last."""
    await engine.publish("a", name="odd", namespace="rare")
    few = await engine.submit_many(10, tags=["few"], initiator="somebody", correlation_id=str(UUID(int=5)))
    for task in few[:5]:
        await engine.act("cancel", task)
    await engine.publish("a", name="common", namespace="many")
    for _ in range(5):
        engine.advance(60)
        await engine.submit_many(TASKS // 5, tags=["many"], initiator="everybody")
    return engine


@pytest.mark.parametrize("is_analyzed", [True, False])
async def test_a_page_costs_what_it_shows(crowd: Engine, reads: Reads, reader: Any, is_analyzed: bool) -> None:
    """No filter makes a list read the tables, or an index, from end to end. (Whether a tag or an initiator is rare, the
    server knows once it has analysed the table; the other filters need no luck.)"""
    if is_analyzed:
        await crowd.connection.raw.execute("analyze")
    for name, which in FILTERS.items():
        if not is_analyzed and (which.tag or which.initiator):
            continue
        await reader.execute("select pg_stat_force_next_flush()")  # what was counted before is no part of it
        async with reader.transaction():
            page = await reads.task_page(reader, which, limit=20)
            read, fetched, scans = await reader.fetchrow(COST)
        assert scans == 0, f"{name}: {read} rows were read in sequence"
        assert fetched <= ROWS_PER_TASK_MAX * 20, f"{name}: {fetched} rows for {len(page.tasks)} tasks"


async def test_a_range_of_time_is_a_range_of_ids(crowd: Engine, reads: Reads, reader: Any) -> None:
    """A list of a time touches nothing of other times, whichever way they lie."""
    crowd.advance(40 * 86_400)
    late = await crowd.submit(name="common", namespace="many")
    for which, expected in (
        (TaskFilter(created_from=crowd.clock.now), [late]),
        (TaskFilter(created_until=crowd.clock.now - timedelta(days=50)), []),
        (TaskFilter(created_until=crowd.clock.now, created_from=crowd.clock.now - timedelta(days=10)), []),
    ):
        await reader.execute("select pg_stat_force_next_flush()")
        async with reader.transaction():
            found = (await reads.task_page(reader, which)).tasks
            _, fetched, scans = await reader.fetchrow(COST)
        assert ([task.task_uuid for task in found], scans) == (expected, 0)
        assert fetched < 20
