"""Connections that are cut, held, and lost between a call and its reply: nothing is lost, nothing waits for a lease.

The lease is an hour in these tests: whatever waited for one to run out would never end.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import pytest
from fleet import IS_FULL, Fleet, all_ended, ask, flow, random_templates, seed_of, violations
from support.proxy import Proxy
from support.until import until
from survival_handlers import LEDGER, Walk

from tasker import Tasker
from tasker.model.errors import DatabaseUnavailable

pytestmark = pytest.mark.any_postgres

TASKS = 1500 if IS_FULL else 120
FOREVER = {"TASKER_LEASE_S": "3600"}


@pytest.fixture
async def proxy(database: str) -> AsyncIterator[Proxy]:
    """In front of the test's database."""
    with Proxy(database, seed=seed_of("proxy")) as made:
        yield made


def _spent(fleet: Fleet, tasks: list[UUID]) -> tuple[int, int, int]:
    """The largest attempt, tries and losses of the steps of these tasks."""
    query = "select max(attempt), max(tries), max(losses) from tasker_engine.steps where task_id = any (%s)"
    return ask(fleet.dsn, query, tasks)[0]  # type: ignore[return-value]


async def test_replies_lost_at_random(fleet: Fleet, client: Callable[..., Any], proxy: Proxy) -> None:
    """Connections are cut at random, before a call arrives or before its reply does: every step runs exactly once,
    under the attempt that it was granted first."""
    chance = random.Random(seed_of("cuts"))
    templates = random_templates(chance, 8)
    tasker = await client(fleet.dsn, templates)
    fleet.start(2, dsn=proxy.dsn, **FOREVER)
    await fleet.ready(2)
    proxy.chance_of_cut = 0.05
    tasks: list[UUID] = []
    while len(tasks) < TASKS or min(proxy.replies_lost, proxy.cuts - proxy.replies_lost) <= 5:
        for n in range(TASKS // 4):
            template = chance.choice(templates)
            tasks.append((await tasker.submit(template.name, namespace="tests", context={"n": n})).task_uuid)
        await all_ended(fleet.dsn, tasks, within_s=60)
    proxy.chance_of_cut = 0
    assert violations(fleet.dsn, fleet.ledger, tasks) == []
    assert _spent(fleet, tasks) == (1, 1, 0)
    assert len(fleet.living()) == 2


async def test_a_start_on_a_bad_line(
    fleet: Fleet, client: Callable[..., Any], proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections that are cut while a worker starts delay it, and leave no second session behind; where none lasts,
    the start fails with a word about the database."""
    monkeypatch.setenv(LEDGER, str(fleet.ledger.path))
    tasker = await client(fleet.dsn, [flow("small", "walk")])
    for verb in ("open_session", "describe_session", "serve_guarded", "publish"):
        proxy.lose_replies_to(f"tasker_engine.{verb}(", 2)
        worker = Tasker(proxy.dsn, handlers=[Walk], templates=[flow(verb, "walk")])
        async with worker:
            task = await worker.submit("small", namespace="tests", context={"n": 1})
            await worker.wait(task.task_uuid, 20)
            assert len(fleet.living()) == 1
            assert ask(fleet.dsn, "select count(*) from tasker_engine.sessions where ended_at is null") == [(1,)]
    assert proxy.replies_lost == 8
    proxy.lose_replies_to("tasker_engine.open_session(", 1_000)
    with pytest.raises(DatabaseUnavailable, match="cut 20 times in a row"):
        await Tasker(proxy.dsn, handlers=[Walk]).start()
    assert (await tasker.stats())["tasks"] == {"complete": 4}


@pytest.mark.parametrize("verb", ["claim", "report", "regrant", "load", "beat", "serve_guarded", "sweep"])
async def test_the_reply_of_each_verb_is_lost(
    fleet: Fleet, client: Callable[..., Any], proxy: Proxy, verb: str
) -> None:
    """Whichever call's first replies are lost: its effect is found again, and every step runs once."""
    tasker = await client(fleet.dsn, [flow("large", "walk", "walk", "crawl")])
    fleet.start(dsn=proxy.dsn, **FOREVER)
    context = {"n": 1, "text": "x" * 100_000}
    await all_ended(fleet.dsn, await _submitted(tasker, "large", 1, **context), within_s=90)
    proxy.lose_replies_to(f"tasker_engine.{verb}(", 3)
    proxy.cut()
    tasks = await _submitted(tasker, "large", 10, **context)
    await all_ended(fleet.dsn, tasks, within_s=90)
    await until(lambda: proxy.replies_lost >= 3, "three replies were lost")
    assert violations(fleet.dsn, fleet.ledger, tasks) == []
    assert _spent(fleet, tasks) == (1, 1, 0)


async def _submitted(tasker: Tasker, name: str, count: int, **context: Any) -> list[UUID]:
    contexts = [{"n": n, **context} for n in range(count)]
    return [task.task_uuid for task in await tasker.submit_many(name, contexts, namespace="tests")]


async def test_the_reply_of_open_session_is_lost(fleet: Fleet, client: Callable[..., Any], proxy: Proxy) -> None:
    """A worker whose session was ended opens a new one, however often the reply to that is lost."""
    tasker = await client(fleet.dsn, [flow("small", "walk")])
    fleet.start(dsn=proxy.dsn, **FOREVER)
    await all_ended(fleet.dsn, await _submitted(tasker, "small", 1), within_s=90)
    proxy.lose_replies_to("tasker_engine.open_session(", 3)
    proxy.cut()
    ask(fleet.dsn, "select tasker_engine.end_session(session_id, 'the test', false) from tasker_engine.sessions")
    tasks = await _submitted(tasker, "small", 10)
    await all_ended(fleet.dsn, tasks, within_s=90)
    assert proxy.replies_lost == 3
    assert violations(fleet.dsn, fleet.ledger, tasks) == []


async def test_connections_that_fall_silent(fleet: Fleet, client: Callable[..., Any], proxy: Proxy) -> None:
    """A network that swallows everything without a word: when it works again, or by another way, the worker goes on
    with what it held, long before a lease is over."""
    tasker = await client(fleet.dsn, [flow("slow", "walk", "walk", "walk")])
    fleet.start(dsn=proxy.dsn, **FOREVER)
    await fleet.ready(1)
    tasks = await _submitted(tasker, "slow", 40, pause_s=0.5)
    await until(lambda: fleet.ledger.count("end") > 10, "some steps are done")
    proxy.hold()
    done = fleet.ledger.count("end")
    await until(lambda: fleet.ledger.count("end") > done, "handlers end meanwhile")
    await until(lambda: fleet.ledger.count("end") >= fleet.ledger.count("start"), "nothing runs any more")
    proxy.release()
    await all_ended(fleet.dsn, tasks, within_s=90)
    assert violations(fleet.dsn, fleet.ledger, tasks) == []
    assert _spent(fleet, tasks) == (1, 1, 0)


async def test_a_connection_that_the_network_forgot(fleet: Fleet, client: Callable[..., Any], proxy: Proxy) -> None:
    """Connections that are dead although neither side was told are given up, and new ones work."""
    tasker = await client(fleet.dsn, [flow("slow", "walk")])
    fleet.start(dsn=proxy.dsn, **FOREVER)
    await all_ended(fleet.dsn, await _submitted(tasker, "slow", 1), within_s=90)
    proxy.forget()
    tasks = await _submitted(tasker, "slow", 20)
    await all_ended(fleet.dsn, tasks, within_s=90)
    assert violations(fleet.dsn, fleet.ledger, tasks) == []
    assert _spent(fleet, tasks) == (1, 1, 0)


async def test_server_processes_are_terminated(fleet: Fleet, client: Callable[..., Any]) -> None:
    """A database owner who terminates the workers' server processes, again and again, costs nobody a try."""
    tasker = await client(fleet.dsn, [flow("slow", "walk", "crawl", "walk")])
    fleet.start(2, **FOREVER)
    await fleet.ready(2)
    tasks = await _submitted(tasker, "slow", 60, pause_s=0.2)
    terminate = """select count(pg_terminate_backend(pid)) from pg_stat_activity
                   where datname = current_database() and application_name = 'tasker' and pid <> pg_backend_pid()"""
    for _ in range(10):
        done = fleet.ledger.count("end")
        await until(lambda done=done: fleet.ledger.count("end") > done + 8, "work goes on")
        assert ask(fleet.dsn, terminate)[0][0] > 0
    await all_ended(fleet.dsn, tasks, within_s=90)
    assert violations(fleet.dsn, fleet.ledger, tasks) == []
    assert _spent(fleet, tasks) == (1, 1, 0)


@pytest.mark.parametrize("verb", ["submit", "act", "task_views"])
async def test_the_reply_to_a_client_is_lost(fleet: Fleet, client: Callable[..., Any], proxy: Proxy, verb: str) -> None:
    """A client whose call was answered by a cut connection asks again by itself, and what it asked for is done once."""
    tasker = await client(proxy.dsn, [flow("small", "walk")])
    proxy.lose_replies_to(f"tasker_engine.{verb}(", 1)
    task = await tasker.submit("small", namespace="tests", context={"n": 1})
    await tasker.cancel(task.task_uuid, actor="ada")
    assert (await tasker.get(task.task_uuid)).status == "cancelled"
    assert proxy.replies_lost == 1
    assert not task.is_duplicate
    assert ask(fleet.dsn, "select task_id from tasker_engine.tasks") == [(task.task_uuid,)]
    assert ask(fleet.dsn, "select count(*) from tasker_engine.acts")[0][0] == 1


async def test_a_client_without_a_database_is_told(fleet: Fleet, client: Callable[..., Any], proxy: Proxy) -> None:
    """While the database is away every call raises DatabaseUnavailable; afterwards the same client works again."""
    tasker = await client(proxy.dsn, [flow("small", "walk")])
    proxy.refuse()
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        await tasker.submit("small", namespace="tests", context={"n": 1})
    with pytest.raises(DatabaseUnavailable):
        await tasker.stats()
    proxy.accept()
    task = await tasker.submit("small", namespace="tests", context={"n": 1})
    assert ask(fleet.dsn, "select task_id from tasker_engine.tasks") == [(task.task_uuid,)]
