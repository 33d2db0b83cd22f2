"""Lists by declared fields and by when tasks ended; counts; what handlers there are."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from support.engine import Engine
from support.templates import template

from tasker.model.errors import InvalidInput
from tasker.model.states import TaskState
from tasker.model.task import TaskFilter
from tasker.store.lists import count_tasks, list_handlers, list_namespaces, list_tasks
from tasker.store.reads import Reads
from tasker.templates.comparing import compare_versions

COST = """
select coalesce(sum(seq_tup_read), 0)::int, coalesce(sum(idx_tup_fetch), 0)::int
from pg_stat_xact_user_tables where schemaname = 'tasker_engine' and relname in ('tasks', 'inputs', 'task_fields')
"""


async def publish(engine: Engine, *paths: str, **options: Any) -> None:
    """A template of one step whose tasks are found by these fields."""
    await engine.publish(replace(template("a", **options), search_fields=paths))


async def found(reader: Any, which: TaskFilter, limit: int = 2) -> list[UUID]:
    """All tasks of a list, page by page."""
    tasks: list[UUID] = []
    cursor = None
    while True:
        page = await list_tasks(reader, which, limit=limit, cursor=cursor)
        tasks += [task.task_uuid for task in page.tasks]
        cursor = page.next_cursor
        if cursor is None:
            return tasks


async def test_tasks_are_found_by_declared_fields(engine: Engine, reader: Any) -> None:
    """A field's value finds the tasks whose input has it, whether it is a number, text or a truth value."""
    await publish(engine, "customer.id", "urgent", "items.0.sku")
    inputs: list[dict[str, Any]] = [
        {"customer": {"id": 7}, "urgent": True, "items": [{"sku": "cup"}]},
        {"customer": {"id": "7"}, "urgent": False},
        {"customer": {"id": 7.0, "name": "x"}, "urgent": "true"},
        {"customer": {"id": [7]}},
        {"customer": None},
        {},
    ]
    tasks = await engine.submit_many(contexts=inputs)
    assert await found(reader, TaskFilter(fields={"customer.id": 7})) == tasks[2::-1]
    assert await found(reader, TaskFilter(fields={"customer.id": "7", "urgent": True})) == [tasks[2], tasks[0]]
    assert await found(reader, TaskFilter(fields={"items.0.sku": "cup"})) == tasks[:1]
    assert await found(reader, TaskFilter(fields={"urgent": False}, states=(TaskState.CANCELLED,))) == []
    assert await found(reader, TaskFilter(fields={"customer.id": "7"}, name="flow", tags=("x",))) == []
    assert await engine.count("task_fields") == 7


async def test_only_declared_fields_are_kept_and_asked_for(engine: Engine, reader: Any) -> None:
    """A template that declares nothing keeps nothing; to ask for a path that none declares is an error that names those
    that are."""
    await engine.publish("a", name="plain")
    await engine.submit({"order": 1})
    assert await engine.count("task_fields") == 0
    await publish(engine, "order")
    with pytest.raises(InvalidInput, match=r'search field "customer".*declared are order'):
        await list_tasks(reader, TaskFilter(fields={"customer": 1}))
    with pytest.raises(InvalidInput, match="compared with text, a number or a truth value"):
        await list_tasks(reader, TaskFilter(fields={"order": [1]}))  # type: ignore[dict-item]


async def test_fields_come_with_keys_and_duplicates(engine: Engine, reader: Any) -> None:
    """A task whose key was used before adds no row; a long value is found by its beginning."""
    await publish(engine, "order")
    context = {"order": "x" * 300}
    task = await engine.submit(context, idempotency_key="k")
    assert await engine.submit(context, idempotency_key="k") == task
    assert await engine.count("task_fields") == 1
    assert await found(reader, TaskFilter(fields={"order": "x" * 300})) == [task]


async def test_a_list_by_end_is_in_the_order_of_ends(engine: Engine, reader: Any) -> None:
    """Tasks of a range of ends come by when they ended, page by page, those of one moment each once."""
    await engine.publish("a")
    tasks = await engine.submit_many(7)
    session = await engine.session()
    grants = {grant.task_id: grant for grant in await session.claim()}
    order = random.Random(1).sample(tasks, 7)
    began = engine.clock.now
    for task in order[:3]:
        engine.advance(1)
        await session.succeed(grants[task])
    engine.advance(1)
    await session.succeed(*(grants[task] for task in order[3:6]))
    together = sorted(order[3:6], reverse=True)
    assert await found(reader, TaskFilter(completed_from=began)) == [*together, *order[2::-1]]
    until = TaskFilter(completed_from=began, completed_until=engine.clock.now)
    assert await found(reader, until) == order[2::-1]
    assert await found(reader, replace(until, states=(TaskState.ERROR,))) == []
    page = await list_tasks(reader, limit=2)
    with pytest.raises(InvalidInput, match="not a cursor of this list"):
        await list_tasks(reader, until, cursor=page.next_cursor)


