"""Commands that go to a database or to a server: two ways to the same records, of which one is taken.

A group of commands has a class for each way, with the same methods; the commands are written once, against either.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from tasker.cli.common import Where
from tasker.cli.database import Database, opened
from tasker.cli.doors import names_server

if TYPE_CHECKING:
    from tasker.client import AsyncTaskerClient

Way = TypeVar("Way")
T = TypeVar("T")


@asynccontextmanager
async def either(
    where: Where,
    by_database: Callable[[Database], Way],
    by_server: Callable[[AsyncTaskerClient], Way],
    token: str | None = None,
) -> AsyncGenerator[Way]:
    """The way that is meant, open while the block lasts. Raises UsageError where two places are named.

    A server is shown `token`, or where there is none what the profile or the environment has.
    """
    if not names_server(where):
        async with opened(where) as database:
            yield by_database(database)
        return
    import stamina.instrumentation

    from tasker.client import AsyncTaskerClient

    stamina.instrumentation.set_on_retry_hooks([])  # what a command prints is its own
    async with AsyncTaskerClient(where.url, profile=where.profile, token=token) as client:
        yield by_server(client)


def on_either(
    where: Where,
    by_database: Callable[[Database], Way],
    by_server: Callable[[AsyncTaskerClient], Way],
    work: Callable[[Way], Awaitable[T]],
    token: str | None = None,
) -> T:
    """Runs `work` on the database or the server; what it answers."""

    async def run() -> T:
        async with either(where, by_database, by_server, token) as way:
            return await work(way)

    return asyncio.run(run())


def record(kind: type[T], answer: Any, **more: Any) -> T:
    """A server's answer as the record that commands print; `more` are fields that it has otherwise."""
    names = [field.name for field in fields(kind) if field.name not in more]  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    return kind(**{name: getattr(answer, name) for name in names}, **more)
