# pyright: basic, reportMissingImports=false
"""DBOS Transact: an async workflow of async steps; those of one level run beside each other.

`mode` is `direct`: a workflow runs in the process that starts it; or `queued`: workers take it from a queue.
Worker processes of the direct mode are told over a pipe which tasks to start. After a kill the worker that takes its
place has the same executor id, as DBOS asks for, and recovers what the dead one had under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import psycopg
from dbos import DBOS, DBOSClient, SetWorkflowID
from graphs import graph, levels
from stage import Crew, Handlers, Plan, run, say_ready, told_numbers

QUEUE, VERSION = "peers", "1"
_POOL = 20
_TOGETHER = 16
_LOOK_S = 0.01
_RETRIES = {"retries_allowed": True, "interval_seconds": 0.001, "max_attempts": 10, "backoff_rate": 1.0}
_COUNT = "select count(*) from dbos.workflow_status where status = 'SUCCESS'"
_STATUS = "select status from dbos.workflow_status where workflow_uuid = %s"


class Application:
    """The workflow of one plan, registered with DBOS in this process."""

    def __init__(self, plan: Plan, executor: str) -> None:
        self._plan = plan
        body = Handlers(plan)
        self.inputs = body.inputs
        DBOS(
            config={
                "name": "peers",
                "system_database_url": plan.dsn,
                "application_version": VERSION,
                "executor_id": executor,
                "sys_db_pool_size": _POOL,
                "log_level": "ERROR",
                "run_admin_server": False,
            }
        )

        @DBOS.step(name="step", **_RETRIES)
        async def step(number: int, place: int, payload: str) -> dict[str, Any]:
            return await body.run(number, place, payload)

        @DBOS.workflow(name="task")
        async def task(number: int, payload: str) -> dict[str, Any]:
            places = {name: place for place, name in enumerate(graph(plan.shape))}
            result: dict[str, Any] = {}
            for level in levels(plan.shape):
                if len(level) == 1:
                    result = await step(number, places[level[0]], payload)
                else:
                    await asyncio.gather(*(step(number, places[name], payload) for name in level))
            return result

        self.task = task

    async def launch(self) -> None:
        """Connects, recovers, and in the queued mode works on the queue, unless tasks are only to be submitted."""
        if self._plan.scene == "submit" or (self._plan.worker is None and self._plan.workers):
            DBOS.listen_queues([])
        DBOS.launch()
        if self._plan.options["mode"] == "queued":
            polling = self._plan.options.get("polling_s")
            await DBOS.register_queue_async(QUEUE, **({} if polling is None else {"polling_interval_sec": polling}))

    async def start(self, number: int) -> Any:
        """Starts the task in this process."""
        with SetWorkflowID(f"task-{number}"):
            given = self.inputs(number)
            return await DBOS.start_workflow_async(self.task, given["n"], given["payload"])


class DbosPeer:
    """A client of a queue, or the process in which workflows run."""

    WINDOW = 100

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.crew = Crew(plan)
        self._is_queued = plan.options["mode"] == "queued"
        self._is_inside = plan.workers == 0 or (plan.scene == "alone" and not self._is_queued)
        self._told = 0

    async def open(self) -> None:
        """The process itself launches first, and so makes the tables."""
        self._application = Application(self._plan, "client")
        await self._application.launch()
        if self._is_queued:
            self._client = DBOSClient(system_database_url=self._plan.dsn)
        self._reader = await psycopg.AsyncConnection.connect(self._plan.dsn, autocommit=True)
        if not self._is_inside:
            await self.crew.start()

    async def submit(self, numbers: Sequence[int]) -> Sequence[Any]:
        """There is no call for many: so many at a time."""
        handles: list[Any] = []
        for first in range(0, len(numbers), _TOGETHER):
            some = numbers[first : first + _TOGETHER]
            handles += await asyncio.gather(*(self._submit(number) for number in some))
        return handles

    async def _submit(self, number: int) -> Any:
        if self._is_queued:
            given = self._application.inputs(number)
            options: Any = {
                "workflow_name": "task",
                "queue_name": QUEUE,
                "workflow_id": f"task-{number}",
                "app_version": VERSION,
            }
            return await self._client.enqueue_async(options, given["n"], given["payload"])
        if self._is_inside:
            return await self._application.start(number)
        self.crew.tell(number, {"numbers": [number]})
        return f"task-{number}"

    async def wait(self, handle: Any) -> None:
        """`get_result`, asked as often as we ask others; for tasks that a worker was told of, its row."""
        if not isinstance(handle, str):
            await handle.get_result(polling_interval_sec=_LOOK_S)
            return
        while await self._ask(_STATUS, handle) != "SUCCESS":  # noqa: ASYNC110 - another process ends it
            await asyncio.sleep(_LOOK_S)

    async def finished(self) -> int:
        """Rows of `workflow_status`."""
        return int(await self._ask(_COUNT))

    async def _ask(self, query: Any, *arguments: Any) -> Any:
        if self._reader.closed:
            self._reader = await psycopg.AsyncConnection.connect(self._plan.dsn, autocommit=True)
        row = await (await self._reader.execute(query, arguments)).fetchone()
        return row and row[0]

    async def close(self) -> None:
        """The workers first."""
        await self.crew.stop()
        DBOS.destroy(workflow_completion_timeout_sec=0)


async def work(plan: Plan) -> None:
    """A worker: of the queue, or of what it is told."""
    application = Application(plan, f"worker-{plan.worker}")
    await application.launch()
    say_ready()
    if plan.options["mode"] == "queued":
        await asyncio.Event().wait()
    kept = []
    async for numbers in told_numbers():
        kept += [await application.start(number) for number in numbers]


if __name__ == "__main__":
    run(DbosPeer, work)
