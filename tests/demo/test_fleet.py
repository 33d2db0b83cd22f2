"""The demo's worker processes: they end with it, and show nothing to others on the machine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support.until import until

from tasker.demo import shopfront
from tasker.demo.fleet import parent_of


@pytest.fixture
def supervisor(database: str) -> Iterator[subprocess.Popen[bytes]]:
    """The supervisor of one worker, with its work, and our end of its stdin."""
    work = {
        "dsn": database,
        "templates": [],
        "handlers": ["ecommerce.handlers"],
        "queues": ["none"],
        "concurrency": 1,
        "paths": [str(shopfront.examples_folder())],
    }
    process = subprocess.Popen([sys.executable, "-m", "tasker.demo.fleet", "1"], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(json.dumps(work).encode() + b"\n")
    process.stdin.flush()
    yield process
    process.stdin.close()
    try:
        process.wait(timeout=30)
    finally:
        process.kill()


def living_workers(database: str) -> list[int]:
    with psycopg.connect(database) as connection:
        query = "select pid from tasker_engine.sessions where ended_at is null"
        return [pid for (pid,) in connection.execute(query)]


async def worker_of(supervisor: subprocess.Popen[bytes], database: str) -> int:
    """The worker's process, once it takes work."""
    (pid,) = await until(lambda: living_workers(database), "a worker has begun", within_s=60)
    assert parent_of(pid) == supervisor.pid
    return pid


async def test_workers_do_not_outlive_the_demo(supervisor: subprocess.Popen[bytes], database: str) -> None:
    """When the demo is killed, its workers see its end of a pipe close, and stop."""
    pid = await worker_of(supervisor, database)

    assert supervisor.stdin is not None
    supervisor.stdin.close()

    await until(lambda: supervisor.poll() is not None, "the supervisor has ended", within_s=60)
    assert supervisor.returncode == 0
    assert parent_of(pid) is None
    assert living_workers(database) == []


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc here")
async def test_the_dsn_is_not_in_the_list_of_processes(supervisor: subprocess.Popen[bytes], database: str) -> None:
    """A DSN may hold a password, and everybody on a machine can read the arguments of its processes."""
    pid = await worker_of(supervisor, database)

    assert "postgresql://" not in arguments(pid)
    assert "postgresql://" not in arguments(supervisor.pid)


def arguments(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode()
