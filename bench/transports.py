"""How fast work goes through each transport: `python bench/transports.py [--rabbitmq-url URL] [--processes 1 2 4]`.

Throughput: chains of four steps through so many worker processes, in steps per second and as a ratio to `direct` with
one process in the same round; medians over the rounds, ways in turn. Hand-off: chains of two steps, one at a time, the
steps of which are run by different processes: from when the first is recorded until the handler of the second starts.
`gateway` is workers that know a server's address alone, `gateway_rabbitmq` the same woken by RabbitMQ. Each measurement
has a database of its own, on a PostgreSQL that this starts. Needs an idle machine. Without --rabbitmq-url RabbitMQ is
left out. Idle: --idle S counts the requests that an idle worker of a server makes in S seconds, told by the minute.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import uvicorn
import uvloop
from script import print_table

from tasker import Settings, Tasker, TaskRequest, step_handler
from tasker.embedded import start_private
from tasker.model.template import HandlerRef, Step, Template
from tasker.remote.worker import RemoteWorker
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
SIDES = ("left", "right")
REMOTE = ("gateway", "gateway_rabbitmq")
_SETTLES_S = 40.0
"""What a worker of a server still asks for before it relies on a broker: its last wait for work ends."""
_WARM_TASKS = 200
_LOOK_S = 0.02
_IS_OPEN = "select exists (select from tasker_engine.tasks where open > 0)"


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


def made(dsn: str, way: str, url: str, **options: Any) -> Tasker:
    """A Tasker on the way's transport; beside workers of the gateway it is the direct one."""
    transport = {"gateway": "direct", "gateway_rabbitmq": "rabbitmq"}.get(way, way)
    broker = url if transport == "rabbitmq" else None
    settings = Settings(transport=transport, rabbitmq_url=broker)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return Tasker(dsn, settings=settings, **options)


def remote(way: str, url: str, broker: str, handlers: list[Any]) -> RemoteWorker:
    """A worker of a server, which RabbitMQ wakes where the way says so."""
    settings = made("", way, broker).settings.model_copy(update={"transport": "auto"})
    return RemoteWorker(url, handlers=handlers, settings=settings)


# The processes --------------------------------------------------------------------------------------------------------


async def child(part: str, dsn: str, way: str, url: str, side: str, broker: str) -> None:
    """A worker, or the server, until its input ends."""
    if part == "server":
        await serve(made(dsn, way, broker), int(side))
        return
    handlers = [work, left if side == "left" else right]
    worker = remote(way, url, broker, handlers) if way in REMOTE else made(dsn, way, broker, handlers=handlers)
    async with worker:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def serve(tasker: Tasker, port: int) -> None:
    """The server of the gateway."""
    config = uvicorn.Config(tasker.asgi(), port=port, log_config=None, access_log=False, http="httptools")
    config.timeout_graceful_shutdown = 1
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.02)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


@asynccontextmanager
async def process(*arguments: str) -> AsyncGenerator[None]:
    """A child, once it says that it is ready; the end of its input is its end. RuntimeError where it does not start."""
    pipe = asyncio.subprocess.PIPE
    one = await asyncio.create_subprocess_exec(sys.executable, __file__, "child", *arguments, stdin=pipe, stdout=pipe)
    try:
        while one.stdout is not None and (line := await one.stdout.readline()):
            if b"ready" in line:
                break
        else:
            raise RuntimeError("a process did not start")
        yield
    finally:
        await one.communicate(b"")


# What is measured -----------------------------------------------------------------------------------------------------


async def measure(dsn: str, way: str, broker: str, processes: int, tasks: int, pairs: int) -> tuple[float, list[float]]:
    """Steps per second, and seconds of each hand-off; none with one process, which hands nothing over."""
    async with AsyncExitStack() as stack:
        tasker = await stack.enter_async_context(made(dsn, way, broker, templates=[CHAIN, ACROSS], worker=False))
        url = ""
        if way in REMOTE:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            await stack.enter_async_context(process("server", dsn, way, "", str(port), broker))
            url = f"http://127.0.0.1:{port}"
        started = [process("worker", dsn, way, url, SIDES[number % 2], broker) for number in range(processes)]
        await asyncio.gather(*(stack.enter_async_context(one) for one in started))
        await run_chains(tasker, _WARM_TASKS)
        began = time.perf_counter()
        await run_chains(tasker, tasks)
        rate = tasks * len(CHAIN.steps) / (time.perf_counter() - began)
        return rate, [await hand_off(tasker) for _ in range(pairs if processes > 1 else 0)]


async def run_chains(tasker: Tasker, tasks: int) -> None:
    """Submits so many chains, and returns when all have ended. (To wait for each of them would be measured too.)"""
    for begin in range(0, tasks, 500):
        requests = [TaskRequest() for _ in range(min(500, tasks - begin))]
        await tasker.submit_many("chain", requests, namespace="bench")
    connection = await connect(tasker.dsn)
    try:
        while await connection.fetchval(_IS_OPEN):  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(_LOOK_S)
    finally:
        await connection.close()


