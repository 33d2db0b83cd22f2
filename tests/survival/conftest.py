"""Servers and fleets for tests that kill them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fleet import Fleet, Ledger, Zygote

from tasker import Tasker
from tasker.embedded import PrivateServer, start_private
from tasker.model.template import Template
from tasker.settings import Settings
from tasker.store.connection import connect
from tasker.store.migrate import migrate


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """The test's ledger."""
    return Ledger(tmp_path / "ledger")


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """Where workers come from."""
    made = Zygote()
    yield made
    made.close()


@pytest.fixture
def new_fleet(ledger: Ledger, zygote: Zygote) -> Iterator[Callable[..., Fleet]]:
    """A factory of fleets that end with the test."""
    made: list[Fleet] = []

    def make(dsn: str, **environment: str) -> Fleet:
        made.append(Fleet(zygote, dsn, ledger, **environment))
        return made[-1]

    yield make
    for fleet in made:
        fleet.stop()


@pytest.fixture
def fleet(database: str, ledger: Ledger, zygote: Zygote) -> Iterator[Fleet]:
    """A fleet on the test's database, of which no worker lives yet."""
    made = Fleet(zygote, database, ledger)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateServer]:
    """A server of the module's own, to be killed. It recovers without writing every file anew to a slow disk."""
    folder = tmp_path_factory.mktemp("server") / "private"
    with start_private(folder, settings={"recovery_init_sync_method": "syncfs"}) as started:
        yield started


@pytest.fixture
async def own_database(server: PrivateServer) -> str:
    """The DSN of that server's database, migrated and empty."""
    connection = await connect(server.dsn)
    await connection.execute("drop schema if exists tasker_engine cascade")
    await migrate(connection)
    await connection.close()
    return server.dsn


@pytest.fixture
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., Any]]:
    """A factory of Taskers that only submit and look."""
    made: list[Tasker] = []

    async def start(dsn: str, templates: Sequence[Template]) -> Tasker:
        tasker = Tasker(dsn, templates=list(templates), settings=Settings(), worker=False)
        made.append(tasker)
        await tasker.start()
        return tasker

    yield start
    for tasker in made:
        await tasker.stop()
