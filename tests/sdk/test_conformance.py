"""The conformance suite of workers, run against the Python worker: on the database, by brokers, through a server."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.rabbit import RabbitServer
from support.serving import served
from support.until import until

from tasker import Tasker
from tasker.remote.worker import RemoteWorker
from tasker.settings import Settings
from tasker.transport.broker import Broker
from tasker.transport.topology import declare_step_queue

sys.path.insert(0, str(Path(__file__).parents[2] / "sdk" / "conformance"))
import drive
import python_worker

SETTINGS = Settings(**drive.SETTINGS)
NEVER_S = 3600.0


@pytest.fixture
async def tasker(database: str) -> AsyncIterator[Tasker]:
    """Submits, and looks."""
    async with Tasker(database, worker=False, settings=SETTINGS) as made:
        yield made


@pytest.fixture
def faulty(tasker: Tasker) -> Iterator[tuple[str, drive.Faults]]:
    """A server that can lose answers, and its address."""
    made: list[drive.Faults] = []

    def make() -> Any:
        made.append(drive.Faults(Tasker(tasker.dsn, worker=False, settings=SETTINGS).asgi()))
        return made[0]

    with served(make) as server:
        yield server.url, made[0]


@pytest.mark.parametrize("case", drive.CASES, ids=lambda case: case["name"])
async def test_the_python_worker_conforms_through_a_server(
    tasker: Tasker, faulty: tuple[str, drive.Faults], case: dict[str, Any]
) -> None:
    """Each case ends as it says, with a worker that knows an address alone."""
    url, faults = faulty

    @asynccontextmanager
    async def start() -> AsyncGenerator[None]:
        async with RemoteWorker(url, handlers=[python_worker], settings=SETTINGS):
            yield

    assert await drive.run_case(tasker, case, start, faults) == []


@pytest.mark.parametrize("case", drive.CASES, ids=lambda case: case["name"])
async def test_the_python_worker_conforms_on_the_database(tasker: Tasker, case: dict[str, Any]) -> None:
    """Each case ends the same way without a server between."""

    @asynccontextmanager
    async def start() -> AsyncGenerator[None]:
        async with Tasker(tasker.dsn, handlers=[python_worker], settings=SETTINGS):
            yield

    assert await drive.run_case(tasker, case, start, None) == []


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["pgmq", "rabbitmq"])
async def test_the_python_worker_conforms_on_a_broker(
    database: str, transport: str, request: pytest.FixtureRequest
) -> None:
    """Each case ends the same way with a worker that looks for work when messages tell it to."""
    url = request.getfixturevalue("rabbit").url if transport == "rabbitmq" else None
    announced = {**drive.SETTINGS, "transport": transport, "rabbitmq_url": url}
    told = Counter[str]()

    @asynccontextmanager
    async def start() -> AsyncGenerator[None]:
        settings = Settings(**announced, poll_s=NEVER_S)
        async with Tasker(database, handlers=[python_worker], settings=settings) as worker:
            yield
            told.update(worker.transport_counts)

    async with Tasker(database, worker=False, settings=Settings(**announced)) as client:
        for case in drive.CASES:
            wrong = await drive.run_case(client, case, start, None)
            assert (case["name"], wrong) == (case["name"], [])
    assert told["received"] >= len(drive.CASES) // 2


@pytest.mark.slow
async def test_the_python_worker_conforms_through_a_server_and_woken_by_rabbitmq(
    database: str, rabbit: RabbitServer
) -> None:
    """Each case ends the same way with a worker that turns through a server, and that RabbitMQ alone wakes; answers
    that are lost on the way to the server included."""
    settings = Settings(**drive.SETTINGS, transport="rabbitmq", rabbitmq_url=rabbit.url)
    patient = settings.model_copy(update={"transport": "auto", "poll_s": NEVER_S})
    told, made = Counter[str](), list[drive.Faults]()

    def make() -> Any:
        made.append(drive.Faults(Tasker(database, worker=False, settings=settings).asgi()))
        return made[0]

    @asynccontextmanager
    async def start() -> AsyncGenerator[None]:
        async with RemoteWorker(server.url, handlers=[python_worker], settings=patient) as worker:
            await until(lambda: not worker._announced._listens.is_set(), "the worker reads its queue")  # type: ignore
            yield
            told.update(worker.transport_counts)

    async with Tasker(database, worker=False, settings=settings) as client:
        broker = Broker(rabbit.url, heartbeat_s=30, name="conformance")
        await declare_step_queue((await broker.channel())[0], "worker_conformance_queue")
        await broker.close()
        with served(make) as server:
            for case in drive.CASES:
                wrong = await drive.run_case(client, case, start, made[0])
                assert (case["name"], wrong) == (case["name"], [])
    assert told["received"] >= len(drive.CASES) // 2


def test_a_worker_that_does_not_conform_is_seen() -> None:
    """The judge tells of a state, a result, an attempt and a step that should not have run."""
    step = SimpleNamespace(name="a", attempt=2, state="complete", result={"n": 1, "more": 2}, error=None)
    view = SimpleNamespace(status="complete", steps=[step])
    good = {"status": "complete", "steps": {"a": {"attempt": 2, "result": {"n": 1}}}}
    assert drive.judge(view, good) == []
    bad = {"status": "error", "steps": {"a": {"attempt": 1, "result": {"n": 2}, "error": {"m": 1}}}, "never": ["a"]}
    assert len(drive.judge(view, bad)) == 5
