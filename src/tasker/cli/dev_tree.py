"""What `tasker dev` keeps alive: a server, a worker, and an eye on the files that they were made from.

One loop decides, over one queue of what happened: files changed, a child ended, somebody wants to stop. A new worker
takes the old one's place only once it has started, so that files which are broken change nothing.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson
from watchfiles import Change, DefaultFilter
from watchfiles import awatch as _awatch  # pyright: ignore[reportUnknownVariableType] - it also takes events of trio

from tasker.cli import exits
from tasker.cli.dev_child import publish_anew
from tasker.cli.serving.api import Serving
from tasker.cli.serving.child import Work
from tasker.cli.serving.supervisor import RESTART_FIRST_S, RESTART_MAX_S, end_sessions
from tasker.model.errors import TaskerError
from tasker.settings_file import NAME as SETTINGS_NAME

Say = Callable[[str, str], None]
"""Prints a line, and who says it."""
_SUFFIXES = (".py", ".yaml", ".yml")
_LINE_MAX = 65_536
_HOPELESS = (exits.USAGE, exits.DATABASE)
"""Codes of a first worker that no change of a template or handler would help."""


@dataclass(eq=False, slots=True)
class Child:
    """A process below this one. `told` is what it said once it had started, None if it ended before."""

    role: str
    process: Process
    pump: asyncio.Task[None]
    begun: asyncio.Event
    """Set once it is known which of the two."""
    told: str | None = None
    is_retired: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What `tasker dev` is to do. `work` is None where no worker is wanted."""

    dsn: str
    serving: Serving
    templates: tuple[str, ...]
    work: Work | None
    folders: tuple[Path, ...]
    environment: dict[str, str]


