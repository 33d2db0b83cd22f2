"""Workers without a database that RabbitMQ wakes: claims and reports go through a server, the broker only wakes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from support.rabbit import RabbitServer
from support.serving import served
from support.until import until
from transport_support import NEVER_S, Foreign, Ran, chain, finished, settings

from tasker import Tasker
from tasker.model.errors import SettingsError
from tasker.remote.worker import RemoteWorker
from tasker.settings import Settings
from tasker.store import messages
from tasker.store.connection import connect
from tasker.templates import load_text
from tasker.transport.consumer import Consumer
from tasker.transport.seam import Pointer
from tasker.transport.topology import declare_step_queue


class Counting:
    """An ASGI application whose calls of workers are counted, by their last word; `open` has those under way."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.calls, self.open = Counter[str](), Counter[str]()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        word = scope.get("path", "").rpartition("/")[2]
        self.calls[word] += 1
        self.open[word] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self.open[word] -= 1


@pytest.fixture(scope="module")
def reader(rabbit: RabbitServer) -> SecretStr:
    """A user of the broker who may read workers' queues, and nothing else."""
    return rabbit.add_reader("reader", "^worker_.*_queue$")


@pytest.fixture
async def client(database: str, rabbit: RabbitServer, namespace: str) -> AsyncIterator[Tasker]:
    """Submits, sends announcements to RabbitMQ, and looks."""
    async with Tasker(database, worker=False, settings=settings("rabbitmq", rabbit.url)) as made:
        await made.publish(load_text(chain(namespace)).template)
        yield made


@pytest.fixture
def server(client: Tasker, rabbit: RabbitServer) -> Iterator[tuple[str, Counting]]:
    """Where workers call, and what they called."""
    made: list[Counting] = []

    def make() -> Any:
        made.append(Counting(Tasker(client.dsn, worker=False, settings=settings("auto", rabbit.url)).asgi()))
        return made[0]

    with served(make) as serving:
        yield serving.url, made[0]


@pytest.fixture
async def queue(rabbit: RabbitServer, namespace: str) -> str:
    """The queue of the test's steps, made as an administrator would."""
    name = f"worker_{namespace}_queue"
    async with Foreign("rabbitmq", "", rabbit.url).channel() as channel:
        await declare_step_queue(channel, name)
    return name


def remote(url: str, handlers: list[Any], broker: SecretStr | None, **more: Any) -> RemoteWorker:
    """A worker that looks for work once an hour, unless it is woken."""
    return RemoteWorker(url, handlers=handlers, settings=settings("auto", broker, **({"poll_s": NEVER_S} | more)))


def is_relied_on(worker: RemoteWorker) -> bool:
    """Whether it waits for RabbitMQ alone."""
    assert worker._announced is not None
    return not worker._announced._listens.is_set()


async def submit(client: Tasker, namespace: str, count: int) -> list[UUID]:
    return [one.task_uuid for one in await client.submit_many("order", [{}] * count, namespace=namespace)]


async def test_a_worker_without_a_database_is_woken_by_the_broker(
    client: Tasker, server: tuple[str, Counting], reader: SecretStr, namespace: str, ran: Ran
) -> None:
    """It reads its queue as a user who may only read, once somebody has made it; then nothing else wakes it, and while
    the database announces otherwise it waits at the server as without a broker."""
    url, counting = server
    async with remote(url, ran.handlers(), reader) as worker:
        assert await finished(client, await submit(client, namespace, 1)) == ["complete"]
        await until(lambda: is_relied_on(worker), "the queue is there, and read")
        assert await finished(client, await submit(client, namespace, 1)) == ["complete"]
        await until(lambda: not counting.open["wait"], "the last call that waited is over")
        waits, received = counting.calls["wait"], worker.transport_counts["received"]
        for _ in range(3):
            assert await finished(client, await submit(client, namespace, 2)) == ["complete"] * 2
        assert (counting.calls["wait"], worker.transport_counts["received"] >= received + 3) == (waits, True)
        await _switch(client, "direct")
        await until(lambda: not is_relied_on(worker) and counting.open["wait"], "it waits at the server")
        assert await finished(client, await submit(client, namespace, 1)) == ["complete"]
        await _switch(client, "rabbitmq")
        await until(lambda: is_relied_on(worker), "it is announced there again")
        assert await finished(client, await submit(client, namespace, 1)) == ["complete"]
    assert set(ran.counts.values()) == {1}


async def _switch(client: Tasker, transport: str) -> None:
    raw = await connect(client.dsn)
    await messages.use_transport(raw, transport, schema="tasker_engine")
    await raw.close()


@pytest.mark.slow
async def test_a_worker_outlives_its_broker(
    client: Tasker, server: tuple[str, Counting], rabbit: RabbitServer, queue: str, namespace: str, ran: Ran
) -> None:
    """The broker is killed: the worker is woken through the server; it comes back: the worker is woken by it again."""
    since = time.time()
    async with remote(server[0], ran.handlers(), rabbit.url) as worker:
        await until(lambda: is_relied_on(worker), "the queue is read")
        tasks = await submit(client, namespace, 2)
        await until(lambda: rabbit.is_flushed(since), "the broker has written down its queues")
        await asyncio.to_thread(rabbit.kill)
        try:
            tasks += await submit(client, namespace, 5)
            await until(lambda: not is_relied_on(worker), "the broker is missed")
            tasks += await submit(client, namespace, 5)
            assert await finished(client, tasks) == ["complete"] * 12
        finally:
            await asyncio.to_thread(rabbit.start)
        await until(lambda: is_relied_on(worker), "the queue is read again", within_s=60)
        received = worker.transport_counts["received"]
        assert await finished(client, await submit(client, namespace, 2)) == ["complete"] * 2
        await until(lambda: worker.transport_counts["received"] > received, "the broker announces again")
    assert set(ran.counts.values()) == {1}


