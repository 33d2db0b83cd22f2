"""The scene of one row: a database on the run's own server, processes to hurt, the client, the ledgers."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from support.until import until

from chaos import ledger
from chaos.client import Client
from chaos.inside import STACKS
from tasker.cli.serving.api import Serving
from tasker.cli.serving.child import Work
from tasker.embedded import PrivateServer
from tasker.model.template import Template
from tasker.store.connection import connect
from tasker.store.migrate import migrate
from tasker.store.verbs import Verbs
from tasker.templates.publishing import publish

TESTS = Path(__file__).parents[1]
TIMES = {
    "TASKER_LEASE_S": "3",
    "TASKER_BEAT_S": "1",
    "TASKER_SWEEP_S": "1",
    "TASKER_POLL_S": "0.1",
    "TASKER_DRAIN_S": "5",
    "TASKER_CONCURRENCY": "20",
    "TASKER_THREADS": "4",
    "TASKER_SERVER_CONNECTIONS": "4",
    "TASKER_READ_CONNECTIONS": "2",
    "TASKER_LOG_LEVEL": "error",
    "TASKER_LOG_FORMAT": "json",
}
LEASE_S = 3.0
SERVES_WITHIN_S = 60
DATABASE_WITHIN_S = 120
STARTS_MAX = 5


@dataclass(eq=False)
class Process:
    """A worker or a server. `again` starts another one in its place."""

    kind: str
    pid: int
    again: Callable[[], Process]
    url: str = ""
    is_expected: bool = True
    """Whether somebody is to start another one when it dies."""

    def __post_init__(self) -> None:
        # A number is given to another process soon after its holder has ended: what is held is the process itself.
        self._process: int | None = None
        with suppress(ProcessLookupError):
            self._process = os.pidfd_open(self.pid)
            weakref.finalize(self, os.close, self._process)

    @property
    def is_alive(self) -> bool:
        """True while it exists, stopped or not."""
        if self._process is None:
            return False
        looking = select.poll()
        looking.register(self._process, select.POLLIN)
        return not looking.poll(0)

    def signal(self, number: int) -> bool:
        """Sends a signal. False: it is gone."""
        if self._process is None or not self.is_alive:
            return False
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process, number)
            return True
        return False


class Zygote:
    """The process that all others are forked from."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chaos.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=TESTS,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            start_new_session=True,
        )

    def start(self, kind: str, work: Any, log: Path, environment: dict[str, str]) -> int:
        """A new process; its id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"kind": kind, "work": asdict(work), "log": str(log), "environment": environment}
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """Ends it, and with it every process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


