"""A server in a process of its own whose log is kept, at the level that tells most."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from doors import SECRET
from support.until import until


@dataclass
class Served:
    """The server, a client of it, its log, and every answer that it gave."""

    url: str
    client: httpx2.AsyncClient
    log: Path
    answers: list[tuple[str, httpx2.Response]] = field(default_factory=list[tuple[str, httpx2.Response]])

    async def ask(self, what: str, method: str, path: str, **options: Any) -> httpx2.Response:
        """One request, noted under what it is for."""
        answer = await self.client.request(method, path, **options)
        self.answers.append((what, answer))
        return answer

    def logged(self) -> str:
        """All that the server has written so far."""
        return self.log.read_text(errors="replace")


@asynccontextmanager
async def served(dsn: str, folder: Path, **variables: str) -> AsyncGenerator[Served]:
    """`tasker server` on a free port, asking who calls, with debug in its log."""
    log = folder / "server.log"
    environment = {
        **os.environ,
        "TASKER_DATABASE_URL": dsn,
        "TASKER_LOG_LEVEL": "debug",
        "TASKER_AUTH_API_KEY_SECRET": SECRET,
        **variables,
    }
    with log.open("wb") as written:
        words = ("-m", "tasker", "server", "--port", "0", "--auth", "on")
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, stdout=written, stderr=written, env=environment
        )

    def url() -> str:
        found = re.search(r"serving (http://\S+)/v1", log.read_text(errors="replace"))
        return found[1] if found else ""

    try:
        await until(lambda: url() or process.returncode is not None, "the server serves")
        assert process.returncode is None, log.read_text()
        async with httpx2.AsyncClient(base_url=url(), timeout=60) as client:
            yield Served(url(), client, log)
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 60)
