"""wait(): at once where the task ends in this process, soon elsewhere, never for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from support.until import until
from worker_support import Start

from tasker import PermanentError, StepContext, SyncTasker
from tasker.model.errors import TaskerError, TaskNotFound, WaitTimeout
from tasker.model.ids import uuid7
from tasker.model.task import TaskView
from tasker.store.waits import EndedTask
from tasker.worker.waiters import Waiters


async def _nothing() -> None:
    return None


async def _never(_: object) -> list[object]:
    await asyncio.Event().wait()
    return []


async def test_waiting_in_the_same_process_needs_no_poll(start: Start) -> None:
    """The report that ends a task resolves who waits for it: the polls of the waiters are not needed."""
    tasker = await start("a -> b", dict.fromkeys("ab", _nothing))

    tasker._waiters._ask = _never  # type: ignore[assignment]
    for _ in range(5):
        task = await tasker.submit("flow", namespace="tests")
        assert (await tasker.wait(task.task_uuid, 30)).status == "complete"


async def test_only_who_has_waited_for_a_while_is_asked_for() -> None:
    """Tasks that this process ends at once cost no query, however many there are; others are asked for meanwhile."""
    asked: list[UUID] = []

    async def ask(tasks: Sequence[UUID]) -> list[EndedTask]:
        asked.extend(tasks)
        return []

    waiters, elsewhere = Waiters(ask), uuid4()
    long = asyncio.create_task(waiters.wait(elsewhere))
    while asked.count(elsewhere) < 20:
        here = uuid4()
        short = asyncio.create_task(waiters.wait(here))
        await asyncio.sleep(0.002)
        waiters.resolve([(here, "complete")])
        assert (await short).state == "complete"
    assert len(asked) < 30, "but for those that a busy machine held up"
    waiters.resolve([(elsewhere, "complete")])
    await long
    await waiters.close()


async def test_who_begins_to_wait_is_not_held_up_by_who_has_waited_for_long() -> None:
    """The pause of one task is that of no other, and what was asked for is asked for later and later."""
    asked: dict[UUID, list[float]] = {}

    async def ask(tasks: Sequence[UUID]) -> list[EndedTask]:
        for task in tasks:
            asked.setdefault(task, []).append(asyncio.get_running_loop().time())
        return [(task, "complete", None) for task in tasks if task == new]

    waiters, old, new = Waiters(ask, lambda: False), uuid4(), uuid4()
    long = asyncio.create_task(waiters.wait(old))
    await until(lambda: len(asked.get(old, [])) >= 30)
    pauses = [later - earlier for earlier, later in pairwise(asked[old])]
    assert sum(pauses[-10:]) > 2 * sum(pauses[:10])
    waiters._waiting[old].due_at += 3600
    async with asyncio.timeout(30):
        assert (await waiters.wait(new)).state == "complete"
    waiters.resolve([(old, "complete")])
    await long
    await waiters.close()


async def test_a_crowd_is_asked_for_in_several_questions() -> None:
    """However many wait, an answer brings the results of a hundred tasks at most, and each has its turn."""
    asked: list[int] = []

    async def ask(tasks: Sequence[UUID]) -> list[EndedTask]:
        asked.append(len(tasks))
        return [(task, "complete", None) for task in tasks]

    waiters = Waiters(ask, lambda: False)
    ended = await asyncio.gather(*(waiters.wait(uuid4()) for _ in range(250)))
    assert {one.state for one in ended} == {"complete"}
    assert max(asked) == 100
    assert sum(asked) == 250
    await waiters.close()


@pytest.mark.parametrize("graph", ["a -> b", "a, b", "a -> b, c"])
async def test_the_report_that_ends_a_task_brings_what_it_has_become(start: Start, graph: str) -> None:
    """Who waits in the same process asks the database nothing, and gets what a read would answer: when the task is
    complete, when a last step failed for good, and when an earlier one did (which takes one read)."""
    fails: set[str] = set()
    somebody_waits = asyncio.Event()

    async def work(context: StepContext) -> dict[str, str]:
        await somebody_waits.wait()
        if context.step_name in fails:
            raise PermanentError("no", error_code="no")
        return {"of": context.step_name}

    tasker = await start(graph, {name: work for name in "abc" if name in graph})
    tasker._waiters._ask = _never  # type: ignore[assignment]
    for failing, reads in ((None, 0), (graph[-1], 0), ("a", None)):
        fails = {failing} if failing else set()
        task = await tasker.submit("flow", context={"n": 1}, namespace="tests")
        asked, reading = 0, tasker.get

        async def counted(task_uuid: UUID, reading: Callable[[UUID], Awaitable[TaskView]] = reading) -> TaskView:
            nonlocal asked
            asked += 1
            return await reading(task_uuid)

        tasker.get = counted  # type: ignore[method-assign]
        waiting = asyncio.create_task(tasker.wait(task.task_uuid, 60))
        await until(lambda task=task: tasker._waiters.is_awaited(task.task_uuid))
        somebody_waits.set()
        found = await waiting
        somebody_waits.clear()
        tasker.get = reading  # type: ignore[method-assign]
        assert found == await tasker.get(task.task_uuid)
        assert found.status == ("error" if failing else "complete")
        assert reads is None or asked == reads


async def test_waiting_in_another_process_polls_once_for_all(start: Start) -> None:
    """Tasks that end elsewhere are found by one question for all that wait."""
    client = await start("a", worker=False)
    asked: list[int] = []
    ask = client._waiters._ask

    async def counted(task_ids: object) -> object:
        asked.append(len(task_ids))  # type: ignore[arg-type]
        return await ask(task_ids)  # type: ignore[arg-type]

    client._waiters._ask = counted  # type: ignore[assignment]
    tasks = await client.submit_many("flow", [{}] * 50, namespace="tests")
    waits = [asyncio.create_task(client.wait(task.task_uuid, 60)) for task in tasks]
    await until(lambda: bool(asked), "the first question was asked")
    await start("a", {"a": _nothing})
    assert {done.status for done in await asyncio.gather(*waits)} == {"complete"}
    assert asked[0] == 50
    assert len(asked) < 200, "as they grow older, they are asked for less often"


async def test_the_question_that_finds_a_task_ended_brings_what_it_has_become(start: Start) -> None:
    """Who waits elsewhere reads nothing once more, and gets what a read would answer."""
    client = await start("a -> b", worker=False)
    task = await client.submit("flow", context={"n": 1}, namespace="tests")
    waiting = asyncio.create_task(client.wait(task.task_uuid, 60))
    reading, client.get = client.get, _never  # type: ignore[method-assign,assignment]
    await start("a -> b", dict.fromkeys("ab", _nothing))
    found = await waiting
    client.get = reading  # type: ignore[method-assign]
    assert found == await client.get(task.task_uuid)


async def test_a_wait_that_is_over_says_that_the_task_goes_on(start: Start) -> None:
    """A timeout ends the waiting, not the task."""
    client = await start("a", worker=False)
    task = await client.submit("flow", namespace="tests")
    began = time.monotonic()
    with pytest.raises(WaitTimeout, match="goes on"):
        await client.wait(task.task_uuid, 0.1)
    assert time.monotonic() - began < 2
    await until(lambda: not client._waiters._waiting, "nobody waits any more")
    await start("a", {"a": _nothing})
    assert (await client.wait(task.task_uuid, 60)).status == "complete"


async def test_wait_returns_on_error(start: Start) -> None:
    """A task in error has ended for who waits: the error is in what they get."""

    async def a() -> None:
        raise PermanentError("no", error_code="NO")

    tasker = await start("a -> b", {"a": a, "b": _nothing})
    task = await tasker.submit("flow", namespace="tests")
    done = await tasker.wait(task.task_uuid, 30)
    assert (done.status, done.errors["a"]["error_code"]) == ("error", "NO")


async def test_waiting_for_nothing_is_refused(start: Start) -> None:
    """A task that does not exist is said not to exist, instead of being waited for."""
    tasker = await start("a", worker=False)
    with pytest.raises(TaskNotFound):
        await tasker.wait(uuid7(), 5)
    with pytest.raises(TaskNotFound):
        await tasker.get(uuid4())


async def test_who_waits_when_the_tasker_stops_is_told(start: Start) -> None:
    """A stop ends every wait with an error that says so."""
    client = await start("a", worker=False)
    task = await client.submit("flow", namespace="tests")
    waiting = asyncio.create_task(client.wait(task.task_uuid))
    await until(lambda: bool(client._waiters._waiting), "somebody waits")
    await client.stop()
    with pytest.raises(TaskerError, match="stopped"):
        await waiting


async def test_waits_survive_a_question_that_fails(start: Start) -> None:
    """A question that the database refuses is asked again; nobody waits for ever because of it."""
    client = await start("a", worker=False)
    ask, failed = client._waiters._ask, list[int]()

    async def failing(task_ids: object) -> object:
        if len(failed) < 3:
            failed.append(1)
            async with client._connections.acquire() as connection:
                await connection.fetch("select 1 / 0")
        return await ask(task_ids)  # type: ignore[arg-type]

    client._waiters._ask = failing  # type: ignore[assignment]
    task = await client.submit("flow", namespace="tests")
    await start("a", {"a": _nothing})
    assert (await client.wait(task.task_uuid, 60)).status == "complete"
    assert len(failed) == 3


async def test_many_wait_for_one(start: Start) -> None:
    """Any number may wait for the same task, and each gets it."""
    tasker = await start("a", {"a": _nothing})
    task = await tasker.submit("flow", namespace="tests")
    views = await asyncio.gather(*(tasker.wait(task.task_uuid, 30) for _ in range(20)))
    assert {view.task_uuid for view in views} == {task.task_uuid}


def test_sync_tasker_does_the_same_without_await(database: str) -> None:
    """SyncTasker submits, waits, acts and reads like Tasker, and runs plain handlers, from a program without a loop."""
    from support.templates import template
    from worker_support import settings

    from tasker.handlers import as_handler

    def a(context: object) -> str:
        return "sync"

    handlers = [as_handler(a, "a")]
    with SyncTasker(database, templates=[template("a")], handlers=handlers, settings=settings()) as tasker:
        task = tasker.submit("flow", namespace="tests")
        done = tasker.wait(task.task_uuid, 60)
        assert (done.status, done.results) == ("complete", {"a": {"result": "sync"}})
        assert tasker.get(task.task_uuid).status == "complete"
        many = tasker.submit_many("flow", [{}, {}], namespace="tests")
        assert {tasker.wait(one.task_uuid, 60).status for one in many} == {"complete"}
        with pytest.raises(WaitTimeout):
            later = tasker.submit("flow", namespace="tests", delay_s=60)
            tasker.wait(later.task_uuid, 0.05)
        assert tasker.cancel(later.task_uuid)["task_state"] == "cancelled"


def test_a_sync_tasker_that_cannot_start_leaves_nothing(database: str) -> None:
    """A start that fails raises, and its thread ends."""
    import threading

    tasker = SyncTasker("postgresql://someone@127.0.0.1:1/nowhere")
    with pytest.raises(TaskerError):
        tasker.start()
    assert not any(thread.name == "tasker" for thread in threading.enumerate())
    assert database
