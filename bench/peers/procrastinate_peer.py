# pyright: basic, reportMissingImports=false
"""procrastinate: plain jobs. A chain is a job that defers the next one when it has run: written by hand, as users do.

Workers run 32 jobs at a time; everything else is the default. Jobs of a dead worker are found and retried by code that
the application has to bring itself: here as the manual shows it, once a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import psycopg
from graphs import graph
from procrastinate import App, PsycopgConnector, RetryStrategy
from stage import Crew, Handlers, Plan, run, say_ready

_CONCURRENCY = 32
_LOOK_S = 0.01
_STALLED_LOOK_S = 1.0
_COUNT = "select count(*) from procrastinate_jobs where status = 'succeeded' and args->>'place' = %s"
_LAST = (
    "select count(*) from procrastinate_jobs "
    "where status = 'succeeded' and args->>'place' = %s and args->>'number' = %s"
)


def application(plan: Plan) -> tuple[App, Any]:
    """The application with its one task."""
    app = App(connector=PsycopgConnector(conninfo=plan.dsn))
    body, last = Handlers(plan), len(graph(plan.shape)) - 1

    @app.task(name="step", retry=RetryStrategy(max_attempts=10, wait=0))
    async def step(number: int, place: int, payload: str) -> dict[str, Any]:
        result = await body.run(number, place, payload)
        if place < last:
            await step.defer_async(number=number, place=place + 1, payload=payload)
        return result

    return app, step


class ProcrastinatePeer:
    """Defers jobs; workers run in processes, or one inside this process."""

    WINDOW = 200

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._inputs = Handlers(plan).inputs
        self._last = str(len(graph(plan.shape)) - 1)
        self.crew = Crew(plan)
        self._app, self._step = application(plan)
        self._inside: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """The schema, then workers."""
        await self._app.open_async()
        await self._app.schema_manager.apply_schema_async()
        self._reader = await psycopg.AsyncConnection.connect(self._plan.dsn, autocommit=True)
        if self._plan.workers == 0 and self._plan.scene != "submit":
            self._inside = asyncio.create_task(_serve(self._app))
        await self.crew.start()

    async def submit(self, numbers: Sequence[int]) -> Sequence[int]:
        """`defer_async` for one, `batch_defer_async` for more."""
        jobs = [{"number": n, "place": 0, "payload": self._inputs(n)["payload"]} for n in numbers]
        if len(jobs) == 1:
            await self._step.defer_async(**jobs[0])
        else:
            await self._step.batch_defer_async(*jobs)
        return numbers

    async def wait(self, handle: int) -> None:
        """Asks for the last job's row: there is no call that waits for one."""
        while not await self._ask(_LAST, self._last, str(handle)):  # noqa: ASYNC110 - another process ends it
            await asyncio.sleep(_LOOK_S)

    async def finished(self) -> int:
        """Last jobs that have succeeded."""
        return int(await self._ask(_COUNT, self._last))

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
        await self._app.close_async()


async def _serve(app: App) -> None:
    await app.run_worker_async(concurrency=_CONCURRENCY, install_signal_handlers=False, wait=True)


async def _retry_stalled(app: App) -> None:
    while True:
        for job in await app.job_manager.get_stalled_jobs():
            await app.job_manager.retry_job(job)
        await asyncio.sleep(_STALLED_LOOK_S)


async def work(plan: Plan) -> None:
    """A worker process."""
    app, _ = application(plan)
    async with app.open_async():
        say_ready()
        if plan.scene == "killed":
            await asyncio.gather(_serve(app), _retry_stalled(app))
        else:
            await _serve(app)


if __name__ == "__main__":
    run(ProcrastinatePeer, work)
