"""Workers of an earlier version, from the sources of an earlier commit, under a schema and a server of this one.

The commit is the last one before the schema knew of pauses. It is read from the history of this repository, and nothing
is fetched: in a shallow clone the test is skipped and says so; `test_contracts.py` holds the same from committed
descriptions.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tarfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from support.serving import served
from support.until import until

from tasker import Tasker
from tasker.store.connection import connect
from tasker.store.fleet import Fleet

ROOT = Path(__file__).parents[2]
EARLIER = "2cf21ccd7b324ea666309803cbbd663d211877ab"
WITHIN_S = 60
TEMPLATE = """
tasker: 1
namespace_name: shop
name: order
version: 1.0.0
steps:
  - {name: price, handler: price}
  - {name: charge, handler: charge, dependencies: [price]}
"""
HANDLERS = """
import asyncio
import os
from pathlib import Path

import tasker
from tasker import depends_on, step_handler

@step_handler("price")
async def price():
    for _ in range(6000):
        if Path("go").exists():
            return {"at": tasker.__file__, "pid": os.getpid()}
        await asyncio.sleep(0.01)

@step_handler("charge")
@depends_on(priced="price")
async def charge(priced):
    return {"at": tasker.__file__, "pid": os.getpid()}
"""
MIGRATE = """
import asyncio, sys
from tasker import Tasker
asyncio.run(Tasker(sys.argv[1], templates="order.yaml", worker=False).start())
"""


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A folder with the earlier sources, a template and handlers."""
    found = subprocess.run(["git", "archive", EARLIER, "src"], cwd=ROOT, capture_output=True, check=False)
    if found.returncode != 0:
        pytest.skip(f"the commit {EARLIER[:7]} is not in this history (a shallow clone?): {found.stderr.decode()[:80]}")
    with tarfile.open(fileobj=BytesIO(found.stdout)) as archive:
        archive.extractall(tmp_path / "earlier", filter="data")
    (tmp_path / "order.yaml").write_text(TEMPLATE)
    (tmp_path / "corner_shop.py").write_text(HANDLERS)
    return tmp_path


class Earlier:
    """Processes of the earlier version."""

    def __init__(self, folder: Path, dsn: str) -> None:
        self.folder, self.dsn = folder, dsn
        self.source = str(folder / "earlier" / "src")
        self.made: list[Process] = []

    async def start(self, *words: str, **variables: str) -> Process:
        """`python WORDS` with the earlier sources."""
        known = {name: value for name, value in os.environ.items() if not name.startswith("TASKER_")}
        environment = {**known, "PYTHONPATH": self.source, "TASKER_BEAT_S": "0.2", **variables}
        self.made.append(await asyncio.create_subprocess_exec(sys.executable, *words, cwd=self.folder, env=environment))
        return self.made[-1]

    async def work(self, *words: str, **variables: str) -> Process:
        """A worker."""
        about = ("-m", "tasker", "worker", "--handlers", "corner_shop", "--processes", "0")
        return await self.start(*about, *words, **variables)


@pytest.fixture
async def workers(earlier: Path, empty_database: str) -> AsyncIterator[Earlier]:
    """On a schema that the earlier version has made."""
    made = Earlier(earlier, empty_database)
    assert await (await made.start("-c", MIGRATE, empty_database)).wait() == 0
    yield made
    for process in made.made:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.slow
async def test_workers_of_the_version_before_go_on(workers: Earlier) -> None:
    """With steps in flight of an earlier direct worker this version migrates and submits; the steps end where they run.
    Then the direct worker, which knows of no pause, is paused, and another earlier one works through a server of this
    version; what it is sent beside what it knows it passes over."""
    connection = await connect(workers.dsn)
    assert await connection.fetchval("select max(number) from tasker_engine.migrations") == 42
    direct = await workers.work(TASKER_DATABASE_URL=workers.dsn)
    submit = "select task_id from tasker_engine.submit('shop', 'order', null, null, $1::jsonb[])"
    flying = [row[0] for row in await connection.fetch(submit, ["{}"] * 10)]
    running = "select count(*) from tasker_engine.steps where state = 'in_progress'"
    await until(lambda: _is(connection, running, 10), within_s=WITHIN_S)
    async with Tasker(workers.dsn, worker=False) as here:
        assert await connection.fetchval("select max(number) from tasker_engine.migrations") > 42
        more = [(await here.submit("order", namespace="shop")).task_uuid for _ in range(5)]
        (workers.folder / "go").touch()
        assert await _ran_by(here, [*flying, *more], workers) == {direct.pid}
        fleet = Fleet()
        (one,) = await fleet.workers(connection)
        assert (one.pid, one.version, one.handlers) == (direct.pid, "", ("charge", "price"))
        await fleet.act_on_worker(connection, uuid4(), "pause", one.session_uuid, actor="ada")
        with served(lambda: Tasker(workers.dsn, worker=False).asgi()) as server:
            remote = await workers.work("--url", server.url)
            tasks = [(await here.submit("order", namespace="shop")).task_uuid for _ in range(5)]
            assert await _ran_by(here, tasks, workers) == {remote.pid}
            remote.terminate()
            assert await asyncio.wait_for(remote.wait(), WITHIN_S) == 0
        direct.terminate()
        assert await asyncio.wait_for(direct.wait(), WITHIN_S) == 0
    await connection.close()


async def _is(connection: Any, query: str, value: int) -> bool:
    return await connection.fetchval(query) == value


async def _ran_by(tasker: Tasker, tasks: list[UUID], workers: Earlier) -> set[int]:
    """The processes that ran the steps of tasks, once these are complete; all of them had the earlier sources."""
    pids: set[int] = set()
    for task in tasks:
        done = await tasker.wait(task, timeout=WITHIN_S)
        assert done.status == "complete"
        for result in done.results.values():
            assert str(result["at"]).startswith(workers.source)
            pids.add(result["pid"])
    return pids
