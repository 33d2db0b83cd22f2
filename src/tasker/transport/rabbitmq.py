"""RabbitMQ: the verbs write an outbox, a publisher drains it into queues, and a consumer wakes this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

from tasker.settings import Settings
from tasker.transport.consumer import Consumer
from tasker.transport.publisher import Publisher
from tasker.transport.seam import Pointer, Queues
from tasker.worker.wakes import Wakes


class RabbitMq:
    """Both sides of one process. `queues` None: nothing is announced to it, and it only may be the publisher. `serves`
    says whether a message is for this process."""

    name = "rabbitmq"

    def __init__(
        self,
        dsn: str,
        settings: Settings,
        *,
        queues: Queues | None,
        serves: Callable[[Pointer], bool],
        wake: Callable[[], object],
        notify: Callable[[], Awaitable[object]],
    ) -> None:
        url, heartbeat_s = settings.rabbitmq_url, settings.rabbitmq_heartbeat_s
        assert url is not None  # noqa: S101 - `opening` has looked
        self._publisher = Publisher(
            dsn, url, schema=settings.schema_name, poll_s=settings.transport_poll_s, heartbeat_s=heartbeat_s
        )
        self._consumer = None
        if queues is not None:
            prefetch = settings.rabbitmq_prefetch
            self._consumer = Consumer(url, queues, wake, prefetch=prefetch, heartbeat_s=heartbeat_s, serves=serves)
        self._wakes = Wakes(notify)

    @property
    def counts(self) -> Counter[str]:
        """Of both sides."""
        return self._publisher.counts + (self._consumer.counts if self._consumer else Counter())

    async def start(self) -> None:
        """Begins to send and to read."""
        self._publisher.start()
        if self._consumer is not None:
            self._consumer.start()

    async def stop(self) -> None:
        """Ends both."""
        await self._wakes.close()
        if self._consumer is not None:
            await self._consumer.stop()
        await self._publisher.stop()

    def nudge(self) -> None:
        """The outbox is drained soon, here or by whoever has its lease."""
        self._publisher.wake()
        self._wakes.nudge()
