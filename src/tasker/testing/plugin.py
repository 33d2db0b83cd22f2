"""The pytest plugin: fixtures, none of which starts anything before a test asks for it.

pytest imports this in every run of every project that has Tasker installed: so it imports nothing of Tasker's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tasker.testing.databases import Databases
    from tasker.testing.workflow import Workflow


@pytest.fixture(scope="session")
def tasker_databases() -> Iterator[Databases]:
    """Makes databases on a PostgreSQL of this process's own, which the first of them starts."""
    from tasker.testing.databases import Databases

    with Databases() as databases:
        yield databases


@pytest.fixture
def tasker_database(tasker_databases: Databases) -> Iterator[str]:
    """The DSN of a migrated database of the test's own, for tests that run a whole Tasker."""
    with tasker_databases.fresh() as dsn:
        yield dsn


@pytest.fixture
def workflow(tasker_databases: Databases) -> Iterator[Callable[..., Workflow]]:
    """Makes a Workflow: `workflow("checkout.yaml", handlers=["shop.handlers"])`, each on a database of its own."""
    from tasker.testing.workflow import Workflow

    with ExitStack() as stack:

        def make(templates: Any, **options: Any) -> Workflow:
            return Workflow(stack.enter_context(tasker_databases.fresh()), templates, **options)

        yield make
