"""What the tests of transports share: a template, Taskers on a transport, foreign consumers, mischief at the broker."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol
from uuid import UUID, uuid4

import aio_pika
import psycopg
from pydantic import SecretStr
from support.until import POLL_S

from tasker import Settings, Tasker
from tasker.handlers import step_handler
from tasker.transport.broker import BROKER_ERRORS
from tasker.transport.topology import declare_step_queue

TRANSPORTS = ("direct", "pgmq", "rabbitmq")
BROKERS = TRANSPORTS[1:]
NEVER_S = 3600.0


def chain(namespace: str) -> str:
    """A template of two steps that both publish a domain event."""
    return (
        f"tasker: 1\nnamespace_name: {namespace}\nname: order\nversion: 1.0.0\nsteps:\n"
        "  - {name: pay, handler: pay, publishes_events: [order.paid]}\n"
        "  - {name: ship, handler: ship, dependencies: [pay], publishes_events: [order.shipped]}\n"
    )


class Ran:
    """Handlers that count what they did, by task and step."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[UUID, str]] = Counter()

    def handlers(self, only: str = "") -> list[Any]:
        """One for each step of `chain`, or the one of that name."""

        @step_handler("pay")
        async def pay(context: Any) -> dict[str, int]:
            self.counts[context.task_uuid, "pay"] += 1
            return {"paid": 1}

        @step_handler("ship")
        async def ship(context: Any) -> dict[str, int]:
            self.counts[context.task_uuid, "ship"] += 1
            return {"shipped": 1}

        return [one for name, one in (("pay", pay), ("ship", ship)) if only in ("", name)]


class Begin(Protocol):
    """Starts a Tasker on the transport under test; the test need not stop it."""

    async def __call__(
        self, *, worker: bool = True, poll_s: float = 0.05, only: str = "", **options: Any
    ) -> Tasker: ...


def settings(transport: str, url: SecretStr | None, **more: Any) -> Settings:
    """Quick ones, on that transport."""
    quick = {"beat_s": 0.2, "sweep_s": 0.1, "transport_poll_s": 0.05, "lease_s": 15}
    return Settings(transport=transport, rabbitmq_url=url, **(quick | more))


class Foreign:
    """A program that knows the broker and a queue's name, and nothing of Tasker."""

    def __init__(self, transport: str, dsn: str, url: SecretStr | None) -> None:
        self.transport = transport
        self._dsn = dsn
        self._url = url

    @asynccontextmanager
    async def database(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """A connection with another driver, as other programs have it."""
        async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True) as connection:
            yield connection

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[Any]:
        """A channel of RabbitMQ."""
        assert self._url is not None
        connection = await aio_pika.connect(self._url.get_secret_value(), timeout=30)
        async with connection:
            yield await connection.channel()

    async def take(self, queue: str, most: int = 1000) -> list[Any]:
        """Takes what lies in a queue, for good: the bodies, in order; one that is no JSON as text."""
        if self.transport == "pgmq":
            async with self.database() as connection:
                known = await connection.execute("select 1 from pgmq.meta where queue_name = %s", [queue])
                if await known.fetchone() is None:
                    return []
                rows = await connection.execute("select message from pgmq.pop(%s, %s) order by msg_id", [queue, most])
                return [row[0] for row in await rows.fetchall()]
        bodies: list[Any] = []
        # A queue that is being made, and a broker that begins, refuse in many ways; what was taken counts.
        with suppress(*BROKER_ERRORS):
            async with asyncio.timeout(10), self.channel() as channel:
                found = await channel.declare_queue(queue, passive=True)
                while len(bodies) < most and (message := await found.get(fail=False)) is not None:
                    bodies.append(_body(message.body))
                    await message.ack()
        return bodies

    async def put(self, queue: str, *bodies: Any) -> None:
        """Puts messages into a queue; a text as it is where the broker takes it."""
        if self.transport == "pgmq":
            async with self.database() as connection:
                for body in bodies:
                    await connection.execute("select pgmq.send(%s, %s::jsonb)", [queue, json.dumps(body)])
            return
        async with self.channel() as channel:
            for body in bodies:
                raw = body if isinstance(body, str) else json.dumps(body)
                await channel.default_exchange.publish(aio_pika.Message(raw.encode()), queue)

    async def nudge(self, times: int) -> None:
        """Wakes everybody who listens, so often, for nothing."""
        async with self.database() as connection:
            for _ in range(times):
                await connection.execute("select pg_notify('tasker_engine', '')")
                await connection.execute("select pg_notify('tasker_engine_messages', '')")

    async def cut(self) -> None:
        """Ends every other connection to the database."""
        async with self.database() as connection:
            await connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )


def _body(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode()


class Mischief:
    """Takes announcements from a worker's queue, beside the worker, and loses, doubles, delays and reorders them."""

    def __init__(self, foreign: Foreign, queue: str, seed: int) -> None:
        self._foreign = foreign
        self._queue = queue
        self._random = random.Random(seed)
        self._kept: list[Any] = []
        self.did: Counter[str] = Counter()

    async def run(self) -> None:
        """Until it is cancelled."""
        if self._foreign.transport == "rabbitmq":
            async with self._foreign.channel() as channel:
                queue = await declare_step_queue(channel, self._queue)
                await queue.consume(self._keep)  # the broker hands every other message to us
                await self._meddle()
        else:
            await self._meddle()

    async def _keep(self, message: Any) -> None:
        self._kept.append(_body(message.body))
        await message.ack()

    async def _meddle(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            if self._foreign.transport == "direct":
                await self._foreign.nudge(self._random.randint(1, 20))
                self.did["doubled"] += 1
                continue
            if self._foreign.transport == "pgmq":
                self._kept += await self._foreign.take(self._queue, 50)
            if again := self._spoil():
                await self._foreign.put(self._queue, *again)

    def _spoil(self) -> list[Any]:
        """What is put back of what was taken."""
        self._random.shuffle(self._kept)
        again: list[Any] = []
        while len(self._kept) > 5:
            one = self._kept.pop()
            what = self._random.choice(["lost", "late", "doubled"])
            self.did[what] += 1
            again += {"lost": [], "late": [one], "doubled": [one, one]}[what]
        return again[:20]


def fresh_namespace() -> str:
    """One that no other test has: a broker outlives a test."""
    return f"n{uuid4().hex[:12]}"


async def finished(tasker: Tasker, tasks: list[UUID], within_s: float = 60) -> list[str]:
    """The states in which the tasks end."""
    async with asyncio.timeout(within_s):
        return [(await tasker.wait(one)).status for one in tasks]
