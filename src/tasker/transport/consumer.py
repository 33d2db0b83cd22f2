"""The consumer: wakes a worker when steps are announced to it by RabbitMQ. It needs no database."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from pydantic import SecretStr

from tasker.transport.broker import ANSWER_S, BROKER_ERRORS, Broker
from tasker.transport.seam import PoisonedMessage, Queues, read_pointer
from tasker.transport.topology import declare_step_queue
from tasker.worker.log import log

_QUEUES_S = 2.0
_PAUSE_S, _PAUSE_MAX_S = 0.1, 2.0


class Consumer:
    """Reads the queues that `queues` answers, from start() to stop(); `wake` is called for each message.

    A message is acknowledged at once: what it points to lies in the database, and whoever claims it there has a lease.
    """

    def __init__(
        self, url: SecretStr, queues: Queues, wake: Callable[[], object], *, prefetch: int, heartbeat_s: int
    ) -> None:
        self._broker = Broker(url, heartbeat_s=heartbeat_s, name="tasker consumer")
        self._ask_queues = queues
        self._wake_worker = wake
        self._prefetch = prefetch
        self._reading: dict[str, tuple[AbstractQueue, str]] = {}
        self._main: asyncio.Task[None] | None = None
        self.counts: Counter[str] = Counter()
        self.reads = asyncio.Event()
        """Set while the queues are read."""

    def start(self) -> None:
        """Begins."""
        self._main = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends."""
        if self._main is not None:
            self._main.cancel()
            await asyncio.gather(self._main, return_exceptions=True)
        await self._broker.close()

    async def _run(self) -> None:
        pause_s = _PAUSE_S
        while True:
            try:
                channel, is_new = await self._broker.channel()
                if is_new:
                    self._reading.clear()
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
        for name in wanted - self._reading.keys():
            async with asyncio.timeout(ANSWER_S):
                queue = await declare_step_queue(channel, name)
                self._reading[name] = queue, await queue.consume(self._take)
        for name in self._reading.keys() - wanted:
            queue, tag = self._reading.pop(name)
            await queue.cancel(tag, timeout=ANSWER_S)

    async def _take(self, message: AbstractIncomingMessage) -> None:
        with suppress(*BROKER_ERRORS):  # a lost connection is seen by _watch; the message comes again
            try:
                read_pointer(message.body)
            except PoisonedMessage as error:
                self.counts["dead"] += 1
                log.error("a message that nobody can read", queue=message.routing_key, error=str(error))
                await message.reject(requeue=False)
            else:
                self.counts["received"] += 1
                self._wake_worker()
                await message.ack()
