"""The consumer: wakes a worker when steps are announced to it by RabbitMQ. It needs no database."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from aio_pika.abc import AbstractChannel
from aiormq.abc import DeliveredMessage
from pydantic import SecretStr

from tasker.transport.broker import ANSWER_S, BROKER_ERRORS, Broker
from tasker.transport.seam import PoisonedMessage, Queues, read_pointer
from tasker.transport.topology import declare_step_queue
from tasker.worker.log import log

_QUEUES_S = 2.0
_PAUSE_S, _PAUSE_MAX_S = 0.1, 2.0
_SETTLE_S = 0.01
"""What comes in so short a time is acknowledged together, and wakes the worker once more, together."""


class Consumer:
    """Reads the queues that `queues` answers, from start() to stop(). `wake` is called at the first of messages that
    come together, and after the last.

    Messages are acknowledged at once: what they point to lies in the database, and whoever claims it there has a lease.
    """

    def __init__(
        self, url: SecretStr, queues: Queues, wake: Callable[[], object], *, prefetch: int, heartbeat_s: int
    ) -> None:
        self._broker = Broker(url, heartbeat_s=heartbeat_s, name="tasker consumer")
        self._ask_queues = queues
        self._wake_worker = wake
        self._prefetch = prefetch
        self._reading: dict[str, str] = {}
        self._taken: list[DeliveredMessage] = []
        self._settling: asyncio.Task[None] | None = None
        self._main: asyncio.Task[None] | None = None
        self.counts: Counter[str] = Counter()
        self.reads = asyncio.Event()
        """Set while the queues are read."""

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
                channel, is_new = await self._broker.channel()
                if is_new:
                    self._reading.clear()
                    self._taken.clear()
                    await channel.set_qos(prefetch_count=self._prefetch)
                await self._follow(channel)
                pause_s = _PAUSE_S
                self.reads.set()
                self._wake_worker()  # what was announced while nobody read may be waiting
                await self._watch(channel)
            except Exception as error:
                # Without the broker work is found by polling: it is waited for as long as it takes.
                said, is_ours = f"{type(error).__name__}: {error}", not isinstance(error, BROKER_ERRORS)
                log.warning("RabbitMQ cannot be read: trying again", error=said, seconds=pause_s, exc_info=is_ours)
            self.reads.clear()
            self.counts["lost"] += 1
            await self._broker.drop()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _PAUSE_MAX_S)

    async def _watch(self, channel: AbstractChannel) -> None:
        """Returns when the connection is lost; follows what queues there are meanwhile."""
        while not self._broker.lost.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_QUEUES_S):
                    await self._broker.lost.wait()
                    return
            await self._follow(channel)

    async def _follow(self, channel: AbstractChannel) -> None:
        """Reads the queues that are ours now, and no others."""
        wanted = set(await self._ask_queues())
        underlay = await channel.get_underlay_channel()
        for name in wanted - self._reading.keys():
            async with asyncio.timeout(ANSWER_S):
                await declare_step_queue(channel, name)
                # Not by the queue's own method: that costs two tasks more for each message.
                answer = await underlay.basic_consume(name, self._take)
                self._reading[name] = answer.consumer_tag or ""
        for name in self._reading.keys() - wanted:
            await underlay.basic_cancel(self._reading.pop(name), timeout=ANSWER_S)

    async def _take(self, message: DeliveredMessage) -> None:
        """A message. They are acknowledged in the order in which they came, each with all before it."""
        with suppress(*BROKER_ERRORS):  # a lost connection is seen by _watch; the message comes again
            try:
                read_pointer(message.body)
            except PoisonedMessage as error:
                self.counts["dead"] += 1
                log.error("a message that nobody can read", queue=message.routing_key, error=str(error))
                await message.channel.basic_reject(_tag(message), requeue=False)
                return
            self.counts["received"] += 1
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
