"""`tasker worker`: a parent that replaces the dead, passes signals on, and leaves nobody behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import survival_handlers
from fleet import HERE, SHORT_TIMES, Fleet, Ledger, all_ended, ask, flow, violations
from support.until import until

from tasker import Tasker
from tasker.cli import exits
from tasker.cli.serving.child import Work
from tasker.cli.serving.supervisor import Supervisor
from tasker.embedded import PrivateServer
from tasker.worker.host import is_alive

pytestmark = pytest.mark.any_postgres


class Parent:
    """`tasker worker` as a process."""

    def __init__(self, dsn: str, ledger: Ledger, *words: str, **environment: str) -> None:
        self.dsn = dsn
        self.gate = ledger.path.with_name("gate")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tasker", "worker", "--handlers", "survival_handlers", *words],
            env={
                **os.environ,
                **SHORT_TIMES,
                "TASKER_LEASE_S": "3600",
                "TASKER_DATABASE_URL": dsn,
                "PYTHONPATH": f"{HERE}:{HERE.parent}",
                survival_handlers.LEDGER: str(ledger.path),
                survival_handlers.GATE: str(self.gate),
                **environment,
            },
            stderr=subprocess.PIPE,
        )
        self.pid = self._process.pid

    def signal(self, number: int) -> None:
        """Sends a signal to the parent alone."""
        self._process.send_signal(number)

    async def children(self, count: int) -> list[int]:
        """The processes that work for it, once there are so many."""
        query = "select pid from tasker_engine.sessions where ended_at is null order by session_id"
        await until(lambda: len(ask(self.dsn, query)) == count, f"{count} children work", within_s=60)
        return [row[0] for row in ask(self.dsn, query)]

    async def code(self, within_s: float = 90) -> int:
        """Its exit code, once it has ended."""
        await until(lambda: self._process.poll() is not None, "it ends", within_s=within_s)
        return self._process.returncode

    def said(self) -> str:
        """What it wrote to stderr, once it has ended."""
        assert self._process.stderr is not None
        return self._process.stderr.read().decode()

    def end(self) -> None:
        """Whatever happened: nothing of it goes on."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(60)
        assert self._process.stderr is not None
        self._process.stderr.close()


@pytest.fixture
def parent_of(database: str, ledger: Ledger) -> Iterator[Callable[..., Parent]]:
    """Starts `tasker worker` on the test's database, or another; it ends with the test."""
    made: list[Parent] = []

    def start(*words: str, dsn: str = database, **environment: str) -> Parent:
        made.append(Parent(dsn, ledger, *words, **environment))
        return made[-1]

    yield start
    for parent in made:
        parent.end()


async def _submitted(tasker: Tasker, name: str, count: int = 1, **context: Any) -> list[UUID]:
    contexts = [{"n": n, **context} for n in range(count)]
    return [task.task_uuid for task in await tasker.submit_many(name, contexts, namespace="tests")]


def _rows(dsn: str) -> list[tuple[Any, ...]]:
    """The kinds of steps that there are."""
    return ask(dsn, "select distinct state::text, tries, losses, is_suspect from tasker_engine.steps")


async def test_a_dead_child_is_replaced_and_its_session_ended_at_once(
    database: str, ledger: Ledger, parent_of: Callable[..., Parent], client: Callable[..., Any]
) -> None:
    """When a child is killed its steps do not wait for its lease, which is an hour here: a new child runs them."""
    tasker = await client(database, [flow("slow", "linger")])
    parent = parent_of("--processes", "2")
    first, second = await parent.children(2)
    tasks = await _submitted(tasker, "slow", 6, first_s=3600)
    await until(lambda: ledger.count("start") == 6, "all run")
    os.kill(first, signal.SIGKILL)
    await until(lambda: not is_alive(first), "it is dead")
    os.kill(second, signal.SIGKILL)
    await all_ended(database, tasks, within_s=90)
    assert {first, second}.isdisjoint(await parent.children(2))
    assert violations(database, ledger, tasks) == []
    reasons = {row[0] for row in ask(database, "select end_reason from tasker_engine.sessions where is_loss")}
    assert reasons == {"its process died (exit code -9)"}
    parent.signal(signal.SIGTERM)
    assert await parent.code() == 0


