"""One cell of one peer: a new database, the driver as a process, and the other side of its talk (see stage.py)."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson
from cells import FLOODS, Cell
from environments import HERE, interpreter, restate_server
from filling import fill
from graphs import graph
from machine import Spent, read_spent
from roster import Entrant
from servers import Servers

from tasker.model.errors import TaskerError
from tasker.store.connection import Connection, connect

CELL_MAX_S = 240.0
_FILL_MAX_S = 1200.0
_LINE_MAX = 2**20
_TAIL = 600
_GOODBYE_S = 15.0
_LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is run: `scale` of the seconds of each cell, and no more tasks than that, for small trials."""

    scale: float = 1.0
    tasks_max: int = 1_000_000_000
    finished_max: int = 1_000_000


async def measure(cell: Cell, entrant: Entrant, servers: Servers, sizes: Sizes) -> dict[str, Any]:
    """`figures` and `costs` (for 1,000 steps), or `error`: what went wrong, in the driver's last words."""
    admin = await connect(servers.postgres.admin_dsn, pinned=False)
    try:
        with tempfile.TemporaryDirectory(prefix="peers-", ignore_cleanup_errors=True) as folder:
            async with _database(admin, servers) as dsn:
                plan = _plan(cell, entrant, servers, sizes, dsn, Path(folder))
                talk = _Talk(servers, dsn, Path(folder), partial(_fill, dsn, entrant, plan))
                return await talk.hold(_command(entrant, plan), entrant.options.get("source"))
    except (TaskerError, OSError, TimeoutError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    finally:
        await admin.close()


def _command(entrant: Entrant, plan: Mapping[str, Any]) -> list[str]:
    return [str(interpreter(entrant.environment)), str(HERE / entrant.program), orjson.dumps(plan).decode()]


def _plan(cell: Cell, entrant: Entrant, servers: Servers, sizes: Sizes, dsn: str, folder: Path) -> Mapping[str, Any]:
    """What the driver's `Plan` is made of."""
    found = restate_server() if entrant.needs == "restate" else None
    options = {**entrant.options, **servers.urls, "program": None if found is None else str(found)}
    return {
        "scene": cell.scene,
        "seconds": cell.seconds * sizes.scale,
        "tasks_max": sizes.tasks_max,
        "dsn": dsn,
        "ledger": str(folder / "ledger"),
        "folder": str(folder),
        "options": options,
        "floods": FLOODS,
        **cell.plan,
        "finished": min(cell.plan.get("finished", 0), sizes.finished_max),
    }


async def _fill(dsn: str, entrant: Entrant, plan: Mapping[str, Any]) -> None:
    await fill(dsn, entrant.program, plan["finished"], len(graph(plan["shape"])))


@asynccontextmanager
async def _database(admin: Connection, servers: Servers) -> AsyncGenerator[str]:
    """A new one for this cell alone; it is dropped with whoever is still in it."""
    name = f"cell_{os.getpid()}_{_next_number()}"
    await admin.execute(f"create database {name}")
    dsn = urlunsplit(urlsplit(servers.postgres.admin_dsn)._replace(path=f"/{name}"))
    try:
        yield dsn
    finally:
        anew = await connect(servers.postgres.admin_dsn, pinned=False)  # the server may have been restarted
        await anew.execute(f"drop database if exists {name} with (force)")
        await anew.close()


_numbers = iter(range(1_000_000))


def _next_number() -> int:
    return next(_numbers)


class _Talk:
    """The lines of one driver, and what it asks for."""

    def __init__(self, servers: Servers, dsn: str, folder: Path, fill: Callable[[], Awaitable[None]]) -> None:
        self._servers, self._dsn, self._folder, self._fill = servers, dsn, folder, fill
        self._before: Spent | None = None
        self._holder: Connection | None = None
        self._is_restarted = False
        self._process: asyncio.subprocess.Process | None = None

    async def hold(self, command: list[str], source: str | None) -> dict[str, Any]:
        """From the start of the driver to its end; `source` has a Tasker that is not the installed one."""
        said = self._folder / "driver.log"
        with said.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                env={**os.environ, "PYTHONPATH": source} if source else None,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                limit=_LINE_MAX,
            )
        try:
            async with asyncio.timeout(CELL_MAX_S) as limit:
                found = await self._answer(self._process, limit)
        except TimeoutError:
            found = {"error": f"it was not over in {CELL_MAX_S:.0f} s"}
        finally:
            await self._end(self._process)
        if "error" in found:
            found["log"] = self._last_words()
        return found

    async def _answer(self, process: asyncio.subprocess.Process, limit: asyncio.Timeout) -> dict[str, Any]:
        if process.stdout is None:
            raise TaskerError("the driver was started without a pipe for what it says")
        async for line in process.stdout:
            message = orjson.loads(line)
            if "ready" in message:
                await self._mark_statements()
                self._before = await self._spent(process.pid)
                self._say("go")
            elif "ask" in message:
                limit.reschedule(asyncio.get_running_loop().time() + _FILL_MAX_S)
                await self._do(message["ask"])
                limit.reschedule(asyncio.get_running_loop().time() + CELL_MAX_S)
                self._say("done")
            else:
                return {"figures": message["figures"], **await self._costs(process.pid, message["figures"])}
        return {"error": f"the driver ended with code {await process.wait()} before it had a figure"}

    def _say(self, word: str) -> None:
        if self._process is None or self._process.stdin is None:
            raise TaskerError("there is no driver to say anything to")
        self._process.stdin.write(f"{word}\n".encode())

    async def _do(self, what: str) -> None:
        if what == "restart_database":
            self._is_restarted = True
            await asyncio.to_thread(self._servers.postgres.restart)
        elif what == "hold_snapshot":
            self._holder = await connect(self._dsn, pinned=False)
            await self._holder.execute("begin isolation level repeatable read")
            await self._holder.fetchval("select count(*) from pg_class")
        elif what == "fill":
            await self._fill()
        elif what == "release_snapshot" and self._holder is not None:
            await self._holder.close()
        else:
            raise TaskerError(f'a driver asked for "{what}", which is not known here')

    async def _mark_statements(self) -> None:
        if self._servers.counts_statements:
            connection = await connect(self._servers.postgres.admin_dsn, pinned=False)
            await connection.execute("create extension if not exists pg_stat_statements schema public")
            await connection.close()

    async def _spent(self, pid: int) -> Spent:
        connection = await connect(self._servers.postgres.admin_dsn, pinned=False)
        try:
            return await read_spent(connection, {pid, self._servers.postgres.pid, *self._servers.roots})
        finally:
            await connection.close()

    async def _costs(self, pid: int, figures: Mapping[str, Any]) -> dict[str, Any]:
        """CPU time until the last figure; the counters once the peer's sessions are over, for they count at their end.

        Nothing after a restart of the server, whose processes are others.
        """
        if self._before is None or self._is_restarted or self._process is None:
            return {}
        cpu_s = (await self._spent(pid)).cpu_s
        await self._end(self._process)
        await self._until_alone()
        after = await self._spent(pid)
        last = Spent(cpu_s, after.commits, after.wal_bytes, after.statements)
        return {"costs": last.per_1000(self._before, int(figures["steps"]))}

    async def _until_alone(self) -> None:
        """Until the sessions of the peer are over, which count what they did at their end."""
        connection = await connect(self._servers.postgres.admin_dsn, pinned=False)
        name = urlsplit(self._dsn).path.removeprefix("/")
        async with asyncio.timeout(_GOODBYE_S):
            while await connection.fetchval("select count(*) from pg_stat_activity where datname = $1", name):  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_S)
        await connection.close()

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """With all that lies in its session: what it had to say it has said, and a database of its own goes with it."""
        await asyncio.to_thread(_kill_session, process.pid)
        await process.wait()

    def _last_words(self) -> str:
        logs = sorted(self._folder.rglob("*.log"))
        texts = (log.read_text(errors="replace").strip()[-_TAIL:] for log in logs)
        return "\n".join(text for text in texts if text)


def _kill_session(session: int) -> None:
    """Ends what a driver has left behind: every process of its session."""
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(place.read_text().rpartition(")")[2].split()[3]) == session:
                os.kill(int(place.parent.name), signal.SIGKILL)
