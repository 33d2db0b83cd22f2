# pyright: basic, reportMissingImports=false
"""Restate: its own server, started here for each measurement, and a workflow of the Python SDK on hypercorn.

Steps are `ctx.run`, those of one level gathered. Worker processes listen on one port together, and the kernel deals
Restate's connections out among them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import restate
from graphs import graph, levels
from hypercorn.asyncio import serve
from hypercorn.config import Config
from stage import Crew, Handlers, Plan, run, say_ready

_TOGETHER = 32
_START_S = 60
_LOOK_S = 0.05
_COUNT = "select count(*) as done from sys_invocation where status = 'completed' and completion_result = 'success'"
_QUICKLY = timedelta(milliseconds=1)


def application(plan: Plan) -> Any:
    """The workflow of the plan."""
    body = Handlers(plan)
    task = restate.Workflow("Task")
    options = restate.RunOptions(initial_retry_interval=_QUICKLY, max_retry_interval=_QUICKLY, max_attempts=10)

    @task.main(name="run")
    async def main(ctx: restate.WorkflowContext, given: dict[str, Any]) -> dict[str, Any]:
        places = {name: place for place, name in enumerate(graph(plan.shape))}
        result: dict[str, Any] = {}
        for level in levels(plan.shape):
            started = [
                ctx.run_typed(name, body.run, options, number=given["n"], step=places[name], payload=given["payload"])
                for name in level
            ]
            if len(started) == 1:
                result = await started[0]
            else:
                await restate.gather(*started)
        return result

    return restate.app(services=[task])


class RestatePeer:
    """Starts the server, submits over HTTP, and asks the server's own tables."""

    WINDOW = 200

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._inputs = Handlers(plan).inputs
        self._ports = [_free_port() for _ in range(4)]
        options = {**plan.options, "port": self._ports[3]}
        self.crew = Crew(Plan(**{**vars(plan), "workers": max(1, plan.workers), "options": options}))
        self._server: subprocess.Popen[bytes] | None = None

    async def open(self) -> None:
        """Server, workers, and the registration of these with that."""
        ingress, admin, node, service = self._ports
        environment = {
            **os.environ,
            "RESTATE_LISTEN_MODE": "tcp",
            "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
            "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
            "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}",
            "RESTATE_LOG_FILTER": "warn",
            "DO_NOT_TRACK": "1",
        }
        folder = Path(self._plan.folder, "restate")
        self._server = await asyncio.to_thread(self._launch, folder, environment)
        self._ingress = httpx.AsyncClient(base_url=f"http://127.0.0.1:{ingress}", timeout=60)
        self._admin = httpx.AsyncClient(base_url=f"http://127.0.0.1:{admin}", timeout=60)
        await self.crew.start()
        await self._until_healthy()
        answer = await self._admin.post("/deployments", json={"uri": f"http://127.0.0.1:{service}"})
        answer.raise_for_status()

    def _launch(self, folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        command = [self._plan.options["program"], "--base-dir", str(folder), "--node-name", "peers"]
        with folder.with_suffix(".log").open("ab") as log:
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: S603 - our own arguments

    async def _until_healthy(self) -> None:
        async with asyncio.timeout(_START_S):
            while True:
                try:
                    healthy = await asyncio.gather(self._admin.get("/health"), self._ingress.get("/restate/health"))
                    if all(answer.is_success for answer in healthy):
                        return
                except httpx.TransportError:
                    await asyncio.sleep(_LOOK_S)

    async def submit(self, numbers: Sequence[int]) -> Sequence[int]:
        """There is no call for many: so many at a time."""
        for first in range(0, len(numbers), _TOGETHER):
            answers = await asyncio.gather(
                *(
                    self._ingress.post(f"/Task/{number}/run/send", json=self._inputs(number))
                    for number in numbers[first : first + _TOGETHER]
                )
            )
            for answer in answers:
                answer.raise_for_status()
        return numbers

    async def wait(self, handle: int) -> None:
        """Attaches to the workflow."""
        (await self._ingress.get(f"/restate/workflow/Task/{handle}/attach")).raise_for_status()

    async def finished(self) -> int:
        """Completed invocations, which Restate keeps for a day."""
        asked = {"query": _COUNT}
        answer = await self._admin.post("/query", json=asked, headers={"accept": "application/json"})
        answer.raise_for_status()
        return int(answer.json()["rows"][0]["done"])

    async def close(self) -> None:
        """The workers first."""
        await self.crew.stop()
        if self._server is not None:
            self._server.send_signal(signal.SIGKILL)
            self._server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def work(plan: Plan) -> None:
    """A worker process."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", plan.options["port"]))
    listener.listen(512)
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.h2_max_concurrent_streams = 2000
    say_ready()
    await serve(application(plan), config)


if __name__ == "__main__":
    run(RestatePeer, work)
