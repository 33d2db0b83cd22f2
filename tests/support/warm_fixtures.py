"""Fixtures of folders whose tests share a database and its first connection where they can: see `support.warm`.

A conftest imports all of them, and lets its tests run on one loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from support.databases import Databases
from support.engine import Engine
from support.warm import WarmDatabase

__all__ = ["engine", "on_one_loop", "the_loop", "warm", "warm_database"]


def on_one_loop(items: Sequence[pytest.Item], folder: Path) -> None:
    """A connection belongs to its loop, so that all tests of the folder run on one."""
    for item in items:
        if item.path.parent == folder and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(scope="session")
def warm_database(databases: Databases) -> Iterator[WarmDatabase]:
    """What the tests of this process have in common."""
    made = WarmDatabase(databases)
    yield made
    made.give_up()


@pytest.fixture
def warm(request: pytest.FixtureRequest) -> Iterator[WarmDatabase | None]:
    """The common database, empty; None for a test that is to have its own: it asks for `database` too, or says so."""
    names = ("own_database", "unchecked")
    if "database" in request.fixturenames or any(request.node.get_closest_marker(name) for name in names):
        request.getfixturevalue("database")
        yield None
        return
    shared: WarmDatabase = request.getfixturevalue("warm_database")
    shared.prepare()
    yield shared
    violations = shared.check()
    shared.clear()
    assert not violations, "the engine's tables do not agree:\n" + "\n".join(violations[:20])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def the_loop(warm_database: WarmDatabase) -> AsyncIterator[None]:
    """The loop of all these tests: with it ends what belongs to it."""
    yield
    warm_database.let_go()


@pytest_asyncio.fixture(loop_scope="session")
async def engine(the_loop: None, warm: WarmDatabase | None, request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    """A driver of the verbs on the test's database."""
    made = Engine(request.getfixturevalue("database") if warm is None else warm.dsn)
    await made.open(None if warm is None else warm.kept)
    yield made
    if warm is not None:
        warm.kept = await made.hand_over()
    await made.close()
