"""What RabbitMQ announces to a worker of a server. It only wakes: claims and reports go through the server as ever.

While the worker's queues are read it need not ask so often: it looks for work every few seconds, and does not wait at
the server. As soon as one of them is not (the broker is away, nobody sends, the database announces otherwise, no queue
has been made yet) it does both again as a worker without a broker does. What a broker loses therefore costs at most
`RELIED_POLL_S`.
"""

from __future__ import annotations

import asyncio
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


class Announced:
    """Wakes a worker by RabbitMQ, from start() to stop(). `listens` is set while it has to wait at the server too."""

    def __init__(self, settings: Settings, worker: Worker, verbs: GatewayVerbs, listens: asyncio.Event) -> None:
        assert settings.rabbitmq_url is not None  # noqa: S101 - check_rabbitmq has looked
        self._turns = worker.turns
        self._verbs = verbs
        self._listens = listens
        self._poll_s = settings.poll_s
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

    async def _queues(self) -> Sequence[str]:
        """None while nothing could be started: what is announced then is for others."""
        return self._verbs.announced_on if self._turns.takes_work else ()

    def _serves(self, pointer: Pointer) -> bool:
        return not pointer.handler or (pointer.namespace, pointer.handler) in self._verbs.served

    def _read(self, is_read: bool) -> None:
        log.info("RabbitMQ announces the work" if is_read else "the work is found by asking the server")
        if is_read:
            self._listens.clear()
        else:
            self._listens.set()
        self._turns.poll_s = max(self._poll_s, RELIED_POLL_S) if is_read else self._poll_s
        self._turns.wake()
