"""A RabbitMQ that is short of memory: it takes nothing from who publishes, and says nothing either."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from support.rabbit import RabbitServer
from support.until import until
from transport_support import Begin, Foreign, finished

from tasker.store.connection import connect


def sockets() -> int:
    """How many this process has open."""
    folder, found = "/proc/self/fd", 0
    for name in os.listdir(folder):
        try:
            found += os.readlink(f"{folder}/{name}").startswith("socket:")
        except OSError:  # it was closed meanwhile
            continue
    return found


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts sockets in /proc")
@pytest.mark.parametrize("transport", ["rabbitmq"])
async def test_an_alarm_of_the_broker_costs_time_alone(
    begin: Begin, foreign: Foreign, rabbit: RabbitServer, namespace: str
) -> None:
    """While the broker blocks who publishes, tasks end as ever, what is to be sent stays in the outbox, connections do
    not pile up, and processes stop; when the alarm is over, another one sends each event."""
    worker = await begin()
    client = await begin(worker=False)
    made = await client.submit_many("order", [{}] * 5, namespace=namespace)
    tasks = [one.task_uuid for one in made]
    told: set[tuple[str, str]] = set()

    async def all_told() -> bool:
        for event in await foreign.take(f"{namespace}_domain_events"):
            told.add((event["metadata"]["task_uuid"], event["event_name"]))
        return told >= {(str(task), name) for task in tasks for name in ("order.paid", "order.shipped")}

    def failed() -> int:
        return worker.transport_counts["failed"] + client.transport_counts["failed"]

    await until(all_told, "the broker has carried something")
    raw: Any = await connect(client.dsn)
    await asyncio.to_thread(rabbit.control, "set_vm_memory_high_watermark", "0.0000001")
    try:
        made = await client.submit_many("order", [{}] * 20, namespace=namespace)
        tasks += [one.task_uuid for one in made]
        assert await finished(client, tasks) == ["complete"] * 25
        await until(failed, "a publish was not confirmed", within_s=60)
        before, tried = sockets(), failed()
        await until(lambda: failed() >= tried + 3, "it was tried again and again", within_s=120)
        assert sockets() <= before + 1
        assert await raw.fetchval("select count(*) from tasker_engine.messages where kind = 'event'") == 40
        async with asyncio.timeout(60):
            await asyncio.gather(worker.stop(), client.stop())
    finally:
        await asyncio.to_thread(rabbit.control, "set_vm_memory_high_watermark", "0.4")
    await begin(worker=False)
    await until(all_told, "each event was told", within_s=60)

    async def is_drained() -> bool:
        return await raw.fetchval("select count(*) from tasker_engine.messages") == 0

    await until(is_drained, "the outbox is empty", within_s=60)
    await raw.close()