async def test_sigterm_drains(
    database: str, ledger: Ledger, parent_of: Callable[..., Parent], client: Callable[..., Any]
) -> None:
    """After SIGTERM nothing new begins, what runs ends and is recorded, and the exit code is 0. That an init system
    sends the signal to every process of the group, some of them twice, changes nothing."""
    tasker = await client(database, [flow("flow", "gated", "walk")])
    parent = parent_of("--processes", "2")
    children = await parent.children(2)
    tasks = await _submitted(tasker, "flow", 8)
    await until(lambda: ledger.count("start") == 8, "all run")
    for pid in (*children, parent.pid, *children):
        os.kill(pid, signal.SIGTERM)
    later = await _submitted(tasker, "flow", 3)
    parent.gate.touch()
    assert await parent.code() == 0
    assert not any(is_alive(pid) for pid in children)
    query = "select distinct number, state::text, tries, losses from tasker_engine.steps where task_id = any (%s)"
    assert sorted(ask(database, query, tasks)) == [(1, "complete", 1, 0), (2, "enqueued", 0, 0)]
    assert sorted(ask(database, query, later)) == [(1, "enqueued", 0, 0), (2, "pending", 0, 0)]
    assert ask(database, "select distinct end_reason, is_loss from tasker_engine.sessions") == [("stopped", False)]


@pytest.mark.parametrize("processes", [0, 2])
async def test_a_second_sigterm_stops_at_once(
    database: str, ledger: Ledger, parent_of: Callable[..., Parent], client: Callable[..., Any], processes: int
) -> None:
    """A second signal ends everything now, threads that never return included; their steps are ready for others, with
    all their tries."""
    tasker = await client(database, [flow("stuck", "stuck")])
    parent = parent_of("--processes", str(processes), TASKER_DRAIN_S="3600")
    await parent.children(max(processes, 1))
    await _submitted(tasker, "stuck", 4)
    await until(lambda: ledger.count("start") == 4, "all are stuck")
    parent.signal(signal.SIGTERM)
    begun = time.monotonic()
    await until(lambda: time.monotonic() - begun > 0.5, "the signal has arrived")
    parent.signal(signal.SIGTERM)
    assert await parent.code(within_s=90) == 0
    assert _rows(database) == [("enqueued", 0, 0, False)]


async def test_children_of_a_killed_parent_drain(
    database: str, ledger: Ledger, parent_of: Callable[..., Parent], client: Callable[..., Any]
) -> None:
    """When the parent is killed its children finish what they run, hand back the rest, and end."""
    tasker = await client(database, [flow("flow", "gated", "walk")])
    parent = parent_of("--processes", "2")
    children = await parent.children(2)
    await _submitted(tasker, "flow", 6)
    await until(lambda: ledger.count("start") == 6, "all run")
    parent.signal(signal.SIGKILL)
    await parent.code()
    parent.gate.touch()
    await until(lambda: not any(is_alive(pid) for pid in children), "they have ended", within_s=90)
    query = "select distinct number, state::text, tries, losses from tasker_engine.steps"
    assert sorted(ask(database, query)) == [(1, "complete", 1, 0), (2, "enqueued", 0, 0)]


async def test_a_child_that_was_told_to_end_is_replaced(database: str, parent_of: Callable[..., Parent]) -> None:
    """A child that somebody ends by hand, in all order, is replaced too: the parent was asked for so many."""
    parent = parent_of("--processes", "1")
    [child] = await parent.children(1)
    os.kill(child, signal.SIGTERM)
    await until(lambda: not is_alive(child), "it has ended")
    assert await parent.children(1) != [child]
    parent.signal(signal.SIGTERM)
    assert await parent.code() == 0
    assert ask(database, "select count(*) from tasker_engine.sessions where is_loss") == [(0,)]


async def test_children_that_die_at_once(ledger: Ledger, parent_of: Callable[..., Parent]) -> None:
    """A child that dies while it starts is started again and again, until somebody says stop."""
    parent = parent_of("--processes", "1", TASKER_TEST_DIE_AT_IMPORT="1")
    await until(lambda: ledger.count("born") >= 3, "three were born", within_s=60)
    parent.signal(signal.SIGTERM)
    assert await parent.code() == 0


