"""Suspects: a step that lost its worker runs alone, and only a loss while alone counts against it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from uuid import UUID

import orjson
from support.until import until
from worker_support import Sql, Start

from tasker import Tasker


async def _suspects(start: Start, sql: Sql, graph: str, count: int, **options: Any) -> tuple[Tasker, list[UUID]]:
    """A client, and tasks whose first steps lost their worker. No living worker sees them before."""
    client = await start(graph, worker=False, **options)
    async with sql.connection.transaction():
        return client, await _lose(sql, client, count)


async def _lose(sql: Sql, client: Tasker, count: int) -> list[UUID]:
    submit = "select task_id from tasker_engine.submit('tests', 'flow', null, null, $1)"
    contexts = [orjson.dumps({"n": n}).decode() for n in range(count)]
    tasks = [row[0] for row in await sql.connection.fetch(submit, contexts)]
    lost = await sql.value("select tasker_engine.open_session(gen_random_uuid(), 'lost', 'elsewhere', 1, 1000)")
    names = await sql.value("select array_agg(distinct handler) from tasker_engine.channels")
    channels = [
        row[0] for row in await sql.connection.fetch("select * from tasker_engine.serve($1, $2, null)", lost, names)
    ]
    await sql.connection.fetch(
        "select * from tasker_engine.claim($1, $2, $3, $4, false)", lost, channels, [1 for _ in channels], [count]
    )
    await sql.connection.execute("set local tasker.losses_forgiven = 0")
    await sql.value("select tasker_engine.end_session($1, 'the test ends it', true)", lost)
    return tasks


async def test_a_suspect_runs_alone(start: Start, sql: Sql) -> None:
    """While a suspect runs, its worker runs nothing beside it: it takes nothing more before the suspect is done."""
    inside, beside, opened = set[int](), list[set[int]](), asyncio.Event()

    async def a(context: Any) -> None:
        number = context.get_input("n")
        inside.add(number)
        if number < 3:
            beside.append(set(inside))
        else:
            await opened.wait()
        await asyncio.sleep(0)
        inside.remove(number)

    client, suspects = await _suspects(start, sql, "a", 3)
    tasker = await start(None, {"a": a})
    others = await client.submit_many("flow", [{"n": n} for n in range(3, 20)], namespace="tests")
    opened.set()
    for task in (*suspects, *(other.task_uuid for other in others)):
        assert (await tasker.wait(task, 60)).status == "complete"
    assert beside == [{0}, {1}, {2}]
    for task in suspects:
        step = await sql.step(task)
        assert (step["losses"], step["is_suspect"], step["attempt"]) == (0, False, 2)


async def test_a_suspect_that_was_cancelled_while_it_waited_is_not_run(start: Start, sql: Sql) -> None:
    """A suspect whose task is cancelled while its worker still finishes other steps is not started any more."""
    ran, running, opened = list[int](), asyncio.Event(), asyncio.Event()

    async def a(context: Any) -> None:
        ran.append(context.get_input("n"))
        running.set()
        if context.get_input("n") == 7:
            await opened.wait()

    client = await start("a", worker=False)
    tasker = await start(None, {"a": a}, poll_s=0.02)
    busy = await client.submit("flow", namespace="tests", context={"n": 7})
    await running.wait()
    _, [suspect] = await _suspects(start, sql, "a", 1)
    await until(lambda: tasker._worker.turns._alone, "the worker has taken the suspect")  # type: ignore[union-attr]
    await client.cancel(suspect)
    opened.set()
    assert (await tasker.wait(busy.task_uuid, 60)).status == "complete"
    again = await client.submit("flow", namespace="tests", context={"n": 8})
    assert (await tasker.wait(again.task_uuid, 60)).status == "complete"
    assert ran == [7, 8]


async def test_a_worker_that_drains_hands_a_waiting_suspect_back(start: Start, sql: Sql) -> None:
    """A suspect that waits for its turn goes back when the worker stops; it stays a suspect, and no try is spent."""
    running, opened = asyncio.Event(), asyncio.Event()

    async def a(context: Any) -> None:
        running.set()
        await opened.wait()

    client = await start("a", worker=False)
    tasker = await start(None, {"a": a}, poll_s=0.02)
    await client.submit("flow", namespace="tests", context={"n": 7})
    await running.wait()
    _, [suspect] = await _suspects(start, sql, "a", 1)
    await until(lambda: tasker._worker.turns._alone, "the worker has taken the suspect")  # type: ignore[union-attr]
    stopping = asyncio.create_task(tasker.stop())
    await until(lambda: _is(sql, suspect, "enqueued"), "the suspect is handed back")
    opened.set()
    await stopping
    step = await sql.step(suspect)
    assert (step["is_suspect"], step["tries"], step["losses"]) == (True, 0, 0)
    await start(None, {"a": a})
    assert (await client.wait(suspect, 60)).status == "complete"


async def _is(sql: Sql, task: UUID, state: str) -> bool:
    return await sql.state(task) == state


async def test_a_suspect_beside_a_lingering_thread_takes_no_blame(start: Start, sql: Sql) -> None:
    """A thread that nobody waits for may still kill its worker: a suspect that runs beside it does not say that it has
    begun, so that it is not blamed."""
    release, running, opened = threading.Event(), asyncio.Event(), asyncio.Event()

    def stuck() -> None:
        release.wait(60)

    async def a() -> None:
        running.set()
        await opened.wait()

    steps = {"name": "stuck", "timeout_seconds": 0.2, "max_attempts": 1}
    tasker = await start("stuck", {"stuck": stuck, "a": a}, steps=steps)
    lingering = await tasker.submit("stuck", namespace="tests")
    assert (await tasker.wait(lingering.task_uuid, 60)).status == "error"
    _, [suspect] = await _suspects(start, sql, "a", 1)
    await running.wait()
    await sql.beats(3)
    assert (await sql.step(suspect))["started_at"] is None
    opened.set()
    assert (await tasker.wait(suspect, 60)).status == "complete"
    release.set()


async def test_a_suspect_says_that_it_begins(start: Start, sql: Sql) -> None:
    """Before a suspect's handler runs, the database knows that it has begun: the blame of a loss is certain."""
    begun: list[Any] = []

    async def a(context: Any) -> None:
        begun.append((await sql.step(context.task_uuid))["started_at"])

    client, [suspect] = await _suspects(start, sql, "a", 1)
    await start(None, {"a": a})
    assert (await client.wait(suspect, 60)).status == "complete"
    assert begun != [None]
