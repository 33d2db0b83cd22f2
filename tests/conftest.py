"""Fixtures for every test that needs a database. None of them is started before a test asks for it."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support.checker import check
from support.databases import Databases
from support.engine import Engine
from support.rabbit import RabbitServer
from support.server import shared_server

for _name in ("DATABASE_URL", "TASKER_DATABASE_URL"):
    os.environ.pop(_name, None)

# The tests start hundreds of interpreters: compiled anew in each, Tasker's modules would cost more than most tests do.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # its handlers may hang in what is forked to start PostgreSQL
sys.dont_write_bytecode = False


def pytest_configure(config: pytest.Config) -> None:
    """Words that tests are marked with."""
    config.addinivalue_line(
        "markers", "unchecked: the database is not checked after the test: it is huge, or broken on purpose"
    )
    config.addinivalue_line(
        "markers", "own_database: not the one that tests of verbs and reads else share: see support.warm"
    )
    config.addinivalue_line(
        "markers", "any_postgres: no version of PostgreSQL can make a difference: not run again on the oldest one"
    )


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """One server for the whole run, whatever the number of processes; TASKER_POSTGRES_BIN names other binaries."""
    folder = tmp_path_factory.getbasetemp()
    meeting_place = folder.parent if os.environ.get("PYTEST_XDIST_WORKER") else folder
    with shared_server(Path(meeting_place) / "postgres") as admin_dsn:
        made = Databases(admin_dsn)
        yield made
        made.close()


@pytest.fixture(scope="session")
def rabbit() -> Iterator[RabbitServer]:
    """A running RabbitMQ: one server for all tests of a process."""
    server = RabbitServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def empty_database(databases: Databases) -> Iterator[str]:
    """The DSN of a database without Tasker's schema."""
    with databases.empty() as dsn:
        yield dsn


@pytest.fixture
def database(databases: Databases, request: pytest.FixtureRequest) -> Iterator[str]:
    """The DSN of a migrated database of the test's own, in which verbs accept a given time.

    When the test is over, the invariants of `support.checker` must hold in it.
    """
    with databases.migrated() as dsn:
        yield dsn
        if request.node.get_closest_marker("unchecked") is None:
            violations = check(dsn)
            assert not violations, "the engine's tables do not agree:\n" + "\n".join(violations[:20])


@pytest.fixture
async def engine(database: str) -> AsyncIterator[Engine]:
    """A driver of the verbs on the test's database."""
    made = Engine(database)
    await made.open()
    yield made
    await made.close()
