# pyright: basic, reportMissingImports=false
"""absurd: its tables as absurdctl carries them, a task of steps, one after the other, on its async worker.

Steps of one level run one after the other: a task is one function, and its `step` is awaited before the next begins.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from absurd_sdk import AsyncAbsurd
from graphs import graph
from stage import Crew, Handlers, Plan, run, say_ready

QUEUE = "peers"
_CONCURRENCY = 32
_LOOK_S = 0.01
_COUNT = "select count(*) from absurd.t_peers where state = 'completed'"
_STATE = "select state from absurd.t_peers where task_id = %s"


def application(plan: Plan) -> AsyncAbsurd:
    """The application with its one task."""
    app = AsyncAbsurd(plan.dsn, queue_name=QUEUE)
    body = Handlers(plan)

    @app.register_task("task", default_max_attempts=10)
    async def task(params: dict[str, Any], ctx: Any) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for place, name in enumerate(graph(plan.shape)):

            async def step(place: int = place) -> dict[str, Any]:
                return await body.run(params["n"], place, params["payload"])

            result = await ctx.step(name, step)
        return result

    return app


class AbsurdPeer:
    """Spawns tasks; workers run in processes, or one inside this process."""

    WINDOW = 500

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._inputs = Handlers(plan).inputs
        self.crew = Crew(plan)
        self._inside: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """The tables, the queue, then workers."""
        command = [str(Path(sys.executable).with_name("absurdctl")), "init", "--database", self._plan.dsn]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"absurdctl made no tables: {done.stderr[-500:]}{done.stdout[-500:]}")
        self._app = AsyncAbsurd(self._plan.dsn, queue_name=QUEUE)
        await self._app.create_queue(QUEUE)
        self._reader = await psycopg.AsyncConnection.connect(self._plan.dsn, autocommit=True)
        if self._plan.workers == 0 and self._plan.scene != "submit":
            self._inside = asyncio.create_task(_serve(self._plan))
        await self.crew.start()

    async def submit(self, numbers: Sequence[int]) -> Sequence[str]:
        """There is no call for many, and a client has one connection: one after the other."""
        strategy: Any = {"kind": "none"}
        found = [
            await self._app.spawn("task", self._inputs(n), max_attempts=10, retry_strategy=strategy, queue=QUEUE)
            for n in numbers
        ]
        return [one["task_id"] for one in found]

    async def wait(self, handle: str) -> None:
        """The task's row, asked as often as we ask others."""
        while (state := await self._ask(_STATE, handle)) != "completed":
            if state in ("failed", "cancelled"):
                raise RuntimeError(f"a task ended as {state}")
            await asyncio.sleep(_LOOK_S)

    async def finished(self) -> int:
        """Rows of its table of tasks."""
        return int(await self._ask(_COUNT))

    async def _ask(self, query: Any, *arguments: Any) -> Any:
        if self._reader.closed:
            self._reader = await psycopg.AsyncConnection.connect(self._plan.dsn, autocommit=True)
        row = await (await self._reader.execute(query, arguments)).fetchone()
        return row and row[0]

    async def close(self) -> None:
        """The workers first."""
        await self.crew.stop()
        if self._inside is not None:
            self._inside.cancel()
            await asyncio.wait([self._inside], timeout=2)


async def _serve(plan: Plan) -> None:
    await application(plan).start_worker(
        concurrency=_CONCURRENCY,
        poll_interval=plan.options.get("polling_s", 0.25),
        claim_timeout=plan.options.get("lease_s", 120),
    )


async def work(plan: Plan) -> None:
    """A worker process."""
    say_ready()
    await _serve(plan)


if __name__ == "__main__":
    run(AbsurdPeer, work)