@dataclass
class Scene:
    """Made by `Stage.scene`."""

    zygote: Zygote
    server: PrivateServer
    dsn: str
    folder: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])
    processes: list[Process] = field(default_factory=list[Process])
    deaths: Counter[str] = field(default_factory=Counter[str])
    templates: dict[str, Template] = field(default_factory=dict[str, Template])
    keeper: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.ledger = ledger.Ledger(self.folder / "ledger")
        self.client = Client(lambda: [one.url for one in self.of("server")])

    # Processes --------------------------------------------------------------------------------------------------------

    def worker(self, *, dsn: str | None = None, url: str | None = None, **environment: str) -> Process:
        """Starts a worker: on the database, or through a server at this address."""
        where = None if url else dsn or self.dsn
        work = Work(dsn=where, url=url, handlers=("chaos.handlers",), paths=(str(TESTS),))
        pid = self._start("worker", work, environment)
        return self._keep(Process("worker", pid, lambda: self.worker(dsn=dsn, url=url, **environment)))

    def serve(self, *, dsn: str | None = None, port: int = 0, **environment: str) -> Process:
        """Starts a server; at a free port, or again at the same."""
        port = port or free_port()
        work = Serving(dsn=dsn or self.dsn, host="127.0.0.1", port=port, asks_who_calls=False)
        pid = self._start("server", work, environment)
        again = lambda: self.serve(dsn=dsn, port=port, **environment)  # noqa: E731
        return self._keep(Process("server", pid, again, f"http://127.0.0.1:{port}"))

    def _start(self, kind: str, work: Any, environment: dict[str, str]) -> int:
        ours = {ledger.VARIABLE: str(self.ledger.path), STACKS: str(self.folder / "stacks")}
        variables = {**TIMES, **self.environment, **ours, **environment}
        return self.zygote.start(kind, work, self.folder / "log", variables)

    def _keep(self, process: Process) -> Process:
        self.processes.append(process)
        return process

    def of(self, kind: str) -> list[Process]:
        """The processes of a kind that there should be."""
        return [one for one in self.processes if one.kind == kind]

    def keep_up(self) -> None:
        """From now on whoever dies is replaced, as a supervisor would."""
        self.keeper = asyncio.create_task(self._keep_up())

    async def _keep_up(self) -> None:
        while True:
            self.replace_the_dead()
            await asyncio.sleep(0.05)

    def replace_the_dead(self) -> None:
        """Starts another one for each that is gone."""
        for one in [one for one in self.processes if not one.is_alive]:
            self.processes.remove(one)
            self.deaths[one.kind] += 1
            if one.is_expected:
                one.again()

    async def is_ready(self, sessions: int) -> None:
        """Returns when the servers serve and so many sessions live.

        A worker whose server was not there in time gives up, as it should, and another one is started.
        """
        for one in self.of("server"):
            await until(lambda one=one: _answers(one.url), f"{one.url} serves", within_s=SERVES_WITHIN_S)
        living = "select count(*) from tasker_engine.sessions where ended_at is null"

        def are_there() -> bool:
            self.replace_the_dead()
            assert self.deaths.total() <= STARTS_MAX, f"they do not start: {(self.folder / 'log').read_text()[-2000:]}"
            return self.ask(living)[0][0] >= sessions

        await until(are_there, f"{sessions} sessions", within_s=SERVES_WITHIN_S)
        self.deaths.clear()

    async def stop(self) -> None:
        """Everybody is asked to stop, and killed who does not."""
        if self.keeper is not None:
            self.keeper.cancel()
        for one in self.processes:
            one.signal(signal.SIGCONT)
            one.signal(signal.SIGTERM)
        with suppress(AssertionError):
            await until(lambda: not any(one.is_alive for one in self.processes), "all have stopped", within_s=20)
        self.kill()
        await self.client.close()

    def kill(self) -> None:
        """As a machine does that is switched off."""
        for one in self.processes:
            one.signal(signal.SIGKILL)
        self.processes.clear()

    # The database -----------------------------------------------------------------------------------------------------

    async def is_up(self) -> None:
        """Returns when the database answers: after one of its processes was killed it recovers first."""
        await until(lambda: answers(self.dsn), "the database answers", within_s=DATABASE_WITHIN_S)

    def ask(self, query: str, *args: Any) -> list[tuple[Any, ...]]:
        """The rows of a query, on a connection of its own."""
        with psycopg.connect(self.dsn, autocommit=True, connect_timeout=10) as connection:
            cursor = connection.execute(query, args or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    async def publish(self, templates: Sequence[Template]) -> None:
        """Publishes templates."""
        connection = await connect(self.dsn)
        try:
            for one in templates:
                await publish(connection, Verbs(), one)
                self.templates[one.name] = one
        finally:
            await connection.close()


class Stage:
    """What the rows of a run share: the server and the zygote. Each row has a database of its own."""

    def __init__(self, folder: Path, server: PrivateServer) -> None:
        self.folder, self.server = folder, server
        self.zygote = Zygote()
        self.spoiling: list[Callable[[str], None]] = []
        """Makes each new database that of a broken engine."""
        self._count = 0

    async def scene(self, name: str, tablespace: str = "pg_default") -> Scene:
        """A new database, migrated, and nobody in it."""
        if not self.server.is_running:  # a row has failed while it was away
            await asyncio.to_thread(self.server.restart)
        await until(lambda: answers(self.server.dsn), "the database answers", within_s=DATABASE_WITHIN_S)
        self._count += 1
        database = f"{name.lower()}_{self._count}"
        with psycopg.connect(self.server.dsn, autocommit=True) as connection:
            connection.execute(f'create database "{database}" tablespace "{tablespace}"')  # type: ignore[arg-type]
        dsn = _with_database(self.server.dsn, database)
        made = await connect(dsn)
        try:
            await migrate(made)
        finally:
            await made.close()
        for spoil in self.spoiling:
            await asyncio.to_thread(spoil, dsn)
        return Scene(self.zygote, self.server, dsn, Path(tempfile.mkdtemp(prefix=database, dir=self.folder)))

    def close(self) -> None:
        """Ends the zygote."""
        self.zygote.close()


def _with_database(dsn: str, name: str) -> str:
    head, _, query = dsn.partition("?")
    return f"{head.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")


def answers(dsn: str) -> bool:
    """Whether there is a database that can be asked."""
    with suppress(psycopg.OperationalError), psycopg.connect(dsn, connect_timeout=5) as connection:
        return connection.execute("select true").fetchone() == (True,)
    return False


def free_port() -> int:
    """One that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(url: str) -> bool:
    host, _, port = url.removeprefix("http://").partition(":")
    with suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
        return True
    return False


def now() -> float:
    """The clock of the ledgers."""
    return time.monotonic()
