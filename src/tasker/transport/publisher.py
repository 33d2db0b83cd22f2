"""The publisher: drains the outbox into RabbitMQ. One at a time in the fleet, by a lease that another takes over.

What the broker has confirmed is dropped from the outbox, and nothing else is. So a message may go out twice, and none
is lost: a publisher that dies between the two, or whose lease ran out, has sent what its successor sends again.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from typing import cast
from uuid import uuid4

import orjson
from aio_pika.abc import AbstractChannel
from aiormq.channel import Channel as Underlay
from pamqp.commands import Basic
from pydantic import SecretStr

from tasker.store import messages
from tasker.store.connection import Connection, connect
from tasker.store.messages import Message
from tasker.transport.broker import ANSWER_S, BROKER_ERRORS, Broker
from tasker.transport.rounds import Rounds
from tasker.transport.topology import EVENTS, declare_event_queue, declare_events, declare_step_queue
from tasker.worker.log import log, words

SENT_MAX = 500
LEASE_S = 1.5
_SETTLED_S, _LOOK_BELOW_S, _MARK_S = 10.0, 5.0, 0.5
_PRUNE_S, _PRUNE_MAX = 60.0, 5000
_PERSISTENT = 2


class Publisher:
    """Runs from start() to stop(). Its rounds end with an error while the broker is away, and another may try."""

    def __init__(self, dsn: str, url: SecretStr, *, schema: str, poll_s: float, heartbeat_s: int) -> None:
        self._dsn = dsn
        self._schema = schema
        self._broker = Broker(url, heartbeat_s=heartbeat_s, name="tasker publisher")
        self._rounds = Rounds(
            dsn, f"{schema}_messages", self._round, poll_s=poll_s, what="the outbox cannot be sent to RabbitMQ"
        )
        self._owner = uuid4()
        self._has_lease = False
        self._leased_at = self._looked_below_at = self._pruned_at = float("-inf")
        self._floor = 0
        self._marks: deque[tuple[float, int]] = deque()
        self._declared: set[str] = set()
        self.counts: Counter[str] = Counter()

    def start(self) -> None:
        """Begins."""
        self._rounds.start()

    async def stop(self) -> None:
        """Ends, and leaves the outbox to others at once."""
        await self._rounds.stop()
        await self._broker.close()
        if self._has_lease:
            try:
                connection = await connect(self._dsn, timeout_s=LEASE_S, call_timeout_s=LEASE_S)
                await messages.leave_outbox(connection, self._owner, schema=self._schema)
                await connection.close()
            except Exception as error:
                log.warning("could not leave the outbox; its lease will end", error=words(error))

    def wake(self) -> None:
        """Something may lie in the outbox."""
        self._rounds.wake()

    async def _round(self, connection: Connection) -> bool:
        now = time.monotonic()
        if not await self._leads(connection, now):
            return False
        if now - self._pruned_at > _PRUNE_S:
            self.counts["pruned"] += await messages.prune_messages(connection, _PRUNE_MAX, schema=self._schema)
            self._pruned_at = now
        taken = await messages.take_messages(connection, self._owner, self._after(now), SENT_MAX, schema=self._schema)
        if not taken:
            return False
        try:
            channel = await self._open()
            sent, failed = await self._send(channel, taken)
        except BROKER_ERRORS as error:
            sent, failed = [], error
        await messages.drop_messages(connection, sent, schema=self._schema)
        self.counts["sent"] += len(sent)
        if failed is not None:
            self.counts["failed"] += 1
            self._has_lease = False
            await self._broker.drop()
            raise ConnectionError(f"RabbitMQ took {len(sent)} of {len(taken)} messages: {failed!r}") from failed
        self._mark(now, taken[-1].seq)
        return len(taken) == SENT_MAX

    async def _leads(self, connection: Connection, now: float) -> bool:
        """Whether this is the publisher; asked anew in a third of the lease."""
        if now - self._leased_at < LEASE_S / 3:
            return self._has_lease
        led, self._has_lease = (
            self._has_lease,
            await messages.lease_outbox(connection, self._owner, LEASE_S, schema=self._schema),
        )
        self._leased_at = now
        if self._has_lease and not led:
            self._floor = 0
            self._marks.clear()
        return self._has_lease

    # Where to look: an open snapshot keeps what was dropped in the way of each look from the beginning. What commits
    # late has a lower number than what went before: so the floor follows ten seconds behind, and is sometimes ignored.

    def _after(self, now: float) -> int:
        if now - self._looked_below_at > _LOOK_BELOW_S:
            self._looked_below_at = now
            return 0
        while self._marks and now - self._marks[0][0] > _SETTLED_S:
            self._floor = max(self._floor, self._marks.popleft()[1])
        return self._floor

    def _mark(self, now: float, seq: int) -> None:
        if not self._marks or now - self._marks[-1][0] > _MARK_S:
            self._marks.append((now, seq))

    # Sending ----------------------------------------------------------------------------------------------------------

    async def _open(self) -> AbstractChannel:
        channel, is_new = await self._broker.channel()
        if is_new:
            self._declared.clear()
            async with asyncio.timeout(ANSWER_S):
                await declare_events(channel)
        return channel

    async def _send(self, channel: AbstractChannel, taken: list[Message]) -> tuple[list[int], BaseException | None]:
        """What was confirmed, and what went wrong with the rest. Of a task's events one is under way at a time."""
        underlay = cast("Underlay", await channel.get_underlay_channel())
        lines: dict[str, list[tuple[Message, Basic.Properties]]] = {}
        for one in taken:
            key, properties = await self._labelled(channel, one)
            lines.setdefault(key, []).append((one, properties))
        sent: list[int] = []

        async def send_in_order(line: list[tuple[Message, Basic.Properties]]) -> None:
            for one, properties in line:
                await _publish(underlay, one, properties)
                sent.append(one.seq)

        answers = await asyncio.gather(*map(send_in_order, lines.values()), return_exceptions=True)
        return sent, next((one for one in answers if isinstance(one, BaseException)), None)

    async def _labelled(self, channel: AbstractChannel, one: Message) -> tuple[str, Basic.Properties]:
        """What the message must not overtake, and what it says of itself; declares where it goes."""
        message_id = key = f"step:{one.seq}"
        name, namespace = "step", ""
        if one.kind == "event":
            said = orjson.loads(one.body)
            message_id, key = said["event_id"], said["metadata"]["task_uuid"]
            name, namespace = said["event_name"], said["metadata"]["namespace"]
        if one.queue not in self._declared:
            async with asyncio.timeout(ANSWER_S):
                if one.kind == "step":
                    await declare_step_queue(channel, one.queue)
                else:
                    await declare_event_queue(channel, one.queue, namespace)
            self._declared.add(one.queue)
        return key, Basic.Properties(
            message_id=message_id, content_type="application/json", delivery_mode=_PERSISTENT, message_type=name
        )


async def _publish(channel: Underlay, one: Message, properties: Basic.Properties) -> None:
    """Returns when the broker has it. Straight on the channel: an exchange's own method costs a fifth more."""
    exchange, routing_key = ("", one.queue) if one.kind == "step" else (EVENTS, one.routing_key)
    body = one.body.encode()
    await channel.basic_publish(
        body,
        exchange=exchange,
        routing_key=routing_key,
        properties=properties,
        mandatory=True,
        timeout=ANSWER_S,
        wait=False,
    )
