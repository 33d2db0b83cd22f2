"""Switching between transports, what the direct one leaves out, and the outbox with its publishers."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from support.engine import Engine
from support.rabbit import RabbitServer
from support.until import until
from transport_support import Begin, Foreign, Ran, finished, settings

from tasker.model.errors import SettingsError
from tasker.store import messages
from tasker.store.connection import connect
from tasker.store.migrate import script, status
from tasker.transport.opening import choose_transport
from tasker.transport.seam import PoisonedMessage, read_pointer

SCHEMA = "tasker_engine"
CHILD = """
import asyncio, sys
from tasker import Settings, Tasker
async def main(dsn, url):
    async with Tasker(dsn, settings=Settings(transport="rabbitmq", rabbitmq_url=url), worker=False):
        await asyncio.Event().wait()
asyncio.run(main(*sys.argv[1:]))
"""


async def triggers(engine: Engine) -> list[str]:
    """The triggers on the engine's tables."""
    rows = await engine.rows(
        "select t.tgname from pg_trigger t join pg_class c on c.oid = t.tgrelid"
        " where c.relnamespace = 'tasker_engine'::regnamespace and not t.tgisinternal order by 1"
    )
    return [row["tgname"] for row in rows]


async def test_the_direct_transport_has_nothing_on_the_way_of_a_verb(engine: Engine) -> None:
    """No trigger is there at first, nor after a switch to PGMQ and back; a transport that is used makes its own."""
    assert await triggers(engine) == []
    raw = await connect(engine.dsn)
    assert await messages.use_transport(raw, "pgmq", schema=SCHEMA) == "direct"
    assert await triggers(engine) == ["announce_results", "announce_steps"]
    assert await messages.use_transport(raw, "rabbitmq", schema=SCHEMA) == "pgmq"
    assert await triggers(engine) == ["announce_steps"]
    await raw.execute("drop trigger announce_steps on tasker_engine.ready")  # as a table that was made anew
    assert await messages.use_transport(raw, "rabbitmq", schema=SCHEMA) == "rabbitmq"
    assert await triggers(engine) == ["announce_steps"]
    await raw.execute(script(replace(await status(raw), functions_current=False)))  # an upgrade leaves it
    assert await triggers(engine) == ["announce_steps"]
    assert await messages.use_transport(raw, "direct", schema=SCHEMA) == "rabbitmq"
    assert await triggers(engine) == []
    await raw.close()


@pytest.mark.parametrize("transport", ["direct"])
async def test_a_switch_with_work_in_flight_loses_nothing(
    begin: Begin, namespace: str, ran: Ran, rabbit: RabbitServer
) -> None:
    """Processes that name one transport after the other join while tasks run: every task ends, each step ran once."""
    tasks: list[Any] = []
    for transport in ("direct", "pgmq", "rabbitmq", "pgmq", "direct"):
        joined = await begin(transport=transport, url=rabbit.url)
        made = await joined.submit_many("order", [{} for _ in range(30)], namespace=namespace)
        tasks += [one.task_uuid for one in made]
    assert await finished(joined, tasks) == ["complete"] * len(tasks)
    assert ran.counts == {(task, step): 1 for task in tasks for step in ("pay", "ship")}


@pytest.mark.parametrize("transport", ["rabbitmq"])
async def test_a_publisher_that_is_killed_is_replaced(
    begin: Begin, foreign: Foreign, database: str, namespace: str, rabbit: RabbitServer
) -> None:
    """Of two publishers the one with the lease is killed: the other one sends what waits in the outbox."""
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, database, rabbit.url.get_secret_value())
    raw = await connect(database)
    try:
        owner = "select owner from tasker_engine.publisher where leased_until > clock_timestamp()"
        first = await until(lambda: raw.fetchval(owner), "the child drains the outbox", within_s=60)
        worker = await begin(poll_s=3600)
        client = await begin(worker=False)
        assert await raw.fetchval(owner) == first
        child.kill()
        made = await client.submit_many("order", [{} for _ in range(5)], namespace=namespace)
        assert await finished(client, [one.task_uuid for one in made]) == ["complete"] * 5
        await until(lambda: worker.transport_counts["received"] > 0, "the worker was told by RabbitMQ")

        async def is_drained() -> bool:
            return await raw.fetchval("select count(*) from tasker_engine.messages") == 0

        await until(is_drained, "the outbox is empty")
        assert await raw.fetchval("select owner from tasker_engine.publisher") not in (None, first)
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
        await raw.close()


