"""The database goes away and comes back: nobody takes a silent database for a dead worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from fleet import Fleet, all_ended, ask, flow, violations
from support.proxy import Proxy
from support.until import until

from tasker import Tasker
from tasker.embedded import PrivateServer
from tasker.model.errors import DatabaseUnavailable

LEASE_S = 1.0
SHORT_LEASE = {"TASKER_LEASE_S": str(LEASE_S), "TASKER_BEAT_S": "0.25"}


async def _submitted(tasker: Tasker, count: int, **context: Any) -> list[UUID]:
    contexts = [{"n": n, **context} for n in range(count)]
    return [task.task_uuid for task in await tasker.submit_many("flow", contexts, namespace="tests")]


def _is_untouched(fleet: Fleet, tasks: list[UUID], sessions: int) -> None:
    """Every step ran once, under its first attempt, and every session lives."""
    query = "select max(attempt), max(tries), max(losses) from tasker_engine.steps where task_id = any (%s)"
    assert ask(fleet.dsn, query, tasks)[0] == (1, 1, 0)
    assert len(fleet.living()) == sessions
    assert violations(fleet.dsn, fleet.ledger, tasks) == []


async def _pass(seconds: float) -> None:
    """Returns when so much time has gone."""
    end = time.monotonic() + seconds
    await until(lambda: time.monotonic() > end, within_s=seconds + 10)


async def test_a_server_that_is_down_for_three_leases(
    server: PrivateServer, own_database: str, new_fleet: Callable[..., Fleet], client: Callable[..., Any]
) -> None:
    """While the server is down for three leases handlers go on; what they did is recorded when it is back, and no step
    loses a try."""
    fleet = new_fleet(own_database, **SHORT_LEASE)
    tasker = await client(own_database, [flow("flow", "walk", "crawl", "walk")])
    fleet.start(2)
    await fleet.ready(2)
    tasks = await _submitted(tasker, 60, pause_s=0.4)
    await until(lambda: fleet.ledger.count("end") > 20, "steps are done")
    await asyncio.to_thread(server.stop)
    await _pass(3 * LEASE_S)
    await asyncio.to_thread(server.restart)
    await all_ended(own_database, tasks, within_s=90)
    _is_untouched(fleet, tasks, sessions=2)


async def test_a_server_that_nobody_reaches_for_three_leases(fleet: Fleet, client: Callable[..., Any]) -> None:
    """The same where the server lives and the network is away: nobody swept meanwhile, so nobody is declared dead."""
    with Proxy(fleet.dsn) as proxy:
        tasker = await client(fleet.dsn, [flow("flow", "walk", "crawl", "walk")])
        fleet.start(2, dsn=proxy.dsn, **SHORT_LEASE)
        await fleet.ready(2)
        tasks = await _submitted(tasker, 60, pause_s=0.4)
        await until(lambda: fleet.ledger.count("end") > 20, "steps are done")
        proxy.refuse()
        await _pass(3 * LEASE_S)
        proxy.accept()
        await all_ended(fleet.dsn, tasks, within_s=90)
        _is_untouched(fleet, tasks, sessions=2)


@pytest.mark.parametrize("way", ["crash", "fast"])
async def test_five_restarts_under_load(
    server: PrivateServer, own_database: str, new_fleet: Callable[..., Fleet], client: Callable[..., Any], way: str
) -> None:
    """PostgreSQL restarts five times in the middle of work, orderly or by a crash: every step runs once."""
    fleet = new_fleet(own_database, **SHORT_LEASE)
    tasker = await client(own_database, [flow("flow", "walk", "crawl", "walk", "walk")])
    fleet.start(2, TASKER_CONCURRENCY="20", TASKER_THREADS="8")
    await fleet.ready(2)
    tasks: list[UUID] = []
    for _ in range(5):
        tasks += await _until_it_answers(tasker)
        done = fleet.ledger.count("end")
        await until(lambda done=done: fleet.ledger.count("end") > done + 30, "work goes on")
        if way == "crash":
            await asyncio.to_thread(server.crash)
        await asyncio.to_thread(server.restart)
    await all_ended(own_database, tasks, within_s=90)
    _is_untouched(fleet, tasks, sessions=2)


async def _until_it_answers(tasker: Tasker) -> list[UUID]:
    """Submits as a client does whose connections were cut: again, until it gets an answer."""

    async def submit() -> list[UUID]:
        try:
            return await _submitted(tasker, 30, pause_s=0.15)
        except DatabaseUnavailable:
            return []

    return await until(submit, "the database answers")


async def test_a_worker_cut_off_alone_is_replaced(fleet: Fleet, client: Callable[..., Any]) -> None:
    """One worker that reaches the database no more, while another does, is declared dead after its lease: its work goes
    on there, and what it brings when it is back is refused."""
    with Proxy(fleet.dsn) as proxy:
        tasker = await client(fleet.dsn, [flow("flow", "linger")])
        fleet.start(dsn=proxy.dsn, **SHORT_LEASE)
        await fleet.ready(1)
        tasks = await _submitted(tasker, 10, first_s=1.5)
        await until(lambda: fleet.ledger.count("start") == 10, "all run")
        fleet.start(**SHORT_LEASE)
        await fleet.ready(2)
        proxy.refuse()
        await all_ended(fleet.dsn, tasks, within_s=90)
        proxy.accept()
        refused = "select coalesce(sum(stale_outcomes), 0) from tasker_engine.sessions"
        await until(lambda: ask(fleet.dsn, refused)[0][0] == 10, "ten late results were refused")
        assert ask(fleet.dsn, "select distinct attempt, losses from tasker_engine.steps") == [(2, 0)]
        assert violations(fleet.dsn, fleet.ledger, tasks) == []


async def test_a_client_survives_a_restart(
    server: PrivateServer, own_database: str, new_fleet: Callable[..., Fleet], client: Callable[..., Any]
) -> None:
    """A Tasker that waits for a task while the server restarts gets its answer, and goes on submitting."""
    fleet = new_fleet(own_database)
    tasker = await client(own_database, [flow("flow", "gated")])
    gate = fleet.ledger.path.with_name("gate")
    fleet.start(TASKER_TEST_GATE=str(gate))
    [task] = await _submitted(tasker, 1)
    waiting = asyncio.create_task(tasker.wait(task, 30))
    await until(lambda: fleet.ledger.count("start") == 1, "the step runs")
    await asyncio.to_thread(server.crash)
    await asyncio.to_thread(server.restart)
    gate.touch()
    assert (await waiting).status == "complete"
    assert await _until_it_answers(tasker)