async def hand_off(tasker: Tasker) -> float:
    """Seconds from the record of one step to the start of the next, in another process."""
    task = await tasker.submit("across", namespace="bench")
    done = await tasker.wait(task.task_uuid, timeout=60)
    recorded_at = done.step("left").finished_at
    if recorded_at is None:
        raise RuntimeError(f"the task ended in {done.status}")
    return done.results["right"]["started_at"] - recorded_at.timestamp()


class Counted:
    """An ASGI application whose requests are counted."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.requests = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        self.requests += scope["type"] == "http"
        await self._app(scope, receive, send)


async def idle(dsn: str, way: str, broker: str, seconds: float) -> float:
    """Requests per minute of one worker that has nothing to do."""
    async with made(dsn, way, broker, templates=[CHAIN], worker=False) as tasker:
        counted = Counted(tasker.asgi())
        server = uvicorn.Server(uvicorn.Config(counted, port=0, log_config=None, timeout_graceful_shutdown=1))
        serving = asyncio.create_task(server.serve())
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(_LOOK_S)
        port = server.servers[0].sockets[0].getsockname()[1]
        async with remote(way, f"http://127.0.0.1:{port}", broker, [work]):
            await run_chains(tasker, 1)
            await asyncio.sleep(_SETTLES_S)
            before = counted.requests
            await asyncio.sleep(seconds)
            found = counted.requests - before
        server.should_exit = True
        await serving
    return found * 60 / seconds


class Found:
    """What was measured of one way with so many processes."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.waits: list[float] = []

    def figures(self, base: Sequence[float]) -> dict[str, Any]:
        """Medians; ratios to `base` round by round."""
        ratios = [rate / other for rate, other in zip(self.rates, base, strict=True)]
        found: dict[str, Any] = {
            "steps_per_s": round(statistics.median(self.rates)),
            "ratio": round(statistics.median(ratios), 3),
        }
        if len(self.waits) > 1:
            p99 = statistics.quantiles(self.waits, n=100)[98]
            found |= {"p50_ms": round(statistics.median(self.waits) * 1e3, 1), "p99_ms": round(p99 * 1e3, 1)}
        return found


async def database(admin_dsn: str, name: str) -> str:
    """The DSN of a new one."""
    admin = await connect(admin_dsn)
    await admin.execute(f"create database {name}")
    await admin.close()
    return urlunsplit(urlsplit(admin_dsn)._replace(path=f"/{name}"))


async def run(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """All rounds; the figures by way and number of processes."""
    counts = sorted({1, *arguments.processes})
    plan = [
        (way, count) for count in counts for way in arguments.ways if way == "direct" or count in arguments.processes
    ]
    found = {one: Found() for one in plan}
    with tempfile.TemporaryDirectory() as folder, start_private(Path(folder)) as server:
        broker = arguments.rabbitmq_url or ""
        for way in [way for way in REMOTE if way in arguments.ways and arguments.idle]:
            per_minute = await idle(await database(server.admin_dsn, f"idle_{way}"), way, broker, arguments.idle)
            print(f"{way}, idle: {per_minute:.0f} requests a minute", file=sys.stderr)
        for number in range(arguments.rounds):
            for way, count in plan:
                dsn = await database(server.admin_dsn, f"bench_{way}_{count}_{number}")
                rate, waits = await measure(dsn, way, broker, count, arguments.tasks, arguments.pairs)
                found[way, count].rates.append(rate)
                found[way, count].waits += waits
                print(f"round {number + 1}: {way}, {count} processes: {rate:,.0f} steps/s", file=sys.stderr)
    base = found["direct", 1].rates
    return {f"{way}, {count}": one.figures(base) for (way, count), one in found.items()}


def main() -> None:
    """The command line."""
    if sys.argv[1:2] == ["child"]:
        uvloop.run(child(*sys.argv[2:8]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rabbitmq-url")
    parser.add_argument("--ways", nargs="+", choices=("pgmq", "rabbitmq", *REMOTE), help="beside direct; else all")
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--tasks", type=int, default=5000)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--idle", type=float, default=0, help="how long to count an idle worker's requests; 0: not")
    parser.add_argument("--json", action="store_true", help="the figures as JSON, after the table")
    arguments = parser.parse_args()
    with_broker = ["rabbitmq", "gateway_rabbitmq"] if arguments.rabbitmq_url else []
    others = arguments.ways or ["pgmq", *with_broker, "gateway"]
    arguments.ways = ["direct", *others]
    figures = uvloop.run(run(arguments))
    columns = ("steps_per_s", "ratio", "p50_ms", "p99_ms")
    print_table(
        [("way, processes", *columns), *((k, *(str(v.get(c, "")) for c in columns)) for k, v in figures.items())]
    )
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
