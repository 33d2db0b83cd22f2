"""A Tasker that submits while its worker has nothing to do starts the task in the same call."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from support.proxy import Proxy
from support.until import until
from worker_support import Sql, Start

from tasker.model.errors import IdentityConflict, TemplateNotFound
from tasker.store.verbs import Verbs


async def _nothing() -> None:
    return None


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each way to submit and to claim was taken."""
    counted: Counter[str] = Counter()
    for name in ("submit", "submit_here", "claim"):
        called = getattr(Verbs, name)

        def count(self: Verbs, *args: object, _name: str = name, _called: object = called, **options: object) -> object:
            counted[_name] += 1
            return _called(self, *args, **options)  # type: ignore[operator]  # pyright: ignore[reportCallIssue]

        monkeypatch.setattr(Verbs, name, count)
    return counted


async def test_an_idle_worker_starts_what_its_process_submits(start: Start, calls: Counter[str]) -> None:
    """Neither a second submit nor a claim is needed."""
    tasker = await start("a -> b", dict.fromkeys("ab", _nothing), poll_s=30)
    await until(lambda: tasker._worker is not None and tasker._worker.turns._is_resting, "it rests")
    calls.clear()
    for _ in range(3):
        task = await tasker.submit("flow", namespace="tests")
        assert (await tasker.wait(task.task_uuid, 60)).status == "complete"
    assert calls == {"submit_here": 3}


async def test_many_that_submit_at_once_hinder_nobody(start: Start, calls: Counter[str]) -> None:
    """One goes with the worker, the others by themselves; every task is made once."""
    tasker = await start("a -> b", dict.fromkeys("ab", _nothing))
    tasks = await asyncio.gather(*(tasker.submit("flow", namespace="tests") for _ in range(40)))
    ended = await asyncio.gather(*(tasker.wait(task.task_uuid, 60) for task in tasks))
    assert {task.status for task in ended} == {"complete"}
    assert len({task.task_uuid for task in tasks}) == 40
    assert calls["submit"] > 0


async def test_more_than_fit_go_the_ordinary_way(start: Start, calls: Counter[str]) -> None:
    """A large batch keeps no turn waiting: it is submitted beside them, and claimed."""
    tasker = await start("a", {"a": _nothing}, concurrency=10)
    await until(lambda: tasker._worker is not None and tasker._worker.turns._is_resting, "it rests")
    tasks = await tasker.submit_many("flow", [{}] * 11, namespace="tests")
    assert (calls["submit"], calls["submit_here"]) == (1, 0)
    for task in tasks:
        assert (await tasker.wait(task.task_uuid, 60)).status == "complete"


async def test_what_is_refused_is_the_submitters_alone(start: Start) -> None:
    """The worker goes on as if nothing had been asked."""
    tasker = await start("a", {"a": _nothing}, poll_s=30)
    with pytest.raises(TemplateNotFound):
        await tasker.submit("flaw", namespace="tests")
    await tasker.submit("flow", namespace="tests", idempotency_key="k")
    with pytest.raises(IdentityConflict):
        await tasker.submit("flow", namespace="tests", context={"n": 1}, idempotency_key="k")
    task = await tasker.submit("flow", namespace="tests")
    assert (await tasker.wait(task.task_uuid, 60)).status == "complete"


async def test_a_submitter_that_is_cancelled_leaves_the_worker_well(start: Start, sql: Sql) -> None:
    """Whether the task was made or not, the next one runs."""
    tasker = await start("a", {"a": _nothing}, poll_s=30)
    for _ in range(20):
        impatient = asyncio.create_task(tasker.submit("flow", namespace="tests"))
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
    task = await tasker.submit("flow", namespace="tests")
    assert (await tasker.wait(task.task_uuid, 60)).status == "complete"
    query = "select count(*) from tasker_engine.tasks where state <> 'complete'"

    async def are_complete() -> bool:
        return await sql.value(query) == 0

    await until(are_complete, "all are complete")


@pytest.mark.parametrize("is_lost", [True, False])
async def test_a_cut_connection_submits_once_and_starts_it(
    start: Start, sql: Sql, database: str, is_lost: bool
) -> None:
    """A reply that never came, or a call that never went: the task exists once, and its worker runs it at once."""
    with Proxy(database) as proxy:
        tasker = await start("a -> b", dict.fromkeys("ab", _nothing), dsn=proxy.dsn, poll_s=30, lease_s=3600)
        assert tasker._worker is not None
        turns = tasker._worker.turns
        await until(lambda: turns._is_resting, "it rests")
        if is_lost:
            proxy.lose_replies_to("tasker_engine.submit_here(", 1)
        else:
            proxy.cut()
        task = await tasker.submit("flow", namespace="tests")
        assert proxy.replies_lost == is_lost
        assert not task.is_duplicate
        assert (await tasker.wait(task.task_uuid, 20)).status == "complete"
        assert await sql.value("select count(*) from tasker_engine.tasks") == 1
        assert await sql.value("select max(attempt) from tasker_engine.steps") == 1