async def test_pauses_grow_between_short_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause before the next child doubles with every short life, up to a second; it never ends the trying."""
    supervisor = Supervisor(Work(dsn="postgresql:///nowhere"), 1)
    waits: list[float] = []

    async def dies() -> tuple[int, int]:
        return (-9, 1) if len(waits) % 2 else (exits.AWAY, 1)

    async def pause(wait_s: float) -> bool:
        waits.append(wait_s)
        if len(waits) == 8:
            supervisor._stopping.set()
        return supervisor._stopping.is_set()

    async def nothing(*_: object, **__: object) -> bool:
        return True

    monkeypatch.setattr(supervisor, "_live_once", dies)
    monkeypatch.setattr(supervisor, "_is_stopping_within", pause)
    monkeypatch.setattr("tasker.cli.serving.supervisor.end_sessions", nothing)
    assert await supervisor._keep() == 0
    assert waits == [0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("delay_s", [0.0, 0.3, 0.6, 0.9, 1.2])
async def test_a_signal_while_it_starts(parent_of: Callable[..., Parent], database: str, delay_s: float) -> None:
    """Whenever SIGTERM comes while parent and children are starting, all of them end."""
    parent = parent_of("--processes", "2")
    begun = time.monotonic()
    await until(lambda: time.monotonic() - begun > delay_s, "a moment has gone")
    parent.signal(signal.SIGTERM)
    assert await parent.code() in (0, -signal.SIGTERM)
    await until(lambda: ask(database, _LIVE)[0][0] == 0, "no child lives")


async def test_a_signal_while_a_child_is_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that is not known yet when the signal comes gets it as soon as it is."""
    supervisor, make = Supervisor(Work(dsn="postgresql:///nowhere"), 1), asyncio.create_subprocess_exec

    async def slow(*_: object, **options: Any) -> object:
        child = await make(sys.executable, "-c", "import time; time.sleep(60)", **options)
        supervisor._signalled()
        return child

    monkeypatch.setattr(asyncio, "create_subprocess_exec", slow)
    async with asyncio.timeout(60):
        code, _ = await supervisor._live_once()
    assert code == -signal.SIGTERM


_LIVE = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'tasker'"


async def test_a_database_that_is_away_ends_no_parent(
    server: PrivateServer,
    own_database: str,
    new_fleet: Callable[..., Fleet],
    ledger: Ledger,
    parent_of: Callable[..., Parent],
    client: Callable[..., Any],
) -> None:
    """A child that dies while the database is away is replaced until it can start; then work goes on."""
    tasker = await client(own_database, [flow("flow", "walk")])
    parent = parent_of("--processes", "1", dsn=own_database)
    [child] = await parent.children(1)
    await asyncio.to_thread(server.stop)
    with suppress(ProcessLookupError):  # one that was still starting has ended by itself
        os.kill(child, signal.SIGKILL)
    await until(lambda: not is_alive(child), "it is dead")
    waited = time.monotonic()
    await until(lambda: time.monotonic() - waited > 3, "its successors cannot start")
    await asyncio.to_thread(server.restart)
    tasks = await _submitted(tasker, "flow", 3)
    await all_ended(own_database, tasks, within_s=90)
    parent.signal(signal.SIGTERM)
    assert await parent.code() == 0
    assert violations(own_database, ledger, tasks) == []


async def test_what_cannot_start_says_why_and_ends(parent_of: Callable[..., Parent], tmp_path: Path) -> None:
    """A database that does not answer, or handlers that cannot be imported, end the parent at once with the exit code
    of every other command, and with a message."""
    away = parent_of("--processes", "2", dsn="postgresql://nobody:secret@127.0.0.1:1/nowhere")
    assert await away.code() == exits.DATABASE
    said = away.said()
    assert "127.0.0.1:1" in said
    assert "secret" not in said
    unimportable = parent_of("--processes", "2", "--handlers", "no_such_module")
    assert await unimportable.code() == exits.INVALID
    assert "no_such_module" in unimportable.said()
    assert tmp_path
