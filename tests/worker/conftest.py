"""Workers in this process: a Tasker on the test's database, with short times."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import asyncpg
import pytest
from support.templates import template
from worker_support import Sql, Start, settings

from tasker import Tasker
from tasker.handlers import Handler, as_handler
from tasker.model.template import Template
from tasker.settings import Settings


@pytest.fixture
async def start(database: str) -> AsyncIterator[Start]:
    """A factory of Taskers on the test's database."""
    started: list[Tasker] = []

    async def begin(
        graph: str | Template | None, handlers: Mapping[str, Callable[..., Any] | Handler] | None = None, **options: Any
    ) -> Tasker:
        steps = options.pop("steps", {})
        chosen = settings(**{name: options.pop(name) for name in list(options) if name in Settings.model_fields})
        templates = [template(graph, **steps) if isinstance(graph, str) else graph] if graph is not None else []
        records = [one if isinstance(one, Handler) else as_handler(one, name) for name, one in (handlers or {}).items()]
        made = Tasker(options.pop("dsn", database), templates=templates, handlers=records, settings=chosen, **options)
        started.append(made)
        await made.start()
        return made

    yield begin
    for one in reversed(started):
        await one.stop(0)


@pytest.fixture
async def sql(database: str) -> AsyncIterator[Sql]:
    """A connection to look into the test's database, and to break things there."""
    made = Sql(await asyncpg.connect(database))
    yield made
    made.connection.terminate()
