"""The database of a command: the one it is given, or the project's embedded one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tasker.cli.common import Common
from tasker.cli.exits import UsageError
from tasker.cli.show import working

if TYPE_CHECKING:
    from tasker.embedded import Embedded
    from tasker.settings import Settings
    from tasker.store.connection import Connection
    from tasker.store.reads import Reads
    from tasker.store.verbs import Verbs

T = TypeVar("T")
_CLOSE_S = 2.0


@dataclass(frozen=True, slots=True)
class Database:
    """A connection with what speaks through it."""

    connection: Connection
    verbs: Verbs
    reads: Reads
    settings: Settings
    dsn: str


def read_settings() -> Settings:
    """The settings of this process. Raises SettingsError with each variable and key that is wrong."""
    from tasker.settings import Settings

    return Settings()


def given_url(common: Common, settings: Settings) -> str | None:
    """The DSN that the user names; None for the embedded server."""
    return common.database_url or settings.database_url


@asynccontextmanager
async def opened(common: Common, *, migrates: bool = True) -> AsyncGenerator[Database]:
    """The database, connected. The embedded server is started or joined, and left at the end.

    With `migrates` the embedded one's schema is brought up to date; another server's is its owner's to change.
    """
    from tasker import embedded
    from tasker.store.connection import connect, describe_road
    from tasker.store.migrate import migrate
    from tasker.store.reads import Reads
    from tasker.store.verbs import Verbs

    settings = read_settings()
    dsn = given_url(common, settings)
    server: Embedded | None = None
    if dsn is None:
        with working("starting PostgreSQL"):
            server = await asyncio.to_thread(embedded.start)
        dsn = server.dsn
    await describe_road(dsn, settings.database_pooler, settings.database_listen_url)
    try:
        connection = await connect(dsn, pinned=False)
        try:
            if server is not None and migrates:
                await migrate(connection, settings.schema_name)
            schema = settings.schema_name
            yield Database(connection, Verbs(schema), Reads(schema), settings, dsn)
        finally:
            with suppress(TimeoutError):  # one that was interrupted in a statement need not be waited for
                async with asyncio.timeout(_CLOSE_S):
                    await connection.close()
    finally:
        if server is not None:
            await asyncio.to_thread(server.release)


def with_database(common: Common, work: Callable[[Database], Awaitable[T]]) -> T:
    """Runs `work` on the database; what it answers. Raises UsageError where the environment names only a server."""
    _check_database_is_meant(common)

    async def run() -> T:
        async with opened(common) as database:
            return await work(database)

    return asyncio.run(run())


def _check_database_is_meant(common: Common) -> None:
    names = [name for name in ("TASKER_URL", "TASKER_PROFILE") if os.environ.get(name)]
    if names and not common.database_url and not os.environ.get("TASKER_DATABASE_URL"):
        raise UsageError(f"{names[0]} names a server, and this command works on the database itself: --database-url")
