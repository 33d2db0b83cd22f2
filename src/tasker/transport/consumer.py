"""The consumer: wakes a worker when steps are announced to it by RabbitMQ. It needs no database."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import ChannelNotFoundEntity
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel as Underlay
from pydantic import SecretStr

from tasker.transport.broker import ANSWER_S, BROKER_ERRORS, Broker
from tasker.transport.seam import READS_MAX, Pointer, PoisonedMessage, Queues, read_pointer
from tasker.transport.topology import declare_step_queue
from tasker.worker.log import log

QUEUES_S = 2.0
_PAUSE_S, _PAUSE_MAX_S = 0.1, 2.0
_SETTLE_S = 0.01
"""What comes in so short a time is acknowledged together, and wakes the worker once more, together."""
_PASSES_MAX = READS_MAX - 1
"""How often a message is passed on by workers that it does not concern; one more, and it would be a dead letter."""
_PASSED = "x-delivery-count"


def _all(pointer: Pointer) -> bool:
    """A worker that every message concerns."""
    return True


def _untold(is_read: bool) -> None:
    """Nobody asks whether the queues are read."""


class Consumer:
    """Reads the queues that `queues` answers, from start() to stop(). `wake` is called at the first of messages that
    come together, and after the last; `read` is told when all of them begin to be read, and when no longer.

    Messages are acknowledged at once: what they point to lies in the database, and whoever claims it there has a lease.
    One that is not for this worker (`serves`) goes back, for another reader of the queue, a few times at most.

    `declares` False: queues are not made, only read, which needs no permission but to read; others have to make them.
    `queues` is asked again every `queues_s` seconds.
    """

    def __init__(
        self,
        url: SecretStr,
        queues: Queues,
        wake: Callable[[], object],
        *,
        prefetch: int,
        heartbeat_s: int,
        serves: Callable[[Pointer], bool] = _all,
        read: Callable[[bool], None] = _untold,
        declares: bool = True,
        queues_s: float = QUEUES_S,
    ) -> None:
        self._broker = Broker(url, heartbeat_s=heartbeat_s, name="tasker consumer")
        self._ask_queues = queues
        self._wake_worker = wake
        self._serves = serves
        self._told_read = read
        self._declares = declares
        self._queues_s = queues_s
        self._prefetch = prefetch
        self._reading: dict[str, str] = {}
        self._taken: list[DeliveredMessage] = []
        self._settling: asyncio.Task[None] | None = None
        self._main: asyncio.Task[None] | None = None
        self.counts: Counter[str] = Counter()
        self._is_read = False

    def start(self) -> None:
        """Begins."""
        self._main = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends."""
        running = [one for one in (self._main, self._settling) if one is not None]
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._broker.close()

    async def _run(self) -> None:
        pause_s = _PAUSE_S
        while True:
            try:
                await self._until_wanted()
                channel, is_new = await self._broker.channel()
                if is_new:
                    self._reading.clear()
                    self._taken.clear()
                    await channel.set_qos(prefetch_count=self._prefetch)
                await self._follow(channel)
                pause_s = _PAUSE_S
                self._wake_worker()  # what was announced while nobody read may be waiting
                await self._watch(channel)
            except Exception as error:
                # Without the broker work is found by polling: it is waited for as long as it takes.
                said, is_ours = f"{type(error).__name__}: {error}", not isinstance(error, BROKER_ERRORS)
                log.warning("RabbitMQ cannot be read: trying again", error=said, seconds=pause_s, exc_info=is_ours)
            self._tell(False)
            self.counts["lost"] += 1
            await self._broker.drop()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _PAUSE_MAX_S)

    async def _until_wanted(self) -> None:
        """Returns when there is a queue to be read: until then nobody needs the broker."""
        while not await self._ask_queues():  # noqa: ASYNC110 - the answer comes from a database, or a server
            await asyncio.sleep(self._queues_s)

    async def _watch(self, channel: AbstractChannel) -> None:
        """Returns when the connection is lost; follows what queues there are meanwhile."""
        while not self._broker.lost.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._queues_s):
                    await self._broker.lost.wait()
                    return
            await self._follow(channel)

    async def _follow(self, channel: AbstractChannel) -> None:
        """Reads the queues that are ours now, and no others."""
        wanted = set(await self._ask_queues())
        underlay = cast("Underlay", await channel.get_underlay_channel())
        for name in [name for name, tag in self._reading.items() if tag not in underlay.consumers]:
            del self._reading[name]  # the broker has ended it: its queue was deleted
        for name in wanted - self._reading.keys():
            async with asyncio.timeout(ANSWER_S):
                if await self._is_there(channel, name):
                    # Not by the queue's own method: that costs two tasks more for each message.
                    answer = await underlay.basic_consume(name, self._take)
                    self._reading[name] = answer.consumer_tag or ""
        for name in self._reading.keys() - wanted:
            await underlay.basic_cancel(self._reading.pop(name), timeout=ANSWER_S)
        self._tell(bool(wanted) and wanted == self._reading.keys())

    async def _is_there(self, channel: AbstractChannel, name: str) -> bool:
        """Whether the queue can be read; makes it, where that is ours to do."""
        if self._declares:
            await declare_step_queue(channel, name)
            return True
        asking = await self._broker.another_channel()  # where there is no such queue, the question ends it
        try:
            await asking.declare_queue(name, passive=True)
        except ChannelNotFoundEntity:
            return False
        await asking.close()
        return True

    def _tell(self, is_read: bool) -> None:
        if is_read != self._is_read:
            self._is_read = is_read
            self._told_read(is_read)

    async def _take(self, message: DeliveredMessage) -> None:
        """A message. They are acknowledged in the order in which they came, each with all before it."""
        with suppress(*BROKER_ERRORS):  # a lost connection is seen by _watch; the message comes again
            try:
                pointer = read_pointer(message.body)
            except PoisonedMessage as error:
                self.counts["dead"] += 1
                log.error("a message that nobody can read", queue=message.routing_key, error=str(error))
                await message.channel.basic_reject(_tag(message), requeue=False)
                return
            self.counts["received"] += 1
            if not self._serves(pointer) and _passed(message) < _PASSES_MAX:
                self.counts["passed"] += 1
                await message.channel.basic_nack(_tag(message), requeue=True, wait=False)
                return
            self._taken.append(message)
            if self._settling is None:
                self._wake_worker()
                self._settling = asyncio.create_task(self._settle_soon())
            if len(self._taken) * 2 >= self._prefetch:
                await self._settle()

    async def _settle_soon(self) -> None:
        """One acknowledgement, and one more wake-up, for all that came meanwhile."""
        await asyncio.sleep(_SETTLE_S)
        self._settling = None
        self._wake_worker()
        with suppress(*BROKER_ERRORS):
            await self._settle()

    async def _settle(self) -> None:
        if self._taken:
            last = self._taken[-1]
            self._taken.clear()
            await last.channel.basic_ack(_tag(last), multiple=True, wait=False)


def _tag(message: DeliveredMessage) -> int:
    assert message.delivery_tag is not None  # noqa: S101 - what a consumer is handed has one
    return message.delivery_tag


def _passed(message: DeliveredMessage) -> int:
    """How often the message has gone back to its queue."""
    headers: Any = message.header.properties.headers or {}
    return int(headers.get(_PASSED, 0))
