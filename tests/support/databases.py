"""Databases for tests: empty, or cloned from one that is migrated once a process."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.sql import SQL, Identifier

from tasker.store.connection import connect
from tasker.store.migrate import migrate


class Databases:
    """Makes and drops databases on the run's server."""

    def __init__(self, admin_dsn: str) -> None:
        self._admin_dsn = admin_dsn
        self._admin = psycopg.connect(admin_dsn, autocommit=True)
        self._owner = f"p{os.getpid()}"
        self._count = itertools.count(1)
        self._template: str | None = None

    def close(self) -> None:
        """Drops what this process keeps."""
        if self._template is not None:
            self._drop(self._template)
        self._admin.close()

    @contextmanager
    def empty(self) -> Generator[str]:
        """The DSN of a database without a schema of Tasker's."""
        name = self._create()
        try:
            yield self._dsn(name)
        finally:
            self._drop(name)

    @contextmanager
    def migrated(self) -> Generator[str]:
        """The DSN of a database with the current schema."""
        if self._template is None:
            made = self._create()
            asyncio.run(_migrate(self._dsn(made)))
            self._template = made
        name = self._create(self._template)
        try:
            yield self._dsn(name)
        finally:
            self._drop(name)

    def _create(self, template: str = "template0") -> str:
        name = f"test_{self._owner}_{next(self._count)}"
        statement = SQL("create database {} template {} strategy {}")
        self._admin.execute(statement.format(Identifier(name), Identifier(template), Identifier("file_copy")))
        return name

    def _drop(self, name: str) -> None:
        self._admin.execute(SQL("drop database {} with (force)").format(Identifier(name)))

    def _dsn(self, name: str) -> str:
        return urlunsplit(urlsplit(self._admin_dsn)._replace(path=f"/{name}"))


async def _migrate(dsn: str) -> None:
    connection = await connect(dsn)
    try:
        await migrate(connection)
    finally:
        await connection.close()
