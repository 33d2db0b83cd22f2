"""Worker processes under the supervisor of `tasker worker`, in a process of their own, for as long as a block lasts."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import orjson

from tasker.cli.serving.child import Work
from tasker.cli.serving.supervisor import run
from tasker.model.errors import TaskerError

GOODBYE_S = 15.0


class Fleet:
    """The running supervisor."""

    def __init__(self, process: Process, log: Path) -> None:
        self._process = process
        self._log = log

    def check(self) -> None:
        """Raises TaskerError, with the end of its log, if the supervisor has ended."""
        if self._process.returncode is not None:
            said = "\n".join(self._log.read_text(errors="replace").splitlines()[-10:])
            raise TaskerError(f"the demo's workers have ended (exit code {self._process.returncode}):\n{said}")

    def kill(self) -> None:
        """Kills the supervisor, and it alone."""
        self._process.kill()

    def has(self, pid: int) -> bool:
        """Whether this process is one of the supervisor's: nobody else's is ever touched."""
        return parent_of(pid) == self._process.pid


@asynccontextmanager
async def fleet(work: Work, *, processes: int, environment: Mapping[str, str], log: Path) -> AsyncGenerator[Fleet]:
    """`processes` workers, with these variables beside the present ones; what they say goes to `log`."""
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __name__, str(processes)),
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    try:
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        process.stdin.write(work.to_json().encode() + b"\n")
        yield Fleet(process, log)
    finally:
        await _end(process)


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(GOODBYE_S):
            await process.wait()
    except TimeoutError:
        process.kill()  # its children see that their parent is gone, and stop
        await process.wait()


def parent_of(pid: int) -> int | None:
    """The parent of a process; None where there is no such process."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        try:
            return int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            return None
    asked = subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607 - where there is no /proc
    return int(asked.stdout) if asked.stdout.strip() else None


def main(arguments: Sequence[str]) -> int:
    """`python -m tasker.demo.fleet PROCESSES`, with the work as a line of JSON on stdin, which stays open.

    Supervises until SIGTERM, or until stdin ends because the demo is gone.
    """
    fields = orjson.loads(sys.stdin.buffer.readline())
    for name in ("templates", "handlers", "queues", "paths"):
        fields[name] = tuple(fields[name])
    threading.Thread(target=_follow_parent, daemon=True).start()
    return run(Work(**fields), processes=int(arguments[0]))


def _follow_parent() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