async def test_all_tags_are_wanted(engine: Engine, reader: Any) -> None:
    """Several tags find the tasks that have all of them; several namespaces those of any."""
    for namespace in ("one", "two", "three"):
        await engine.publish("a", name=namespace, namespace=namespace)
    both = await engine.submit(name="one", namespace="one", tags=["red", "blue"])
    red = await engine.submit(name="two", namespace="two", tags=["red"])
    await engine.submit(name="three", namespace="three")
    assert await found(reader, TaskFilter(tags=("red", "blue"))) == [both]
    assert await found(reader, TaskFilter(tag="red")) == [red, both]
    assert await found(reader, TaskFilter(namespaces=("one", "two"))) == [red, both]
    assert await found(reader, TaskFilter(namespaces=("one", "two"), namespace="three")) == []
    assert await found(reader, TaskFilter(namespaces=())) == []


async def test_counts_are_exact_up_to_a_limit(engine: Engine, reader: Any) -> None:
    """Up to the limit tasks are counted; past it the figure is an estimate of at least the limit, and says so."""
    await publish(engine, "n")
    await engine.submit_many(contexts=[{"n": n % 2} for n in range(300)], tags=["many"])
    await engine.connection.raw.execute("analyze")
    for which, right in (
        (TaskFilter(), 300),
        (TaskFilter(fields={"n": 1}), 150),
        (TaskFilter(tag="many"), 300),
        (TaskFilter(name="flow", states=(TaskState.PENDING,)), 300),
        (TaskFilter(completed_from=engine.clock.now), 0),
        (TaskFilter(namespace="nowhere"), 0),
    ):
        counted = await count_tasks(reader, which)
        assert (counted.count, counted.is_exact) == (right, True)
    about = await count_tasks(reader, count_max=100)
    assert not about.is_exact
    assert 250 <= about.count <= 350


async def test_a_page_of_a_field_costs_what_it_shows(engine: Engine, reader: Any) -> None:
    """A list by a field, or by ends, reads along its index, however many tasks there are."""
    await publish(engine, "order", "kind")
    await engine.submit_many(contexts=[{"order": n, "kind": "few" if n % 500 == 0 else "many"} for n in range(5000)])
    session = await engine.session(slots=5000)
    await session.succeed(*await session.claim(4000))
    await engine.connection.raw.execute("analyze")
    for which in (
        TaskFilter(fields={"order": 17}),
        TaskFilter(fields={"kind": "few"}),
        TaskFilter(fields={"kind": "many"}),
        TaskFilter(fields={"kind": "many", "order": 3}),
        TaskFilter(completed_from=datetime.fromtimestamp(0, engine.clock.now.tzinfo)),
    ):
        await reader.execute("select pg_stat_force_next_flush()")
        async with reader.transaction():
            page = await list_tasks(reader, which, limit=10)
            read, fetched = await reader.fetchrow(COST)
        assert page.tasks
        assert (read, fetched <= 1500) == (0, True), f"{which}: {fetched} rows"


async def test_handlers_tell_who_needs_and_who_has_them(engine: Engine, reader: Any) -> None:
    """A handler names the templates whose newest version needs it and the living workers that have it."""
    await engine.publish("a -> b", version="1.0.0")
    await engine.publish("b -> c", version="2.0.0", queue="fast")
    await engine.publish("b", name="other", namespace="aside")
    session = await engine.session(["b"], name="mill", pid=3)
    await engine.submit_many(3, name="flow", version="2.0.0")
    known = {(one.namespace, one.queue, one.handler): one for one in await list_handlers(reader)}
    assert {key: (one.templates, one.sessions, one.ready) for key, one in known.items()} == {
        ("aside", "aside", "b"): (("other@1.0.0",), 1, 0),
        ("tests", "fast", "b"): (("flow@2.0.0",), 1, 3),
        ("tests", "fast", "c"): (("flow@2.0.0",), 0, 0),
        ("tests", "tests", "a"): ((), 0, 0),
        ("tests", "tests", "b"): ((), 1, 0),
    }
    (worker,) = known["tests", "fast", "b"].workers
    assert (worker.name, worker.pid, worker.session_uuid) == ("mill", 3, session.uuid)
    assert [one.queue for one in await list_handlers(reader, namespaces=["tests"], handler="b")] == ["fast", "tests"]
    rows = [(n.namespace, n.templates, n.versions, n.handlers, n.sessions) for n in await list_namespaces(reader)]
    assert rows == [("aside", 1, 1, 1, 1), ("tests", 1, 2, 3, 1)]
    await session.end()
    assert [n.sessions for n in await list_namespaces(reader, namespaces=["aside"])] == [0]


async def test_versions_are_compared(engine: Engine, reads: Reads, reader: Any) -> None:
    """Two versions of a template differ in lines, a line for each change; a version does not differ from itself."""
    await engine.publish("a", version="1.0.0")
    await engine.publish("a", version="1.1.0", max_attempts=5)
    found = await compare_versions(reader, reads, "tests", "flow", "1.0.0")
    assert found.lines == ("steps.a.retry.max_attempts: 3 -> 5",)
    assert (await compare_versions(reader, reads, "tests", "flow", "1.1.0", "1.1.0")).lines == ()