class DevTree:
    """The children, and what becomes of them."""

    def __init__(self, plan: Plan, say: Say, started: Callable[[int], None]) -> None:
        self._plan, self._say, self._started = plan, say, started
        self._serving = plan.serving
        self._events: asyncio.Queue[Child | set[str]] = asyncio.Queue()
        self._stopping = asyncio.Event()
        self._signals = 0
        self._children: set[Child] = set()
        self._guards: set[asyncio.Task[None]] = set()
        self._worker: Child | None = None

    async def run(self) -> int:
        """Until a signal. The exit code: 0, or that of a child that could not begin."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        try:
            async with self._watching():
                return await self._live()
        finally:
            self._stop_children(signal.SIGTERM)
            await asyncio.gather(*self._guards)

    async def _live(self) -> int:
        port, code = await self._start_server()
        if port is None:
            return code
        self._started(port)
        code = await self._start_worker()
        if code in _HOPELESS:
            return 0 if self._stopping.is_set() else code
        while (event := await self._next()) is not None:
            if isinstance(event, set):
                await self._changed(event)
            elif not event.is_retired and (code := await self._ended(event)) is not None:
                return 0 if self._stopping.is_set() else code
        return 0

    async def _next(self) -> Child | set[str] | None:
        """What happened next; None once somebody wants to stop."""
        getting, stopping = asyncio.create_task(self._events.get()), asyncio.create_task(self._stopping.wait())
        await asyncio.wait((getting, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self._stopping.is_set():
            getting.cancel()
            return None
        return await getting

    # Children -------------------------------------------------------------------------------------------------------

    async def _start_server(self) -> tuple[int | None, int]:
        """The port where it listens, or None and the exit code."""
        server = await self._spawn("server", asdict(self._serving))
        if server.told is None:
            return None, _code_of(await server.process.wait())
        self._serving = replace(self._serving, port=int(server.told))  # the next one listens there too
        return self._serving.port, exits.OK

    async def _start_worker(self) -> int:
        """Starts a worker, which takes the place of the one there is. 0, or the exit code of one that did not begin."""
        if self._plan.work is None:
            return await self._publish()
        new = await self._spawn("worker", asdict(self._plan.work))
        if new.told is None:
            code = _code_of(await new.process.wait())
            if not self._stopping.is_set():
                rest = "the last good one goes on" if self._worker else "no worker runs until a file changes"
                self._say("dev", f"the worker did not start; {rest}")
            return code
        old, self._worker = self._worker, new
        self._say("dev", f"a worker is at work (process {new.process.pid})")
        if old is not None:
            old.is_retired = True
            _send(old, signal.SIGTERM)
        return exits.OK

    async def _publish(self) -> int:
        try:
            count = await publish_anew(self._plan.dsn, self._plan.templates)
        except TaskerError as error:
            self._say("dev", str(error))
            return exits.exit_code(error)
        self._say("dev", f"published {count} {'template' if count == 1 else 'templates'}; no worker is wanted")
        return exits.OK

    async def _spawn(self, role: str, told: dict[str, Any]) -> Child:
        """A child that has said that it has started, or has ended."""
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tasker.cli.dev_child", role, str(writing)),
                stdin=PIPE,
                stdout=PIPE,
                stderr=STDOUT,
                pass_fds=(writing,),
                env=self._plan.environment,
                start_new_session=True,
            )
        finally:
            os.close(writing)
        child = Child(role, process, asyncio.create_task(self._pump(role, process)), asyncio.Event())
        self._children.add(child)
        guard = asyncio.create_task(self._guard(child))
        self._guards.add(guard)
        guard.add_done_callback(self._guards.discard)
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        process.stdin.write(orjson.dumps(told) + b"\n")
        if self._stopping.is_set():  # the signal came while it was being made
            _send(child, signal.SIGTERM)
        child.told = await _line_of(reading)
        child.begun.set()
        return child

    async def _pump(self, role: str, process: Process) -> None:
        """Passes on what a child prints, line by line."""
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        rest = b""
        while part := await process.stdout.read(_LINE_MAX):
            *lines, rest = (rest + part).split(b"\n")
            if len(rest) > _LINE_MAX:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._say(role, line.decode(errors="replace"))
        if rest:
            self._say(role, rest.decode(errors="replace"))

    async def _guard(self, child: Child) -> None:
        """Until a child has ended: then its sessions end too."""
        code = await child.process.wait()
        await child.begun.wait()
        self._children.discard(child)
        await asyncio.wait((child.pump,), timeout=RESTART_MAX_S)  # what it started itself may hold its output open
        child.pump.cancel()
        is_wanted = child.is_retired or self._stopping.is_set()
        if child.role == "worker" and code != 0 and child.told is not None:
            reason = "stopped" if is_wanted else f"its process died (exit code {code})"
            await end_sessions(self._plan.dsn, child.process.pid, reason, is_loss=not is_wanted)
        if not is_wanted and child.told is not None:
            self._say("dev", f"the {child.role} (process {child.process.pid}) ended: {_how(code)}")
            self._events.put_nowait(child)

    async def _ended(self, child: Child) -> int | None:
        """Starts another in the place of one that died. The exit code where that cannot be."""
        await self._is_stopping_within(RESTART_FIRST_S)
        if child.role == "server":
            port, code = await self._start_server()
            return None if port is not None else code
        if child is self._worker:
            self._worker = None
            code = await self._start_worker()
            while code in (exits.AWAY, exits.DATABASE) and not await self._is_stopping_within(RESTART_MAX_S):
                code = await self._start_worker()
        return None

    async def _is_stopping_within(self, wait_s: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._stopping.wait()
        return self._stopping.is_set()

    def _signalled(self) -> None:
        self._signals += 1
        if self._signals == 1:
            self._say("dev", "stopping: running steps may finish; once more stops at once")
        self._stopping.set()
        self._stop_children(signal.SIGTERM if self._signals == 1 else signal.SIGKILL)

    def _stop_children(self, number: int) -> None:
        self._stopping.set()
        for child in list(self._children):
            _send(child, number)

    # Files ----------------------------------------------------------------------------------------------------------

    async def _changed(self, files: set[str]) -> None:
        names = sorted({Path(file).name for file in files})
        if SETTINGS_NAME in names:
            self._say("dev", f"{SETTINGS_NAME} has changed: settings are read at the start, so stop and start again")
            names.remove(SETTINGS_NAME)
        if names:
            self._say("dev", f"{', '.join(names[:3])}{' and others' if len(names) > 3 else ''} changed")
            await self._start_worker()

    @asynccontextmanager
    async def _watching(self) -> AsyncGenerator[None]:
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            self._stopping.set()
            await watching

    async def _watch(self) -> None:
        changes = _awatch(
            *self._plan.folders,
            watch_filter=_is_ours,
            stop_event=self._stopping,
            raise_interrupt=False,
            ignore_permission_denied=True,
        )
        try:
            async for found in changes:
                self._events.put_nowait({path for _, path in found})
        except (OSError, RuntimeError) as error:
            self._say("dev", f"files cannot be watched ({error}): after a change, stop and start again")


_ignored = DefaultFilter(ignore_dirs=(*DefaultFilter.ignore_dirs, ".tasker"))


def _is_ours(change: Change, path: str) -> bool:
    """Whether handlers, templates or settings may have changed with this file."""
    return (path.endswith(_SUFFIXES) or Path(path).name == SETTINGS_NAME) and _ignored(change, path)


async def _line_of(reading: int) -> str | None:
    """The line that comes through a pipe; None if none comes."""
    reader = asyncio.StreamReader()
    pipe = os.fdopen(reading, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        return (await reader.readline()).decode().strip() or None
    finally:
        transport.close()


def _code_of(code: int) -> int:
    return code if code > 0 else exits.FAILED


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _send(child: Child, number: int) -> None:
    with suppress(ProcessLookupError):  # it has just ended
        child.process.send_signal(number)


def folders_of(templates: Sequence[str]) -> tuple[Path, ...]:
    """The current folder, and those of templates that lie elsewhere."""
    here = Path.cwd()
    found = [here]
    for given in templates:
        path = Path(given).expanduser().absolute()
        while not path.is_dir():
            path = path.parent
        if not any(path.is_relative_to(folder) for folder in found):
            found.append(path)
    return tuple(found)
