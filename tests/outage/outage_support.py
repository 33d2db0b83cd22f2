"""A server and a fleet of workers of the test's own, and what must hold when the dust has settled."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from outage_handlers import LEDGER
from support.checker import check
from support.until import until

from tasker import Tasker
from tasker.cli.serving.child import Work
from tasker.demo.fleet import Fleet, fleet
from tasker.model.errors import TaskerError
from tasker.model.template import HandlerRef, RetryPolicy, Step, Template
from tasker.settings import Settings
from tasker.store.connection import connect
from tasker.store.errors import CONNECTION_ERRORS

TIMES = {"TASKER_LEASE_S": "1.5", "TASKER_BEAT_S": "0.3", "TASKER_SWEEP_S": "0.2", "TASKER_DRAIN_S": "5"}
FULL = os.environ.get("TASKER_TEST_SCALE") == "full"


def seed() -> int:
    """The run's seed: given by TASKER_TEST_SEED, printed so that a failure can be played again."""
    value = int(os.environ.get("TASKER_TEST_SEED", random.randrange(2**32)))
    print(f"TASKER_TEST_SEED={value}")
    return value


def graph(name: str, parents: Mapping[str, Sequence[str]], **retry: Any) -> Template:
    """A template whose steps all run `work`."""
    policy = RetryPolicy(**{"backoff": "none", **retry})
    steps = tuple(
        Step(name=step, handler=HandlerRef(callable="work"), dependencies=tuple(before), retry=policy)
        for step, before in parents.items()
    )
    return Template(namespace="outage", name=name, version="1.0.0", steps=steps)


class Field:
    """A client, the tables, and the workers of one test."""

    def __init__(self, tasker: Tasker, dsn: str, ledger: Path) -> None:
        self.tasker = tasker
        self.dsn = dsn
        self.ledger = ledger
        self.tasks: list[UUID] = []

    async def ask(self, query: str, *args: Any) -> Any:
        """One value, from a connection of its own; waits while the database is away."""
        while True:
            try:
                connection = await connect(self.dsn)
            except TaskerError:
                await asyncio.sleep(0.05)
                continue
            try:
                return await connection.fetchval(query, *args)
            except CONNECTION_ERRORS:
                await asyncio.sleep(0.05)
            finally:
                connection.terminate()

    async def submit(self, template: Template, contexts: Sequence[Mapping[str, Any]]) -> list[UUID]:
        """Tasks of one template."""
        await self.tasker.publish(template)
        made = await self.tasker.submit_many(template.name, list(contexts), namespace=template.namespace)
        ids = [one.task_uuid for one in made]
        self.tasks += ids
        return ids

    async def pids(self) -> list[int]:
        """The processes that have a living session."""
        rows = await self.ask("select array_agg(distinct pid) from tasker_engine.sessions where ended_at is null")
        return list(rows or [])

    async def open_tasks(self) -> int:
        """How many tasks have not ended."""
        return await self.ask("select count(*) from tasker_engine.tasks where finished_at is null")

    async def settled(self, within_s: float) -> None:
        """Returns when every task has ended."""

        async def all_ended() -> bool:
            return await self.open_tasks() == 0

        await until(all_ended, "every task ends", within_s=within_s)

    async def states(self) -> Counter[str]:
        """How many tasks are in each state."""
        rows = await self.ask("select json_object_agg(state, n) from (select state::text, count(*) n from "
                              "tasker_engine.tasks group by 1) s")  # fmt: skip
        return Counter(json.loads(rows or "{}"))

    def deeds(self, phase: str) -> Counter[tuple[str, str, str]]:
        """How often each (task, step, attempt) began, or ended, by the ledger outside."""
        lines = self.ledger.read_text().splitlines() if self.ledger.exists() else []
        split = [line.split() for line in lines if line.startswith(phase)]
        return Counter((task, step, attempt) for _, task, step, attempt, _ in split)

    def assert_sound(self) -> None:
        """No attempt ran twice, and the tables agree, by a checker that shares no code with the engine."""
        twice = {deed: n for deed, n in self.deeds("start").items() if n > 1}
        assert not twice, f"attempts that began more than once: {twice}"
        violations = check(self.dsn)
        assert not violations, "\n".join(violations[:20])


@asynccontextmanager
async def field(dsn: str, folder: Path, *, processes: int = 2) -> AsyncIterator[tuple[Field, Fleet]]:
    """Workers on this database, and a client."""
    ledger = folder / "ledger"
    client = Tasker(dsn, worker=False, settings=Settings(database_url=dsn))
    await client.start()
    work = Work(dsn=dsn, handlers=("outage_handlers",), queues=("outage",), paths=(str(Path(__file__).parent),))
    environment = {**TIMES, LEDGER: str(ledger), "TASKER_LOG_LEVEL": "warning"}
    try:
        async with fleet(work, processes=processes, environment=environment, log=folder / "workers.log") as workers:
            made = Field(client, dsn, ledger)

            async def all_live() -> bool:
                return len(await made.pids()) >= processes

            await until(all_live, "the workers live", within_s=30)
            yield made, workers
    finally:
        await client.stop()


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Sends a signal; a process that is gone already is no matter."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
