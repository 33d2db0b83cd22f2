"""Runs the cases of the conformance suite against a worker, and says what it does that it should not.

    python sdk/conformance/drive.py [--grpc] -- node my-worker.js

starts a server on a PostgreSQL of its own, and for each case the command, with TASKER_URL in its environment; SIGTERM
asks it to stop. README.md says which handlers the worker has to have. The exit code is 1 where a case fails. With
--grpc the address is grpc://…, for workers that speak over a stream.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import uvicorn

from tasker import Tasker
from tasker.settings import Settings
from tasker.store.connection import connect
from tasker.templates import load_text

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "cases.json").read_text(encoding="utf-8"))
SETTINGS = {"lease_s": 2.0, "beat_s": 0.5, "sweep_s": 0.2}
WITHIN_S = 60
StartWorker = Callable[[], AbstractAsyncContextManager[None]]


class Losses:
    """What happens on the way: of every so many answers to turns one is lost."""

    def __init__(self) -> None:
        self.lose_every = self.lost = self._turns = 0

    def loses(self) -> bool:
        """Whether the answer to this turn is lost."""
        self._turns += bool(self.lose_every)
        is_lost = bool(self.lose_every) and self._turns % self.lose_every == 0
        self.lost += is_lost
        return is_lost


class Faults(Losses):
    """The same over HTTP."""

    def __init__(self, app: Any) -> None:
        super().__init__()
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request; a lost answer is a 502, as a proxy would say."""
        if scope["type"] != "http" or not scope["path"].endswith("/turn") or not self.loses():
            await self._app(scope, receive, send)
            return

        async def lose(message: Any) -> None:
            """Nobody hears it."""

        await self._app(scope, receive, lose)
        await send({"type": "http.response.start", "status": 502, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def run_case(
    tasker: Tasker, case: Mapping[str, Any], start_worker: StartWorker, faults: Losses | None
) -> list[str]:
    """What was wrong; nothing, where the worker conforms. `faults` is of the server that the worker speaks to."""
    fault = case.get("fault", {})
    if faults is not None:
        faults.lose_every = fault.get("lose_every", 0)
    definition = {"namespace_name": "conformance", "name": case["name"], "version": "1.0.0", "steps": case["steps"]}
    await tasker.publish(load_text(json.dumps({"tasker": 1, **definition})).template)
    contexts = [case["context"]] * case.get("tasks", 1)
    async with start_worker():
        tasks = [one.task_uuid for one in await tasker.submit_many(case["name"], contexts, namespace="conformance")]
        if fault.get("end_session") or fault.get("stop"):
            await _until_running(tasker, tasks[0])
        if fault.get("end_session"):
            await _end_sessions(tasker)
        views = [] if fault.get("stop") else [await tasker.wait(one, WITHIN_S) for one in tasks]
    if fault.get("stop"):
        async with start_worker():
            views = [await tasker.wait(one, WITHIN_S) for one in tasks]
    wrong = [problem for view in views for problem in judge(view, case["expect"])]
    if wrong:
        print(*await _story(tasker, tasks), sep="\n")
    return wrong


def judge(view: Any, expect: Mapping[str, Any]) -> list[str]:
    """Where a task is not as a case expects it."""
    wrong = [] if view.status == expect["status"] else [f"the task is {view.status}, and not {expect['status']}"]
    steps = {one.name: one for one in view.steps}
    for name, wanted in expect["steps"].items():
        step = steps[name]
        for field, value in wanted.items():
            found = getattr(step, field)
            if isinstance(value, dict):
                kept: Mapping[str, Any] = found or {}
                found = {key: kept.get(key) for key in cast("dict[str, Any]", value)}
            if found != value:
                wrong.append(f"{field} of step {name} is {found!r}, and not {value!r}")
    return [*wrong, *(f"step {name} ran" for name in expect.get("never", ()) if name in steps and steps[name].attempt)]


async def _story(tasker: Tasker, tasks: Sequence[Any]) -> list[str]:
    """What happened to the steps, and who ran them: for whoever has to find out why."""
    connection = await connect(tasker.dsn, pinned=False)
    try:
        moves = await connection.fetch(
            """select m.number, m.at, m.from_state, m.to_state, m.attempt, s.name, s.session_id, m.detail
            from tasker_engine.transitions m left join tasker_engine.sessions s using (session_id)
            where m.task_id = any ($1::uuid[]) order by m.at, m.task_id, m.number, m.seq""",
            tasks,
        )
    finally:
        await connection.close()
    return [" ".join(map(str, ("step", *row))) for row in moves]


async def _until_running(tasker: Tasker, task: Any) -> None:
    until = time.monotonic() + WITHIN_S
    while (await tasker.get(task)).steps[0].state != "in_progress":
        if time.monotonic() > until:
            raise TimeoutError("the worker takes no step")
        await asyncio.sleep(0.02)


async def _end_sessions(tasker: Tasker) -> None:
    connection = await connect(tasker.dsn, pinned=False)
    try:
        query = "select tasker_engine.end_session(session_id, 'conformance', false) from tasker_engine.sessions"
        await connection.fetch(f"{query} where ended_at is null")
    finally:
        await connection.close()


@asynccontextmanager
async def command(words: Sequence[str], url: str) -> AsyncGenerator[None]:
    """A worker as a process, asked to stop at the end."""
    process = await asyncio.create_subprocess_exec(*words, env={**os.environ, "TASKER_URL": url})
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), WITHIN_S)


@asynccontextmanager
async def served(dsn: str) -> AsyncGenerator[tuple[str, Losses]]:
    """A server over HTTP: its address, and what it loses."""
    faults = Faults(Tasker(dsn, worker=False, settings=Settings(**SETTINGS)).asgi())  # pyright: ignore
    server = uvicorn.Server(uvicorn.Config(faults, port=0, log_config=None, timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", faults
    server.should_exit = True
    await serving


async def drive(words: Sequence[str], *, over_grpc: bool) -> int:
    """All cases, one after the other; how many failed."""
    from stream_faults import served_grpc

    failed, serving = 0, served_grpc if over_grpc else served
    settings = Settings(**SETTINGS)  # pyright: ignore[reportCallIssue]
    async with Tasker(worker=False, settings=settings) as tasker, serving(tasker.dsn) as (url, faults):
        for case in CASES:
            wrong = await run_case(tasker, case, lambda: command(words, url), faults)
            failed += bool(wrong)
            print(f"{'FAILED' if wrong else 'ok':8}{case['name']}", *wrong, sep="\n        ")
    return failed


def main(words: Sequence[str]) -> int:
    """The command's exit code."""
    over_grpc = "--grpc" in words[:1]
    words = words[over_grpc:]
    return min(asyncio.run(drive(words[words[:1] == ["--"] :], over_grpc=over_grpc)), 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
