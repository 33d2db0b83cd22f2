"""Retention: what ended long ago goes, all of it, a little at a time; nothing else does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from support.batch_play import start
from support.checker import check
from support.engine import Engine
from support.templates import template

DAY_S = 86_400
_TABLES = """
select c.table_name from information_schema.columns c
join information_schema.tables t using (table_schema, table_name)
where c.table_schema = 'tasker_engine' and c.column_name = 'task_id' and t.table_type = 'BASE TABLE' order by 1
"""
_OTHERS_KEEP = {"events", "event_deliveries", "failures", "job_items"}
"""Tables with tasks in them that have a retention of their own."""


async def prune(engine: Engine) -> int:
    """The automatic retention until it has nothing more to do; how many tasks went."""
    total = 0
    for _ in range(100):
        pruned = await engine.verbs.prune(engine.connection)
        total += pruned["tasks"]
        if not pruned["more"]:
            return total
    raise AssertionError("the retention does not come to an end")


async def traces(engine: Engine, task_ids: Sequence[UUID]) -> dict[str, int]:
    """How many rows of each table are of these tasks."""
    found: dict[str, int] = {}
    for row in await engine.rows(_TABLES):
        if row["table_name"] not in _OTHERS_KEEP:
            query = f"select count(*) from tasker_engine.{row['table_name']} where task_id = any ($1)"
            if count := await engine.value(query, list(task_ids)):
                found[row["table_name"]] = count
    return found


async def end(engine: Engine) -> UUID:
    """A task of the template published last that has ended."""
    task = await engine.submit()
    await (await engine.session()).work_off()
    assert await engine.state(task) == "complete"
    return task


async def test_all_that_is_written_of_an_ended_task_goes(engine: Engine) -> None:
    """Complete, failed, cancelled and repaired tasks, batches and forks, with keys and declared fields: after thirty
    days no table knows of them, and the tables agree with each other."""
    await engine.publish(replace(template("a -> b"), name="with_fields", search_fields=("order.id",)))
    done = [await end(engine), await engine.submit({"order": {"id": "7"}}, idempotency_key="k", tags=["x"])]
    await engine.act("cancel", done[1])
    batch = await start(engine, 3)
    while await batch.all_at_once():
        pass
    assert await engine.state(batch.task) == "complete"
    gone = [*done, batch.task]
    assert {"batches", "batch_items", "acts", "identities", "task_fields"} <= (await traces(engine, gone)).keys()
    engine.advance(31 * DAY_S)
    kept = await end(engine)
    assert await prune(engine) == 3
    assert await traces(engine, gone) == {}
    assert await engine.state(kept) == "complete"
    assert check(engine.dsn) == []


async def test_what_has_not_ended_or_not_long_ago_stays(engine: Engine) -> None:
    """Open tasks are never deleted, however old; ended ones not before their time."""
    await engine.publish("a -> b")
    open_ones = [await engine.submit(), await engine.submit(delay_s=200 * DAY_S), await engine.submit()]
    await engine.act("pause", open_ones[2])
    worker = await engine.session()
    await worker.succeed(*await worker.claim())
    engine.advance(60 * DAY_S)
    await worker.succeed(*worker.held.values())
    engine.advance(29 * DAY_S)
    assert await prune(engine) == 0
    assert await engine.state(open_ones[0]) == "complete"
    engine.advance(2 * DAY_S)
    assert await prune(engine) == 1
    assert await traces(engine, open_ones[:1]) == {}
    for task in open_ones[1:]:
        assert (await traces(engine, [task]))["steps"] == 2


async def test_a_failed_task_stays_while_somebody_is_to_look_at_it(engine: Engine) -> None:
    """An entry of the dead letter queue that is pending keeps its task; once it is settled both go."""
    await engine.publish("a", max_attempts=1)
    task = await engine.submit()
    worker = await engine.session()
    await worker.retry(*await worker.claim())
    await engine.sweep_all()
    assert await engine.value("select status from tasker_engine.dlq where task_id = $1", task) == "pending"
    engine.advance(40 * DAY_S)
    assert await prune(engine) == 0
    await engine.connection.execute("update tasker_engine.dlq set status = 'permanently_failed'")
    assert await prune(engine) == 1
    assert await traces(engine, [task]) == {}


async def test_a_key_is_free_again(engine: Engine) -> None:
    """The key of a deleted task makes a new one."""
    await engine.publish("a")
    first = await engine.submit(idempotency_key="k")
    worker = await engine.session()
    await worker.succeed(*await worker.claim())
    assert await engine.submit(idempotency_key="k") == first
    engine.advance(31 * DAY_S)
    assert await prune(engine) == 1
    assert await engine.submit(idempotency_key="k") != first


async def test_a_strict_identity_goes_with_its_task(engine: Engine) -> None:
    """The same content may be submitted again."""
    await engine.publish(replace(template("a"), identity_strategy="strict"))
    first = await engine.submit({"n": 1})
    worker = await engine.session()
    await worker.succeed(*await worker.claim())
    engine.advance(31 * DAY_S)
    assert await prune(engine) == 1
    assert await engine.submit({"n": 1}) != first


async def test_cancelled_steps_leave_nothing_in_lanes_and_times(engine: Engine) -> None:
    """What lay ready for nobody, or waited for a time far off, goes with its task: nothing would find it later."""
    await engine.publish("a")
    ready = await engine.submit()
    late = await engine.submit(delay_s=300 * DAY_S)
    for task in (ready, late):
        await engine.act("cancel", task)
    assert (await engine.count("ready"), await engine.count("due")) == (1, 1)
    engine.advance(31 * DAY_S)
    assert await prune(engine) == 2
    assert (await engine.count("ready"), await engine.count("due")) == (0, 0)


async def test_one_call_is_short(engine: Engine) -> None:
    """A call deletes not many more steps than it is told to; the next goes on behind it, past what stays."""
    await engine.publish("a -> b -> c", max_attempts=1)
    tasks = [await end(engine) for _ in range(7)]
    engine.advance(31 * DAY_S)
    sizes: list[int] = []
    while not sizes or sizes[-1]:
        pruned = await engine.value("select tasker_engine.prune(4, $1)", engine.clock.now)
        sizes.append(json.loads(pruned)["tasks"])
    assert sizes == [2, 2, 2, 1, 0]
    assert await traces(engine, tasks) == {}


async def test_a_held_task_is_passed_over_and_found_again(engine: Engine) -> None:
    """Nobody waits for whoever holds a task; the next round has it."""
    await engine.publish("a")
    held, free = await end(engine), await end(engine)
    engine.advance(31 * DAY_S)
    other = await engine.connect()
    async with other.transaction():
        await other.execute(f"select from tasker_engine.tasks where task_id = '{held}' for no key update")
        await engine.connection.execute("set lock_timeout = '1s'")
        assert await prune(engine) == 1
        assert await traces(engine, [free]) == {}
    assert await prune(engine) == 1


async def test_only_one_process_prunes_at_a_time(engine: Engine) -> None:
    """Another one is answered at once that there is nothing for it to do."""
    await engine.publish("a")
    await end(engine)
    engine.advance(31 * DAY_S)
    other = await engine.connect()
    async with other.transaction():
        assert (await engine.verbs.prune(other))["tasks"] == 1
        assert await engine.verbs.prune(engine.connection) == {"tasks": 0, "others": 0, "more": False}


@pytest.mark.parametrize(("keep", "days", "goes"), [("0", 4000, 0), ("86400", 2, 1), ("864000", 2, 0)])
async def test_the_database_says_how_long(engine: Engine, keep: str, days: int, goes: int) -> None:
    """`tasker.retention_s` is a setting of the database; 0 keeps everything."""
    await engine.publish("a")
    await end(engine)
    engine.advance(days * DAY_S)
    await engine.connection.execute(f"set tasker.retention_s = {keep}")
    assert await prune(engine) == goes


async def test_sessions_and_jobs_that_ended_long_ago_go(engine: Engine) -> None:
    """What is about no task goes by the same age: sessions that hold nothing, and finished jobs with their items."""
    await engine.publish("a")
    worker, holding = await engine.session(), await engine.session()
    await worker.end()
    await engine.submit()
    await holding.claim()
    await engine.connection.raw.execute(
        "insert into tasker_engine.jobs (job_id, action, filter, actor, status, tasks_max, matched, below, created_at, "
        "updated_at, finished_at) values ($1, 'cancel', '{}', 'ada', 'done', 1, 0, $1, $2, $2, $2)",
        uuid4(),
        engine.clock.now,
    )
    engine.advance(31 * DAY_S)
    await prune(engine)
    assert await engine.count("jobs") == 0
    assert [row["session_id"] for row in await engine.rows("select session_id from tasker_engine.sessions")] == [
        holding.number
    ]
