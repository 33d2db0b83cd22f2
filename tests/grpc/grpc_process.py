"""`tasker server` with gRPC in a process of its own, as users start it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

STARTS_WITHIN_S = 120


@dataclass
class ServedGrpc:
    """A server that serves, and where."""

    process: Process
    url: str
    address: str

    async def stop(self) -> int:
        """Asks it to stop; the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), 60)


async def start(dsn: str, *words: str, **variables: str) -> Process:
    """The process, which may or may not come to serve."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tasker", "server", "--port", "0", *words, stderr=PIPE,
        env={**os.environ, "TASKER_DATABASE_URL": dsn, **variables},
    )  # fmt: skip


@asynccontextmanager
async def serving_grpc(dsn: str, *words: str, **variables: str) -> AsyncGenerator[ServedGrpc]:
    """`tasker server --grpc-port 0` on free ports, with these words and variables beside."""
    process = await start(dsn, "--grpc-port", "0", *words, **variables)
    assert process.stderr is not None
    said, found = "", None
    async with asyncio.timeout(STARTS_WITHIN_S):
        while found is None and (line := (await process.stderr.readline()).decode()):
            said += line
            found = re.search(r"serving (http://\S+)/v1.*\n.*serving gRPC on (\S+)", said)
    assert found is not None, f"the server did not start:\n{said}"
    drained = asyncio.create_task(process.stderr.read())
    try:
        yield ServedGrpc(process, found[1], found[2])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await drained
