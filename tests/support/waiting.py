"""Waiting for another connection to wait."""

from __future__ import annotations

from typing import Any

from support.until import until


async def until_blocked(engine: Any, connection: Any) -> None:
    """Returns when the server process of the connection waits for a lock that another one holds."""
    pid = connection.raw.get_server_pid()

    async def is_blocked() -> bool:
        return bool(await engine.value("select cardinality(pg_blocking_pids($1)) > 0", pid))

    await until(is_blocked, f"server process {pid} waits for a lock")
