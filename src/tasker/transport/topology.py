"""What Tasker declares at RabbitMQ: all of it durable, queues replicated (quorum), with a bound on what lies unread.

A queue for steps has an exchange and a queue for what nobody can make sense of, or was delivered too often:
`{queue}_dlx` and `{queue}_dlq`. Domain events go to the topic exchange `tasker.events`, with `namespace.event_name` as
their routing key; the queue `{namespace}_domain_events` is bound to it, and others may bind queues of their own.
"""

from __future__ import annotations

from typing import Any

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractQueue

from tasker.transport.seam import READS_MAX

EVENTS = "tasker.events"
STEP_KEEP_S = 86_400
EVENT_KEEP_S = 604_800


async def declare_step_queue(channel: AbstractChannel, name: str) -> AbstractQueue:
    """The queue on which steps are announced, and where its dead letters go. Safe to repeat."""
    dead = await channel.declare_exchange(f"{name}_dlx", ExchangeType.FANOUT, durable=True)
    dead_queue = await channel.declare_queue(f"{name}_dlq", durable=True, arguments=_quorum(EVENT_KEEP_S))
    await dead_queue.bind(dead)
    more = {"x-dead-letter-exchange": f"{name}_dlx", "x-delivery-limit": READS_MAX}
    return await channel.declare_queue(name, durable=True, arguments=_quorum(STEP_KEEP_S) | more)


async def declare_events(channel: AbstractChannel) -> AbstractExchange:
    """The exchange of domain events."""
    return await channel.declare_exchange(EVENTS, ExchangeType.TOPIC, durable=True)


async def declare_event_queue(channel: AbstractChannel, name: str, namespace: str) -> AbstractQueue:
    """The queue that keeps the events of a namespace until somebody reads them, for a week at most."""
    queue = await channel.declare_queue(name, durable=True, arguments=_quorum(EVENT_KEEP_S))
    await queue.bind(await declare_events(channel), f"{namespace}.#")
    return queue


def _quorum(keep_s: int) -> dict[str, Any]:
    return {"x-queue-type": "quorum", "x-message-ttl": keep_s * 1000}
