"""How fast work goes through each transport: `python bench/transports.py [--rabbitmq-url URL] [--tasks N]`.

Throughput: chains of four steps through two worker processes, in steps per second and as a ratio to `direct` in the
same round; medians over the rounds, transports in turn. Hand-off: chains of two steps, one at a time, whose steps are
run by different processes: from when the first is recorded until the handler of the second starts. Each round has
databases of its own, on a PostgreSQL that this starts. Needs an idle machine. Without --rabbitmq-url RabbitMQ is left
out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from tasker import Settings, Tasker, TaskRequest, step_handler
from tasker.embedded import start_private
from tasker.model.template import HandlerRef, Step, Template
from tasker.store.connection import connect

CHAIN = Template(
    namespace="bench",
    name="chain",
    version="1.0.0",
    steps=tuple(
        Step(name=f"s{n}", handler=HandlerRef(callable="work"), dependencies=(f"s{n - 1}",) if n else ())
        for n in range(4)
    ),
)
ACROSS = Template(
    namespace="bench",
    name="across",
    version="1.0.0",
    steps=(
        Step(name="left", handler=HandlerRef(callable="left")),
        Step(name="right", handler=HandlerRef(callable="right"), dependencies=("left",)),
    ),
)


@step_handler("work")
async def work(context: Any) -> dict[str, Any]:
    """Nothing."""
    return {}


@step_handler("left")
async def left(context: Any) -> dict[str, Any]:
    """The first half of a hand-off."""
    return {}


@step_handler("right")
async def right(context: Any) -> dict[str, Any]:
    """The second half: says when it started."""
    return {"started_at": time.time()}


def made(dsn: str, transport: str, url: str | None, **options: Any) -> Tasker:
    """A Tasker on that transport."""
    settings = Settings(transport=transport, rabbitmq_url=url)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return Tasker(dsn, settings=settings, **options)


async def child(dsn: str, transport: str, url: str, side: str) -> None:
    """A worker process, until its input ends."""
    handlers = [work, left if side == "left" else right]
    async with made(dsn, transport, url or None, handlers=handlers):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def measure(dsn: str, transport: str, url: str | None, tasks: int, pairs: int) -> tuple[float, list[float]]:
    """Steps per second, and seconds of each hand-off."""
    async with made(dsn, transport, url, templates=[CHAIN, ACROSS], worker=False) as tasker:
        arguments = (sys.executable, __file__, "child", dsn, transport, url or "")
        pipe = asyncio.subprocess.PIPE
        children = [
            await asyncio.create_subprocess_exec(*arguments, side, stdin=pipe, stdout=pipe)
            for side in ("left", "right")
        ]
        try:
            for one in children:
                await started(one)
            await run_chains(tasker, 200)
            began = time.perf_counter()
            await run_chains(tasker, tasks)
            rate = tasks * 4 / (time.perf_counter() - began)
            return rate, [await hand_off(tasker) for _ in range(pairs)]
        finally:
            for one in children:
                await one.communicate(b"")  # the end of its input is its end


async def started(process: asyncio.subprocess.Process) -> None:
    """Returns when a worker says that it is ready; RuntimeError where it ended instead."""
    while process.stdout is not None and (line := await process.stdout.readline()):
        if b"ready" in line:
            return
    raise RuntimeError("a worker did not start")


async def run_chains(tasker: Tasker, tasks: int) -> None:
    """Submits so many chains, and waits for all of them."""
    ids: list[UUID] = []
    for begin in range(0, tasks, 500):
        requests = [TaskRequest() for _ in range(min(500, tasks - begin))]
        ids += [one.task_uuid for one in await tasker.submit_many("chain", requests, namespace="bench")]
    await asyncio.gather(*(tasker.wait(one, timeout=600) for one in ids))


async def hand_off(tasker: Tasker) -> float:
    """Seconds from the record of one step to the start of the next, in another process."""
    task = await tasker.submit("across", namespace="bench")
    done = await tasker.wait(task.task_uuid, timeout=60)
    recorded_at = done.step("left").finished_at
    if recorded_at is None:
        raise RuntimeError(f"the task ended in {done.status}")
    return done.results["right"]["started_at"] - recorded_at.timestamp()


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """All rounds; the figures by transport."""
    transports = ["direct", "pgmq", *(["rabbitmq"] if arguments.rabbitmq_url else [])]
    rates: dict[str, list[float]] = {one: [] for one in transports}
    waits: dict[str, list[float]] = {one: [] for one in transports}
    with tempfile.TemporaryDirectory() as folder, start_private(Path(folder)) as server:
        for number in range(arguments.rounds):
            for transport in transports:
                admin = await connect(server.admin_dsn)
                name = f"bench_{transport}_{number}"
                await admin.execute(f"create database {name}")
                await admin.close()
                dsn = urlunsplit(urlsplit(server.admin_dsn)._replace(path=f"/{name}"))
                rate, took = await measure(dsn, transport, arguments.rabbitmq_url, arguments.tasks, arguments.pairs)
                rates[transport].append(rate)
                waits[transport] += took
    base = rates["direct"]
    return {
        one: {
            "steps_per_s": round(statistics.median(rates[one])),
            "ratio_to_direct": round(statistics.median(r / b for r, b in zip(rates[one], base, strict=True)), 3),
            "hand_off_ms": {
                "p50": round(statistics.median(waits[one]) * 1000, 1),
                "p99": round(statistics.quantiles(waits[one], n=100)[98] * 1000, 1),
            },
        }
        for one in transports
    }


def main() -> None:
    """The command line."""
    if sys.argv[1:2] == ["child"]:
        asyncio.run(child(*sys.argv[2:6]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rabbitmq-url")
    parser.add_argument("--tasks", type=int, default=5000)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    print(json.dumps(asyncio.run(run(parser.parse_args())), indent=2))


if __name__ == "__main__":
    main()
