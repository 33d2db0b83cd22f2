"""`tasker worker`: a parent that starts worker processes, replaces those that die, and passes signals on.

When a child dies, its session is ended at once: its steps need not wait for a lease.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from asyncio.subprocess import Process
from contextlib import suppress
from dataclasses import replace
from subprocess import PIPE

from tasker.cli.exits import DRAINED, STARTUP_CODES
from tasker.cli.serving.child import Work, work_in_foreground
from tasker.embedded import start
from tasker.model.errors import TaskerError
from tasker.settings import Settings
from tasker.store.connection import connect
from tasker.store.errors import CONNECTION_ERRORS
from tasker.store.verbs import Verbs
from tasker.worker.host import host_name
from tasker.worker.log import log, words

RESTART_FIRST_S, RESTART_MAX_S = 0.1, 1.0
SHORT_LIFE_S = 5.0


def run(work: Work, *, processes: int = 1) -> int:
    """Runs workers until a signal; `processes=0` works in this very process. The exit code."""
    if processes == 0:
        return work_in_foreground(work)
    if work.dsn is not None or work.url is not None:
        return asyncio.run(Supervisor(work, processes).run())
    server = start()
    try:
        return asyncio.run(Supervisor(replace(work, dsn=server.dsn), processes).run())
    finally:
        server.release()


class Supervisor:
    """Keeps `count` children alive until it is asked to stop."""

    def __init__(self, work: Work, count: int) -> None:
        self._dsn = work.dsn
        self._work = work
        self._count = count
        self._children: set[Process] = set()
        self._signals = 0
        self._stopping = asyncio.Event()

    async def run(self) -> int:
        """Until a signal. The exit code: 0, or that of a child that could not start.

        Raises DatabaseUnavailable when it does not find the database; one that goes away later is waited for.
        """
        if self._dsn is not None:
            await (await connect(self._dsn)).close()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        keepers = [asyncio.create_task(self._keep()) for _ in range(self._count)]
        codes = await asyncio.gather(*keepers)
        return max(codes)

    def _signalled(self) -> None:
        self._signals += 1
        self._stopping.set()
        for child in self._children:
            _send(child, signal.SIGTERM if self._signals == 1 else signal.SIGKILL)

    async def _keep(self) -> int:
        """One place: a child, and the next one when it dies."""
        wait_s = RESTART_FIRST_S
        while not self._stopping.is_set():
            began = time.monotonic()
            code, pid = await self._live_once()
            if self._stopping.is_set():
                if code != 0:
                    await end_sessions(self._dsn, pid, "stopped", is_loss=False)
                return 0
            if code in STARTUP_CODES:
                self._signalled()
                return code
            if code == DRAINED:
                log.info("a worker process was drained", pid=pid)
                return 0
            log.warning("a worker process ended; starting another", pid=pid, exit_code=code)
            while not await end_sessions(self._dsn, pid, f"its process died (exit code {code})", is_loss=True):
                if await self._is_stopping_within(RESTART_MAX_S):
                    return 0
            wait_s = RESTART_FIRST_S if time.monotonic() - began > SHORT_LIFE_S else min(wait_s * 2, RESTART_MAX_S)
            await self._is_stopping_within(wait_s)
        return 0

    async def _live_once(self) -> tuple[int, int]:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tasker.cli.serving.child", stdin=PIPE, start_new_session=True
        )
        assert child.stdin is not None  # noqa: S101 - it is a pipe
        child.stdin.write(self._work.to_json().encode() + b"\n")
        self._children.add(child)
        if self._stopping.is_set():  # the signal came while it was being made
            _send(child, signal.SIGTERM)
        try:
            return await child.wait(), child.pid
        finally:
            self._children.discard(child)

    async def _is_stopping_within(self, wait_s: float) -> bool:
        try:
            async with asyncio.timeout(wait_s):
                return await self._stopping.wait()
        except TimeoutError:
            return False


async def end_sessions(dsn: str | None, pid: int, reason: str, *, is_loss: bool) -> bool:
    """Ends what sessions a process has left. False where the database could not be asked: their leases will, as they do
    where workers work through a server, and there is none to ask."""
    if dsn is None:
        return True
    verbs = Verbs(Settings().schema_name)
    try:
        connection = await connect(dsn)
        try:
            while await verbs.end_process(connection, host_name(), pid, reason, is_loss=is_loss):
                pass
        finally:
            await connection.close()
    except (*CONNECTION_ERRORS, TaskerError) as error:
        log.warning("could not end the session of a dead worker process", pid=pid, error=words(error))
        return False
    return True


def _send(child: Process, number: int) -> None:
    with suppress(ProcessLookupError):  # it has just ended
        child.send_signal(number)
