"""submit as a part of the user's own transaction: a task exists exactly if the rest of it does."""

from __future__ import annotations

import json

import psycopg
import pytest
from support.engine import Engine

TABLES = ("tasks", "steps", "inputs", "ready", "due", "transitions", "identities")


async def test_a_rolled_back_transaction_leaves_nothing(engine: Engine) -> None:
    """A task that was submitted in a transaction that failed never existed, nor did its key."""
    await engine.publish("a")
    user = await engine.connect(pinned=False)
    transaction = user.transaction()
    await transaction.start()
    await user.execute("create table public.orders (id int)")
    await engine.submit({"n": 1}, idempotency_key="k", connection=user)
    await engine.submit({"n": 1}, delay_s=5, connection=user)
    await transaction.rollback()
    assert {table: await engine.count(table) for table in TABLES} == dict.fromkeys(TABLES, 0)


async def test_a_task_is_seen_when_its_transaction_commits(engine: Engine) -> None:
    """Before the commit no worker gets it; after it, one does."""
    await engine.publish("a")
    user = await engine.connect(pinned=False)
    worker = await engine.session()
    async with user.transaction():
        task = await engine.submit(connection=user)
        assert await worker.claim() == []
    assert [grant.task_id for grant in await worker.claim()] == [task]


async def test_submit_keeps_the_users_settings(engine: Engine) -> None:
    """The planner settings of submit end with it."""
    await engine.publish("a")
    names = ("enable_seqscan", "enable_hashjoin", "jit", "join_collapse_limit", "plan_cache_mode", "lock_timeout")
    user = await engine.connect(pinned=False)
    async with user.transaction():
        before = [await user.fetchval(f"show {name}") for name in names]
        await engine.submit(idempotency_key="k", connection=user)
        assert [await user.fetchval(f"show {name}") for name in names] == before


@pytest.mark.parametrize("isolation", ["read_committed", "repeatable_read", "serializable"])
async def test_submit_works_under_every_isolation_level(engine: Engine, isolation: str) -> None:
    """Django and SQLAlchemy may run their transactions under another level."""
    await engine.publish("a")
    user = await engine.connect(pinned=False)
    async with user.transaction(isolation=isolation):
        task = await engine.submit(connection=user)
    assert await engine.state(task) == "pending"


async def test_bare_sql_is_enough(engine: Engine, database: str) -> None:
    """Any driver, or psql, can submit with one function call."""
    await engine.publish("a")
    with psycopg.connect(database) as user:
        query = "select task_id, is_duplicate from tasker_engine.submit('tests', 'flow', null, null, %s::jsonb[])"
        rows = user.execute(query, [[json.dumps({"n": 1}), json.dumps({"n": 2})]]).fetchall()
    assert [is_duplicate for _, is_duplicate in rows] == [False, False]
    worker = await engine.session()
    assert {grant.task_id for grant in await worker.claim()} == {task for task, _ in rows}


async def test_a_transaction_held_open_for_long_is_not_forgotten(engine: Engine) -> None:
    """While it was open the lane's bound went past its row; the sweep's look below the bound brings it to a worker."""
    await engine.publish("a")
    user = await engine.connect(pinned=False)
    transaction = user.transaction()
    await transaction.start()
    task = await engine.submit(connection=user)
    worker = await engine.session(slots=5000, lease_s=1000)
    for _ in range(3):
        await engine.submit_many(1500)
        await worker.succeed(*await worker.claim())
        engine.advance(11)
        await engine.sweep_all()
    await transaction.commit()
    assert await engine.value("select max(bound) from tasker_engine.bounds") > 1500
    assert await worker.claim() == []
    engine.advance(5)
    await engine.sweep_all()
    assert [grant.task_id for grant in await worker.claim()] == [task]


async def test_a_bound_that_is_far_behind_rises_in_any_case(engine: Engine) -> None:
    """Also where nothing was passed that the statistics count; new work is found as before."""
    await engine.publish("a")
    await engine.value("select setval('tasker_engine.ready_seq_seq', 60000)")
    for _ in range(3):
        engine.advance(11)
        await engine.sweep_all()
    assert (
        await engine.value("select min(b.bound) from tasker_engine.lanes l, tasker_engine.bound_of(l.lane) b") == 60000
    )
    task = await engine.submit()
    worker = await engine.session()
    assert [grant.task_id for grant in await worker.claim()] == [task]


async def test_a_large_submit_that_takes_several_sweeps_is_claimed_at_once(engine: Engine) -> None:
    """While it is being written the bound does not pass its rows, which nobody can see."""
    await engine.publish("a")
    worker = await engine.session(slots=5000, lease_s=1000)
    await engine.submit_many(1500)
    await worker.fail(*await worker.claim())
    user = await engine.connect(pinned=False)
    transaction = user.transaction()
    await transaction.start()
    tasks = await engine.submit_many(1500, connection=user)
    for _ in range(4):
        engine.advance(2)
        await engine.sweep_all()
    await transaction.commit()
    assert {grant.task_id for grant in await worker.claim()} == set(tasks)
