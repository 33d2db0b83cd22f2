"""From the settings to the transport of this process; a database follows the process that names another one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from tasker.handlers.resolution import offers
from tasker.model.errors import SettingsError
from tasker.settings import Settings
from tasker.store import messages
from tasker.store.connection import Connection
from tasker.transport.direct import Direct
from tasker.transport.pgmq import Pgmq
from tasker.transport.seam import Pointer, Queues, Transport
from tasker.worker.log import log

T = TypeVar("T")


class Ask(Protocol):
    """Calls its argument with a connection."""

    async def __call__(self, work: Callable[[Connection], Awaitable[T]], /) -> T: ...


async def choose_transport(connection: Connection, settings: Settings) -> str:
    """The transport that this process takes part in. One that the settings name becomes the database's.

    Raises SettingsError where something is missing for it, DatabaseUnavailable where the switch has to wait too long.
    """
    if settings.transport == "rabbitmq":
        check_rabbitmq(settings)
    schema = settings.schema_name
    before = await messages.transport_in_use(connection, schema=schema)
    if settings.transport != "auto":
        await messages.use_transport(connection, settings.transport, schema=schema)
        if settings.transport != before:
            log.info("the transport was switched", before=before, now=settings.transport)
        return settings.transport
    if before == "rabbitmq" and settings.rabbitmq_url is None:
        log.warning(
            "the database's transport is RabbitMQ, and TASKER_RABBITMQ_URL is not set: work is found by polling"
        )
        return "direct"
    return before


def check_rabbitmq(settings: Settings) -> None:
    """Raises SettingsError where something is missing to take part in RabbitMQ."""
    if settings.rabbitmq_url is None:
        raise SettingsError('the transport is "rabbitmq": set TASKER_RABBITMQ_URL, such as amqp://user:word@host/vhost')
    try:
        import aio_pika  # noqa: F401 # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        raise SettingsError("RabbitMQ needs more: `pip install 'tasker-engine[rabbitmq]'`") from error


def open_transport(
    name: str,
    dsn: str,
    settings: Settings,
    *,
    ask: Ask,
    handlers: Mapping[str, Any],
    queues: Sequence[str] | None,
    wake: Callable[[], object],
) -> Transport:
    """The transport of that name, not started.

    `handlers` are what the worker of this process runs; without any nothing is announced to it. `wake` is called on the
    loop when work was announced.
    """
    schema, served = settings.schema_name, offers(handlers)
    known = frozenset(served)

    def notify(channel: str) -> Callable[[], Awaitable[object]]:
        return lambda: ask(lambda connection: messages.notify(connection, channel))

    async def announced_on() -> Sequence[str]:
        return await ask(lambda one: messages.worker_queues(one, served, queues, schema=schema))

    def serves(pointer: Pointer) -> bool:
        return not pointer.handler or pointer.handler in known

    ours: Queues | None = announced_on if handlers else None
    if name == "pgmq":
        poll_s, said = settings.transport_poll_s, notify(f"{schema}_messages")
        return Pgmq(dsn, schema=schema, poll_s=poll_s, queues=ours, wake=wake, notify=said)
    if name == "rabbitmq":
        from tasker.transport.rabbitmq import RabbitMq

        said = notify(f"{schema}_messages")
        return RabbitMq(dsn, settings, queues=ours, serves=serves, wake=wake, notify=said)
    return Direct(notify(schema))
