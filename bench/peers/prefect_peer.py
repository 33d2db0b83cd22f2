# pyright: basic, reportMissingImports=false
"""Prefect: its own server on the same PostgreSQL, a flow of async tasks; those of one level run beside each other.

A flow runs in the process that calls it: this one, or worker processes that are told which tasks to run. Nothing starts
a flow anew whose process has died; the results of tasks are kept in the folder of results, as `persist_result` has it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from stage import Crew, Handlers, Plan, run, say_ready, told_numbers

_START_S = 90
_LOOK_S = 0.05
_TOGETHER = 16


def configure(plan: Plan, port: int) -> dict[str, str]:
    """What Prefect reads from the environment, for the server and for all who call it; set here and answered."""
    home = Path(plan.folder, "prefect")
    home.mkdir(exist_ok=True)
    found = {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_API_DATABASE_CONNECTION_URL": plan.dsn.replace("postgresql://", "postgresql+asyncpg://", 1),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
        "DO_NOT_TRACK": "1",
    }
    os.environ.update(found)
    return found


def application(plan: Plan) -> Any:
    """The flow of the plan."""
    from graphs import graph, levels
    from prefect import flow, task

    body = Handlers(plan)

    @task(name="step", retries=10, retry_delay_seconds=0)
    async def step(number: int, place: int, payload: str) -> dict[str, Any]:
        return await body.run(number, place, payload)

    @flow(name="task")
    async def run_task(n: int, payload: str) -> dict[str, Any]:
        places = {name: place for place, name in enumerate(graph(plan.shape))}
        result: dict[str, Any] = {}
        for level in levels(plan.shape):
            results = await asyncio.gather(*(step(n, places[name], payload) for name in level))
            result = results[-1]
        return result

    return run_task


class PrefectPeer:
    """Starts the server and calls flows."""

    WINDOW = 16

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._inputs = Handlers(plan).inputs
        self._is_inside = plan.workers == 0 or plan.scene == "alone"
        self._port = _free_port()
        options = {**plan.options, "port": self._port}
        self.crew = Crew(Plan(**{**vars(plan), "workers": 0 if self._is_inside else plan.workers, "options": options}))
        self._server: subprocess.Popen[bytes] | None = None

    async def open(self) -> None:
        """The server first, whose tables are made at its start."""
        environment = {**os.environ, **configure(self._plan, self._port)}
        self._server = await asyncio.to_thread(self._launch, environment)
        from prefect.client.orchestration import get_client

        self._client = await get_client().__aenter__()
        async with asyncio.timeout(_START_S):
            while (error := await self._client.api_healthcheck()) is not None:
                if self._server.poll() is not None:
                    raise RuntimeError(f"Prefect's server ended before it was healthy: {error}")
                await asyncio.sleep(_LOOK_S)
        self._flow = application(self._plan)
        await self.crew.start()

    def _launch(self, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self._port)]
        with Path(self._plan.folder, "server.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own arguments
                command, env=environment, stdout=log, stderr=log, process_group=0
            )

    async def submit(self, numbers: Sequence[int]) -> Sequence[Any]:
        """Calls the flow here, or tells a worker to."""
        if not self._is_inside:
            for number in numbers:
                self.crew.tell(number, {"numbers": [number]})
            return numbers
        return [asyncio.create_task(self._flow(**self._inputs(number))) for number in numbers]

    async def wait(self, handle: Any) -> None:
        """The flow's end; of one that a worker was told, until the server counts it."""
        if isinstance(handle, asyncio.Task):
            await handle
            return
        while await self.finished() <= handle:  # noqa: ASYNC110 - another process ends it
            await asyncio.sleep(_LOOK_S)

    async def finished(self) -> int:
        """Flow runs that the server has as completed."""
        from prefect.client.schemas.filters import FlowRunFilter

        completed = FlowRunFilter.model_validate({"state": {"type": {"any_": ["COMPLETED"]}}})
        return int(await self._client.count_flow_runs(flow_run_filter=completed))

    async def close(self) -> None:
        """The workers first."""
        await self.crew.stop()
        if self._server is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def work(plan: Plan) -> None:
    """A worker: it runs the flows that it is told, so many at a time."""
    configure(plan, plan.options["port"])
    run_task, inputs, room = application(plan), Handlers(plan).inputs, asyncio.Semaphore(_TOGETHER)
    under_way: set[asyncio.Task[None]] = set()

    async def one(number: int) -> None:
        async with room:
            await run_task(**inputs(number))

    say_ready()
    async for numbers in told_numbers():
        for number in numbers:
            started = asyncio.create_task(one(number))
            under_way.add(started)
            started.add_done_callback(under_way.discard)


if __name__ == "__main__":
    run(PrefectPeer, work)
