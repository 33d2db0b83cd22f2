"""One PostgreSQL for a run of tests, started when the first database is asked for, and a database for each test.

A database is a clone of one that is migrated once, which takes some hundredths of a second. In all of them the verbs
accept a given time, so they are for tests alone.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from tasker.embedded import PrivateServer, start_private
from tasker.store.connection import connect
from tasker.store.migrate import migrate

T = TypeVar("T")
_SETTINGS = {
    "tasker.test_clock": "on",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
}
_TEMPLATE = "tasker_template"


class Databases:
    """Makes and drops databases on a server of this process's own. Close it at the end, or use it as a context manager.

    The first database takes about a second. Raises EmbeddedPostgresError where no PostgreSQL can be started.
    """

    def __init__(self) -> None:
        self._server: PrivateServer | None = None
        self._folder: Path | None = None
        self._numbers = itertools.count(1)

    @contextmanager
    def fresh(self) -> Generator[str]:
        """The DSN of a migrated database, which is dropped at the end."""
        server = self._started()
        name = f"tasker_{next(self._numbers)}"
        _in_thread(_execute(server.admin_dsn, _clone(name, _TEMPLATE)))
        try:
            yield _named(server.admin_dsn, name)
        finally:
            _in_thread(_execute(server.admin_dsn, f"drop database {name} with (force)"))

    def close(self) -> None:
        """Stops the server and deletes its data."""
        if self._server is not None:
            self._server.remove()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._server = self._folder = None

    def __enter__(self) -> Databases:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _started(self) -> PrivateServer:
        if self._server is None:
            folder = self._folder = Path(tempfile.mkdtemp(prefix="tasker-testing-"))
            folder.chmod(0o755)  # the server's account has to pass
            server = start_private(folder / "server", settings=_SETTINGS)
            try:
                _in_thread(_execute(server.admin_dsn, _clone(_TEMPLATE, "template0")))
                _in_thread(_migrate(_named(server.admin_dsn, _TEMPLATE)))
            except BaseException:
                server.remove()
                raise
            self._server = server
        return self._server


def _clone(name: str, source: str) -> str:
    return f"create database {name} template {source} strategy wal_log"


def _named(dsn: str, name: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


async def _execute(dsn: str, statement: str) -> None:
    connection = await connect(dsn, pinned=False)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _migrate(dsn: str) -> None:
    connection = await connect(dsn)
    try:
        await migrate(connection)
    finally:
        await connection.close()


def _in_thread(work: Coroutine[Any, Any, T]) -> T:
    """The answer of a coroutine on a loop of its own, also where one runs already: both kinds of test have fixtures."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
