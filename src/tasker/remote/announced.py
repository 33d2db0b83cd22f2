"""What RabbitMQ announces to a worker of a server. It only wakes: claims and reports go through the server as ever.

While the worker's queues are read it does not wait at the server, and when nothing has been announced for a while it
looks for work every few seconds alone. As soon as a queue is not read (the broker is away, nobody sends, the database
announces otherwise, no queue has been made yet) it asks as often as a worker without a broker. What a broker loses
therefore costs at most `RELIED_POLL_S`.

Messages come in bursts, and a claim may find nothing because another worker's claim is looking at the same rows; the
message that led to it is gone then. So after the last one the worker looks often for a while.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

from tasker.remote.verbs import GatewayVerbs
from tasker.settings import Settings
from tasker.transport.consumer import QUEUES_S, Consumer
from tasker.transport.seam import Pointer
from tasker.worker.log import log
from tasker.worker.worker import Worker

RELIED_POLL_S = 3.0
"""How often a worker looks for work whose queues are read: as often as it beats, for all that nobody announces."""
_QUIET_S = 5.0
"""It begins to do so when it has had nothing to do, and no message, for so long."""


class Announced:
    """Wakes a worker by RabbitMQ, from start() to stop(). `listens` is set while it has to wait at the server too."""

    def __init__(self, settings: Settings, worker: Worker, verbs: GatewayVerbs, listens: asyncio.Event) -> None:
        assert settings.rabbitmq_url is not None  # noqa: S101 - check_rabbitmq has looked
        self._turns = worker.turns
        self._verbs = verbs
        self._listens = listens
        self._poll_s = settings.poll_s
        self._is_read = False
        self._stirred_at = 0.0
        self._calming: asyncio.TimerHandle | None = None
        self._consumer = Consumer(
            settings.rabbitmq_url,
            self._queues,
            worker.announced,
            prefetch=settings.rabbitmq_prefetch,
            heartbeat_s=settings.rabbitmq_heartbeat_s,
            serves=self._serves,
            read=self._read,
            declares=False,
            queues_s=min(settings.beat_s, QUEUES_S),
        )

    @property
    def counts(self) -> Counter[str]:
        """received, passed (on to others), dead, and lost connections, since the start."""
        return self._consumer.counts

    def start(self) -> None:
        """Begins to read, as soon as the server names queues and the broker is there."""
        self._consumer.start()

    async def stop(self) -> None:
        """Ends."""
        await self._consumer.stop()
        if self._calming is not None:
            self._calming.cancel()

    async def _queues(self) -> Sequence[str]:
        """None while nothing could be started: what is announced then is for others."""
        return self._verbs.announced_on if self._turns.takes_work else ()

    def _serves(self, pointer: Pointer) -> bool:
        self._stir()
        return not pointer.handler or (pointer.namespace, pointer.handler) in self._verbs.served

    def _read(self, is_read: bool) -> None:
        log.info("RabbitMQ announces the work" if is_read else "the work is found by asking the server")
        self._is_read = is_read
        if is_read:
            self._listens.clear()
            self._stir()
        else:
            self._listens.set()
            self._look_every(self._poll_s)

    def _stir(self) -> None:
        """Something is going on: look often, until it is over."""
        self._stirred_at = time.monotonic()
        self._look_every(self._poll_s)
        if self._calming is None:
            self._calming = asyncio.get_running_loop().call_later(_QUIET_S, self._calm)

    def _calm(self) -> None:
        self._calming = None
        if not self._is_read:
            return
        left_s = self._stirred_at + _QUIET_S - time.monotonic()
        if left_s > 0 or not self._turns.is_idle:
            wait_s = left_s if left_s > 0 else _QUIET_S
            self._calming = asyncio.get_running_loop().call_later(wait_s, self._calm)
        else:
            self._look_every(max(self._poll_s, RELIED_POLL_S))

    def _look_every(self, poll_s: float) -> None:
        is_sooner, self._turns.poll_s = poll_s < self._turns.poll_s, poll_s
        if is_sooner:
            self._turns.wake()
