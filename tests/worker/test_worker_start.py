"""What a process refuses to start with, and what it learns while it runs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.templates import template
from support.until import until
from worker_support import Sql, Start

from tasker import StepContext, Tasker, depends_on
from tasker.model.errors import DatabaseUnavailable, HandlerNotFound, InvalidHandler

pytestmark = pytest.mark.any_postgres


async def _nothing() -> None:
    return None


async def test_a_missing_handler_is_refused_before_anything_runs(start: Start, sql: Sql) -> None:
    """A template that names handlers which the process lacks stops it at start, and every one of them is named."""
    with pytest.raises(HandlerNotFound) as raised:
        await start("a -> b -> c", {"a": _nothing})
    assert '"b" (step b), "c" (step c)' in str(raised.value)
    assert "It has: a" in str(raised.value)
    assert await sql.value("select count(*) from tasker_engine.templates") == 0
    assert await sql.sessions() == []


async def test_handlers_of_other_queues_need_not_be_here(start: Start) -> None:
    """A worker of some queues needs the handlers of those queues only."""
    graph = template("a -> b", a={"queue": "here"}, b={"queue": "there"})
    tasker = await start(graph, {"a": _nothing}, queues=["here"])
    other = await start(graph, {"b": _nothing}, queues=["there"])
    task = await tasker.submit("flow", namespace="tests")
    assert (await other.wait(task.task_uuid, 60)).status == "complete"
    with pytest.raises(HandlerNotFound, match='"a"'):
        await start(graph, {"b": _nothing}, queues=["here"])


@depends_on(cart="validate_crat")
async def _reads_wrongly(cart: dict[str, Any]) -> None:
    return None


@depends_on(cart="validate_cart")
async def _reads_rightly(cart: dict[str, Any]) -> None:
    return None


@depends_on(cart="elsewhere")
async def _reads_perhaps(cart: dict[str, Any] | None = None) -> bool:
    return cart is None


async def test_a_dependency_that_is_not_before_the_step_is_refused(start: Start) -> None:
    """@depends_on with a name that no step before it has stops the process at start, with the nearest right name."""
    graph = "validate_cart -> pay; ship"
    handlers = {"validate_cart": _nothing, "pay": _reads_wrongly, "ship": _nothing}
    with pytest.raises(InvalidHandler) as raised:
        await start(graph, handlers)
    message = str(raised.value)
    assert "tests/flow@1.0.0" in message
    assert "step pay" in message
    assert 'did you mean "validate_cart"' in message


async def test_a_dependency_on_a_step_that_is_no_ancestor_is_refused(start: Start) -> None:
    """A step of the same template that does not come before it has no result yet: that is refused too."""
    handlers = {"validate_cart": _nothing, "pay": _reads_rightly}
    with pytest.raises(InvalidHandler, match="does not come before"):
        await start("validate_cart; pay", handlers)


async def test_a_dependency_with_a_default_may_be_absent(start: Start) -> None:
    """A handler that several templates share may ask for what only some of them have, if it can do without."""
    tasker = await start("a", {"a": _reads_perhaps})
    task = await tasker.submit("flow", namespace="tests")
    assert (await tasker.wait(task.task_uuid, 60)).results["a"] == {"result": True}


async def test_templates_published_by_others_are_served(start: Start) -> None:
    """A worker serves templates that another process publishes while it runs, as far as it has the handlers."""
    tasker = await start("a", {"a": _nothing, "b": _nothing})
    other = await start(template("b", name="later"), worker=False)
    task = await other.submit("later", namespace="tests")
    assert (await other.wait(task.task_uuid, 60)).status == "complete"
    assert tasker.settings.poll_s < 1


async def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    """Where there is no server the error names the DSN and what to do, and never the password."""
    tasker = Tasker("postgresql://someone:secret@127.0.0.1:1/nowhere", handlers=[])
    with pytest.raises(DatabaseUnavailable) as raised:
        await tasker.start()
    assert "127.0.0.1:1" in str(raised.value)
    assert "secret" not in str(raised.value)


async def test_a_client_runs_nothing(start: Start, sql: Sql) -> None:
    """With worker=False a Tasker submits and waits, and opens no session."""
    client = await start("a", {"a": _nothing}, worker=False)
    task = await client.submit("flow", namespace="tests")
    assert await sql.sessions() == []
    assert await sql.state(task.task_uuid) == "enqueued"
    await start("a", {"a": _nothing})
    assert (await client.wait(task.task_uuid, 60)).status == "complete"


async def test_workers_with_different_handlers_block_nobody(start: Start, sql: Sql) -> None:
    """Steps that no living worker can run wait, and the others go on."""
    client = await start("a; b", worker=False)
    tasks = await client.submit_many("flow", [{}] * 20, namespace="tests")
    await start(None, {"a": _nothing})
    for task in tasks:
        await until(lambda task=task: _is(sql, task.task_uuid, 1, "complete"), "step a is complete")
        assert await sql.state(task.task_uuid, 2) == "enqueued"
    await start(None, {"b": _nothing})
    for task in tasks:
        assert (await client.wait(task.task_uuid, 60)).status == "complete"


async def _is(sql: Sql, task_uuid: Any, number: int, state: str) -> bool:
    return await sql.state(task_uuid, number) == state


async def test_a_busy_worker_still_looks_for_work(start: Start, sql: Sql) -> None:
    """Work that came without a wake-up is found by the next poll, however busy the worker is with other steps."""
    names = [f"s{n}" for n in range(300)]

    async def busy(context: StepContext) -> None:
        if context.template.name == "long":
            await asyncio.sleep(0.01)

    graph = template(" -> ".join(names), name="long")
    tasker = await start(graph, dict.fromkeys(names, busy), poll_s=0.1)
    client = await start(template("s0"), worker=False)
    long = await tasker.submit("long", namespace="tests")
    await sql.beats(2)
    quiet = await sql.value("select task_id from tasker_engine.submit('tests', 'flow', null, null, array['{}'::jsonb])")
    assert (await client.wait(quiet, 60)).status == "complete"
    assert (await client.get(long.task_uuid)).status == "steps_in_process"
    await client.cancel(long.task_uuid)


async def test_what_a_full_worker_left_is_taken_at_once(start: Start) -> None:
    """Children that did not fit into the worker's slots are taken when slots are free, not at the next poll."""

    async def step() -> None:
        return None

    children = ", ".join(f"c{n}" for n in range(30))
    handlers = dict.fromkeys(["root", "last", *(f"c{n}" for n in range(30))], step)
    tasker = await start(f"root -> {children} -> last", handlers, concurrency=3, poll_s=30)
    task = await tasker.submit("flow", namespace="tests")
    assert (await tasker.wait(task.task_uuid, 60)).status == "complete"


async def test_a_backlog_is_worked_off_without_a_poll(start: Start) -> None:
    """A claim that filled the slots is followed by another, though steps of the claim before have ended meanwhile."""

    async def step() -> None:
        return None

    graph = "a -> b, c -> d"
    client = await start(graph, worker=False)
    tasks = await client.submit_many("flow", [{}] * 300, namespace="tests")
    await start(None, dict.fromkeys("abcd", step), concurrency=20, poll_s=30)
    ended = await asyncio.gather(*(client.wait(task.task_uuid, 60) for task in tasks))
    assert {task.status for task in ended} == {"complete"}
