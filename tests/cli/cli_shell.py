"""Runs commands in this process, on a database of the test's own."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import Any, TypeVar
from uuid import uuid4

import psycopg
import pytest
from support.engine import Engine

from tasker.cli import main
from tasker.store import events as outbox
from tasker.store.events import Made

T = TypeVar("T")


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The error that stderr tells as JSON."""
        return json.loads(self.err)["error"]


@dataclass
class Shell:
    """Runs commands on one database."""

    dsn: str
    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    def run(self, *words: object, stdin: str = "") -> Ran:
        """One command."""
        self.patch.setattr("sys.stdin", StringIO(stdin))
        self.capture.readouterr()
        code = main([str(word) for word in words])
        out, err = self.capture.readouterr()
        return Ran(code, out, err)

    def ok(self, *words: object, stdin: str = "") -> Any:
        """One command that has to succeed, with --json: its document."""
        ran = self.run(*words, "--json", stdin=stdin)
        assert (ran.code, ran.err) == (0, ""), ran
        return ran.json

    def drive(self, work: Callable[[Engine], Awaitable[T]]) -> T:
        """Works on the database as workers do."""
        return asyncio.run(_with_engine(self.dsn, work))

    @contextmanager
    def working(self, **options: Any) -> Generator[None]:
        """A worker for as long as this lasts, all of whose steps succeed."""
        stop = threading.Event()

        async def work(engine: Engine) -> None:
            session = await engine.session(**options)
            while not stop.is_set():
                await session.work_off({"done": True})
                await asyncio.sleep(0.01)

        thread = threading.Thread(target=self.drive, args=(work,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def content(self) -> dict[str, list[str]]:
        """All rows of all tables of the engine."""
        with psycopg.connect(self.dsn) as connection:
            tables = connection.execute(
                "select table_name from information_schema.tables where table_schema = 'tasker_engine' order by 1"
            ).fetchall()
            return {name: self._rows(connection, name) for (name,) in tables}

    def _rows(self, connection: psycopg.Connection[Any], table: str) -> list[str]:
        query = psycopg.sql.SQL("select t::text from tasker_engine.{} t order by 1")
        return [row[0] for row in connection.execute(query.format(psycopg.sql.Identifier(table))).fetchall()]


async def _with_engine(dsn: str, work: Callable[[Engine], Awaitable[T]]) -> T:
    engine = Engine(dsn)
    await engine.open()
    try:
        return await work(engine)
    finally:
        await engine.close()


async def publish_events(engine: Engine) -> None:
    """Makes events of all that the outbox was told, as a courier does."""
    owner, said = uuid4(), {"schema": "tasker_engine"}
    while taken := await outbox.take_events(engine.connection, owner, [], 100, 30, **said):
        made = [Made(one.seq, "published", '{"said": 1}', "{}") for one in taken]
        await outbox.settle_events(engine.connection, owner, made, **said)


def until(holds: Callable[[], object], timeout_s: float = 60) -> None:
    """Looks until it holds."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it never held"
        threading.Event().wait(0.02)


TOLD = """\
tasker: 1
namespace_name: shop
name: told
version: 1.0.0
steps:
  - {name: pay, handler: pay, system_dependency: gateway, publishes_events: [order.paid, receipt.sent]}
"""
TEMPLATE = """\
tasker: 1
namespace_name: shop
name: order
version: 1.0.0
input_schema:
  type: object
  required: [item]
  properties: {item: {type: string}, count: {type: integer, default: 1}}
steps:
  - {name: price, handler: price, retry: {max_attempts: 2, backoff: none}}
  - {name: charge, handler: charge, dependencies: [price]}
"""