async def test_one_publisher_at_a_time_has_the_outbox(engine: Engine) -> None:
    """While a lease runs nobody else gets it, nor any message; who leaves hands it on at once."""
    raw = await connect(engine.dsn)
    await messages.use_transport(raw, "rabbitmq", schema=SCHEMA)
    await engine.publish("a -> b")
    await engine.submit_many(3)
    one, two = uuid4(), uuid4()
    assert await messages.lease_outbox(raw, one, 60, schema=SCHEMA)
    assert await messages.lease_outbox(raw, one, 60, schema=SCHEMA)
    assert not await messages.lease_outbox(raw, two, 60, schema=SCHEMA)
    assert await messages.take_messages(raw, two, 0, 10, schema=SCHEMA) == []
    taken = await messages.take_messages(raw, one, 0, 10, schema=SCHEMA)
    assert [json.loads(message.body)["attempt"] for message in taken] == [1, 1, 1]
    await messages.leave_outbox(raw, one, schema=SCHEMA)
    assert await messages.lease_outbox(raw, two, 60, schema=SCHEMA)
    assert len(await messages.take_messages(raw, two, taken[0].seq, 10, schema=SCHEMA)) == 2
    assert await messages.drop_messages(raw, [message.seq for message in taken], schema=SCHEMA) == 3
    await raw.close()


async def test_messages_that_nobody_reads_go_in_time(engine: Engine) -> None:
    """What lies in queues of PGMQ, and announcements in the outbox, is deleted after a day, and not before."""
    raw = await connect(engine.dsn)
    await engine.publish("a -> b")
    for transport, prune in (("pgmq", messages.prune_queues), ("rabbitmq", messages.prune_messages)):
        await messages.use_transport(raw, transport, schema=SCHEMA)
        await engine.submit_many(3)
        assert await prune(raw, 100, schema=SCHEMA) == 0
        await raw.execute("set tasker.message_keep_s = 0")
        assert await prune(raw, 100, schema=SCHEMA) == 3
        await raw.execute("reset tasker.message_keep_s")
    await raw.close()


async def test_events_that_wait_for_rabbitmq_go_on_to_pgmq(engine: Engine) -> None:
    """A switch drops announcements, which polling replaces, and takes events along in their order."""
    raw = await connect(engine.dsn)
    await messages.use_transport(raw, "rabbitmq", schema=SCHEMA)
    await engine.publish("a")
    await engine.submit_many(2)
    send = "select tasker_engine.send_messages('event', array['x_domain_events', 'x_domain_events'], array['', ''], $1)"
    await raw.execute(send, ['{"event_id": 1}', '{"event_id": 2}'])
    await messages.use_transport(raw, "pgmq", schema=SCHEMA)
    assert await raw.fetchval("select count(*) from tasker_engine.messages") == 0
    read = await messages.read_queues(raw, ["x_domain_events"], hidden_s=30, most=10, schema=SCHEMA)
    assert [json.loads(one.message)["event_id"] for one in read] == [1, 2]
    await raw.close()


async def test_a_transport_without_what_it_needs_is_refused(engine: Engine) -> None:
    """RabbitMQ without its address: the process says so, and the database stays as it was."""
    raw = await connect(engine.dsn)
    with pytest.raises(SettingsError, match="TASKER_RABBITMQ_URL"):
        await choose_transport(raw, settings("rabbitmq", None))
    assert await choose_transport(raw, settings("auto", None)) == "direct"
    await messages.use_transport(raw, "rabbitmq", schema=SCHEMA)
    assert await choose_transport(raw, settings("auto", None)) == "direct"
    assert await messages.transport_in_use(raw, schema=SCHEMA) == "rabbitmq"
    await raw.close()


def test_a_pointer_says_where_a_step_is() -> None:
    """A message is read strictly, and what is more in it is no trouble."""
    task = uuid4()
    said = {"task_uuid": str(task), "step_number": 2, "attempt": 1, "namespace": "shop", "more": []}
    assert read_pointer(json.dumps(said)).task_uuid == task
    for name, wrong in (("task_uuid", "x"), ("step_number", True), ("attempt", "1"), ("namespace", None)):
        with pytest.raises(PoisonedMessage):
            read_pointer(json.dumps(said | {name: wrong}))
    for text in ("", "[]", "{}", "7"):
        with pytest.raises(PoisonedMessage):
            read_pointer(text)
