"""A connection to RabbitMQ that is opened again when it is asked for after it was lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import AMQPError
from pydantic import SecretStr

CONNECT_S = 5.0
ANSWER_S = 5.0
"""How long a broker may take for an answer. One that begins again may never answer what it was asked too early."""
BROKER_ERRORS = (AMQPError, OSError, TimeoutError, RuntimeError)
"""The broker is away, or refuses. (Its client raises RuntimeError on what a lost connection has left behind.)"""


class Broker:
    """One connection and one channel with publisher confirms. `url` is secret: it holds a password."""

    def __init__(self, url: SecretStr, *, heartbeat_s: int, name: str) -> None:
        self._url = url
        self._heartbeat_s = heartbeat_s
        self._name = name
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self.lost = asyncio.Event()
        """Set when the channel that was opened last is closed, by whomever."""

    async def drop(self) -> None:
        """Something went wrong on it: nobody knows in which state it is, and it is opened again."""
        self.lost.set()
        await self.close()

    async def channel(self) -> tuple[AbstractChannel, bool]:
        """The open channel, and whether it is a new one. Raises BROKER_ERRORS."""
        if self._channel is not None and not self.lost.is_set():
            return self._channel, False
        await self.close()
        lost = self.lost = asyncio.Event()
        async with asyncio.timeout(CONNECT_S + ANSWER_S):
            self._connection = await aio_pika.connect(
                self._url.get_secret_value(),
                timeout=CONNECT_S,
                heartbeat=self._heartbeat_s,
                client_properties={"connection_name": self._name},
            )
            self._channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)

        def closed(*_: object) -> None:
            lost.set()

        self._channel.close_callbacks.add(closed)
        self._connection.close_callbacks.add(closed)
        return self._channel, True

    async def another_channel(self) -> AbstractChannel:
        """One more on the open connection, for what may end it. Raises BROKER_ERRORS."""
        if self._connection is None:
            raise ConnectionError("the connection to RabbitMQ was lost")
        return await self._connection.channel(publisher_confirms=False)

    async def close(self) -> None:
        """Closes it; what was not acknowledged comes to others."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with suppress(*BROKER_ERRORS):
                async with asyncio.timeout(CONNECT_S):
                    await connection.close()
