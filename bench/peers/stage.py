"""A peer's process: what a driver has to offer, and the talk with the program that measures. Standard library only.

A driver is a module with a class that has the methods of `Peer` and ends with `stage.run(Driver, work)`. It runs in the
interpreter of the peer's own environment, twice: as the one that submits and asks, and as its worker processes.

The talk is lines of JSON, one object each. This side says `ready` (its workers run, a few tasks have run through),
hears `go`, measures, says `done` with the figures, and ends when it hears `stop`. In between it may ask for what only
the other side can do: {"ask": "restart_database"}, {"ask": "hold_snapshot"}; each is answered with a line.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ledger import BEGUN, ENDED, Ledger

READY_S = 90.0
_GOODBYE_S = 3.0
_own_output = sys.stdout


@dataclass(frozen=True)
class Plan:
    """What is to be measured. `workers` are processes; 0 is this process itself, where the peer can work in it."""

    scene: str
    shape: str
    workers: int
    seconds: float
    dsn: str
    ledger: str
    folder: str
    payload_bytes: int = 0
    fail_share: float = 0.0
    work_ms: float = 0.0
    is_traced: bool = False
    percents: Sequence[int] = ()
    finished: int = 0
    floods: int = 0
    tasks_max: int = 1_000_000_000
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    worker: int | None = None


class Peer(Protocol):
    """What a driver offers. A task is (number, shape of the plan); its handle is whatever the peer gives back."""

    @property
    def WINDOW(self) -> int:
        """How many tasks it is given at once where it is to be saturated."""
        ...

    async def open(self) -> None:
        """Makes what it needs in the empty database, and starts its workers; returns when tasks would run."""
        ...

    async def submit(self, numbers: Sequence[int]) -> Sequence[Any]:
        """Submits these tasks durably, in bulk if the peer knows how; their handles."""
        ...

    async def wait(self, handle: Any) -> None:
        """Returns when the task is complete. Raises if it failed."""
        ...

    async def finished(self) -> int:
        """How many tasks the peer's own store calls complete."""
        ...

    async def close(self) -> None:
        """Ends its workers and servers."""
        ...


class PassingFailure(Exception):
    """A failure that another try heals."""


class Handlers:
    """The body of every step, for async and for plain handlers: the same work for every peer."""

    def __init__(self, plan: Plan) -> None:
        self._ledger = Ledger(plan.ledger)
        self._plan = plan
        self._failed: set[int] = set()

    def inputs(self, number: int) -> dict[str, Any]:
        """What a task is submitted with."""
        return {"n": number, "payload": "x" * self._plan.payload_bytes}

    async def run(self, number: int, step: int, payload: str = "") -> dict[str, Any]:
        """A step as an async handler."""
        self._begin(number, step)
        if self._plan.work_ms:
            await asyncio.sleep(self._plan.work_ms / 1e3)
        return self._end(number, step, payload)

    def run_plain(self, number: int, step: int, payload: str = "") -> dict[str, Any]:
        """A step as a plain function."""
        self._begin(number, step)
        if self._plan.work_ms:
            time.sleep(self._plan.work_ms / 1e3)
        return self._end(number, step, payload)

    def _begin(self, number: int, step: int) -> None:
        if self._plan.is_traced:
            self._ledger.note(number, step, BEGUN)
        if step == 1 and number % 100 < self._plan.fail_share * 100 and number not in self._failed:
            self._failed.add(number)
            raise PassingFailure(f"step {step} of task {number} fails once, as planned")

    def _end(self, number: int, step: int, payload: str) -> dict[str, Any]:
        self._ledger.note(number, step, ENDED)
        return {"n": number, "payload": payload}


class Crew:
    """The worker processes of a driver: this module again, each with its number."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._processes: list[subprocess.Popen[str]] = []

    @property
    def pids(self) -> list[int]:
        """Their process ids, in order."""
        return [process.pid for process in self._processes]

    async def start(self) -> None:
        """Starts all; returns when each has said that it is ready."""
        self._processes = [self._launch(number) for number in range(self._plan.workers)]
        for process in self._processes:
            await asyncio.to_thread(_until_ready, process)

    def tell(self, number: int, message: Mapping[str, Any]) -> None:
        """A line for one worker's standard input, for peers whose tasks begin in the process that runs them."""
        pipe = self._processes[number % len(self._processes)].stdin
        if pipe is None:
            raise RuntimeError("a worker process was started without a pipe to tell it anything")
        pipe.write(json.dumps(message) + "\n")
        pipe.flush()

    def kill(self, number: int) -> int:
        """Ends one with SIGKILL; the id that it had."""
        process = self._processes[number]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return process.pid

    async def replace(self, number: int) -> None:
        """Starts another in its place, as a supervisor would."""
        self._processes[number] = self._launch(number)
        await asyncio.to_thread(_until_ready, self._processes[number])

    async def stop(self) -> None:
        """Ends all, kindly at first."""
        for process in self._processes:
            process.terminate()
        deadline = time.monotonic() + _GOODBYE_S
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, max(0.1, deadline - time.monotonic()))
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def _launch(self, number: int) -> subprocess.Popen[str]:
        told = json.dumps({**vars(self._plan), "worker": number})
        with Path(self._plan.folder, f"worker-{number}.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - this program again
                [sys.executable, sys.argv[0], told],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                process_group=0,
            )


def _until_ready(process: subprocess.Popen[str]) -> None:
    timer = threading.Timer(READY_S, process.kill)
    timer.start()
    for line in process.stdout or ():
        if line.strip() == "READY":
            timer.cancel()
            threading.Thread(target=_drain, args=(process,), daemon=True).start()
            return
    timer.cancel()
    raise RuntimeError(f"a worker process ended before it was ready, with code {process.wait()}: see its log")


def _drain(process: subprocess.Popen[str]) -> None:
    for _ in process.stdout or ():
        pass


async def told_numbers() -> AsyncGenerator[list[int]]:
    """What `Crew.tell` sent to this worker, until the end: the numbers of tasks that begin here."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield json.loads(line)["numbers"]


def say_ready() -> None:
    """A worker's word that it takes work."""
    print("READY", file=_own_output, flush=True)


def say(message: Mapping[str, Any]) -> None:
    """A line for the program that measures."""
    print(json.dumps(message), file=_own_output, flush=True)


async def hear(*wanted: str) -> str:
    """The next line of the other side. Raises where it is another word, or the end."""
    line = (await asyncio.to_thread(sys.stdin.readline)).strip()
    if line not in wanted:
        raise RuntimeError(f"the measuring program said {line!r} where it should say one of {wanted}")
    return line


async def ask(what: str) -> None:
    """Has the measuring program do something; returns when it is done."""
    say({"ask": what})
    await hear("done")


def run(driver: Callable[[Plan], Peer], work: Callable[[Plan], Awaitable[None] | None]) -> None:
    """What a driver ends with: `driver` in the process that measures, `work` in its workers."""
    global _own_output
    plan = Plan(**json.loads(sys.argv[1]))
    _own_output, sys.stdout = sys.stdout, sys.stderr  # what a peer prints is no part of the talk
    if plan.worker is not None:
        under_way = work(plan)
        if under_way is not None:
            asyncio.run(_as_coroutine(under_way))
        return
    asyncio.run(_drive(driver, plan))


async def _as_coroutine(awaitable: Awaitable[None]) -> None:
    await awaitable


async def _drive(driver: Callable[[Plan], Peer], plan: Plan) -> None:
    from scenes import SCENES

    peer = driver(plan)
    try:
        await peer.open()
        await SCENES[plan.scene](peer, plan)
    finally:
        await peer.close()
