"""A server in a process of its own, as users start it."""

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

import httpx2

STARTS_WITHIN_S, STOPS_WITHIN_S = 60, 20


@dataclass
class Served:
    """A server that serves, and a client of it."""

    process: Process
    url: str
    api: httpx2.AsyncClient
    grpc: str = ""
    """Where gRPC is served, if it is."""

    async def stop(self) -> int:
        """Asks it to stop; the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), 60)


@asynccontextmanager
async def serving(dsn: str, *words: str, **variables: str) -> AsyncGenerator[Served]:
    """`tasker server` on a free port, with these words and variables beside."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tasker", "server", "--port", "0", *words, stderr=PIPE,
        env={**os.environ, "TASKER_DATABASE_URL": dsn, **variables},
    )  # fmt: skip
    assert process.stderr is not None
    url, said = "", ""
    async with asyncio.timeout(STARTS_WITHIN_S):
        while not url and (line := (await process.stderr.readline()).decode()):
            said += line
            found = re.search(r"serving (http://\S+)/v1", line)
            url = found[1] if found else ""
        said_last = (await process.stderr.readline()).decode() if url and "--grpc-port" in words else ""
    assert url, f"the server did not start:\n{said}"
    drained = asyncio.create_task(process.stderr.read())
    try:
        async with httpx2.AsyncClient(base_url=url, timeout=60) as api:
            yield Served(process, url, api, said_last.rpartition(" ")[2].strip())
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOPS_WITHIN_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        drained.cancel()
        await asyncio.gather(drained, return_exceptions=True)