async def test_workers_of_one_queue_with_other_handlers_pass_messages_on(
    client: Tasker, server: tuple[str, Counting], rabbit: RabbitServer, queue: str, namespace: str, ran: Ran
) -> None:
    """Two workers share a queue, each has one of the handlers: tasks go to and fro between them, the messages of a
    handler that nobody has are put down after a few passes, and nothing becomes a dead letter."""
    async with (
        remote(server[0], ran.handlers("pay"), rabbit.url, poll_s=0.2) as one,
        remote(server[0], ran.handlers("ship"), rabbit.url, poll_s=0.2) as other,
    ):
        for worker in (one, other):
            await until(lambda worker=worker: is_relied_on(worker), "the queue is read")
        assert await finished(client, await submit(client, namespace, 20)) == ["complete"] * 20
        await until(lambda: _done_with(one) + _done_with(other) == 40, "each message found its place")
        before = one.transport_counts + other.transport_counts
        foreign = Foreign("rabbitmq", client.dsn, rabbit.url)
        nobodys = {"task_uuid": str(uuid4()), "step_number": 1, "attempt": 1, "namespace": namespace}
        await foreign.put(queue, *[{**nobodys, "handler": "missing"}] * 3)

        def since() -> Counter[str]:
            return one.transport_counts + other.transport_counts - before

        await until(lambda: since() == {"received": 15, "passed": 12}, "each was read five times, and then put down")
        assert await finished(client, await submit(client, namespace, 1)) == ["complete"]
        assert since()["received"] <= 15 + 2 * 5  # those of the last task, passed on as often as may be
    assert before["passed"] > 0
    assert await foreign.take(f"{queue}_dlq") == []
    assert set(ran.counts.values()) == {1}


def _done_with(worker: RemoteWorker) -> int:
    """How many messages it has not passed on."""
    return worker.transport_counts["received"] - worker.transport_counts["passed"]


async def test_a_lone_message_reaches_the_reader_that_it_concerns(rabbit: RabbitServer, queue: str) -> None:
    """Of two readers of a queue, in turn, each message that is for one of them comes to that one."""
    heard = Counter[str]()
    foreign = Foreign("rabbitmq", "", rabbit.url)
    pointer = {"task_uuid": str(uuid4()), "step_number": 1, "attempt": 1, "namespace": "any"}
    async with reading(rabbit.url, queue, "pay", heard) as one, reading(rabbit.url, queue, "ship", heard) as other:
        for number in range(1, 7):
            await foreign.put(queue, {**pointer, "handler": "pay"})
            await until(lambda number=number: heard["pay"] == number, "it was heard")
        assert (one.counts["received"], one.counts["passed"]) == (6, 0)
        assert other.counts["received"] == other.counts["passed"] > 0
        await foreign.put(queue, pointer, pointer)
        await until(lambda: heard[""] == 2, "what names no handler is for whoever reads it")


@asynccontextmanager
async def reading(url: SecretStr, queue: str, handler: str, heard: Counter[str]) -> AsyncIterator[Consumer]:
    """A reader of the queue, for messages to this handler."""

    async def queues() -> list[str]:
        return [queue]

    def serves(pointer: Pointer) -> bool:
        is_served = pointer.handler in ("", handler)
        heard[pointer.handler] += is_served
        return is_served

    is_read = asyncio.Event()
    made = Consumer(url, queues, lambda: None, prefetch=10, heartbeat_s=30, serves=serves, read=lambda _: is_read.set())
    made.start()
    try:
        async with asyncio.timeout(30):
            await is_read.wait()
        yield made
    finally:
        await made.stop()


async def test_what_is_announced_names_its_handler(client: Tasker, foreign_rabbit: Foreign, namespace: str) -> None:
    """A message says which handler its step needs, so that who has another can leave it."""
    await submit(client, namespace, 1)
    taken: list[Any] = []

    async def announced() -> bool:
        taken.extend(await foreign_rabbit.take(f"worker_{namespace}_queue"))
        return bool(taken)

    await until(announced, "the step was announced")
    assert (taken[0]["handler"], taken[0]["namespace"]) == ("pay", namespace)


@pytest.fixture
def foreign_rabbit(rabbit: RabbitServer) -> Foreign:
    """A program that reads the broker."""
    return Foreign("rabbitmq", "", rabbit.url)


def test_a_worker_says_what_it_lacks_for_rabbitmq(ran: Ran) -> None:
    """RabbitMQ without its address is refused; an address that another transport leaves unused is not."""
    with pytest.raises(SettingsError, match="TASKER_RABBITMQ_URL"):
        RemoteWorker("http://127.0.0.1:9", handlers=ran.handlers(), settings=Settings(transport="rabbitmq"))
    unused = settings("direct", SecretStr("amqp://127.0.0.1:9"))
    assert RemoteWorker("http://127.0.0.1:9", handlers=ran.handlers(), settings=unused)._announced is None
