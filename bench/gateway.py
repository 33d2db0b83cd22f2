"""Steps per second of one worker process through a server, over HTTP and over a stream, and of the same straight on the
database, in turn.

    python bench/gateway.py [--tasks 4000] [--rounds 3] [--json]

A round submits the tasks first, then lets one worker process loose on them; the server is one process, which serves
both. What counts is the time in which the middle four fifths of the steps are reported.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import socket
import statistics
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn
import uvloop
from script import Rows, parser, run

from tasker.app import Tasker
from tasker.bench import product
from tasker.bench.plan import Told
from tasker.bench.shapes import SHAPES, Shape
from tasker.handlers import discover
from tasker.model.errors import TaskerError
from tasker.remote.worker import RemoteWorker
from tasker.server.grpc import GrpcServer, Listening
from tasker.worker.worker import Worker

WAYS = ("direct", "http", "grpc")
_SPAWN = multiprocessing.get_context("spawn")
_SUBMIT = 500
_LOOK_S = 0.02
_PATIENCE_S = 120


def _serve(dsn: str, ports: Mapping[str, int]) -> None:
    uvloop.run(_serving(dsn, ports))


async def _serving(dsn: str, ports: Mapping[str, int]) -> None:
    async with Tasker(dsn, settings=product.settings(dsn), worker=False) as tasker:
        config = uvicorn.Config(
            tasker.asgi(), port=ports["http"], http="httptools", log_config=None, access_log=False, lifespan="off"
        )
        config.timeout_graceful_shutdown = 1
        async with GrpcServer(tasker.engine(), Listening(host="127.0.0.1", port=ports["grpc"])):
            await uvicorn.Server(config).serve()


def _work(dsn: str, url: str | None, shape: str, steps: Any) -> None:
    uvloop.run(_working(dsn, url, SHAPES[shape], steps))


async def _working(dsn: str, url: str | None, shape: Shape, steps: Any) -> None:
    settings, handlers = product.settings(dsn), list(shape.handlers.values())
    if url is not None:
        worker: Worker | RemoteWorker = RemoteWorker(url, handlers=handlers, settings=settings)
    else:
        worker = Worker(dsn, settings, discover(handlers))
    await worker.start()
    while True:
        await asyncio.sleep(_LOOK_S)
        steps.value = worker.counts["outcomes"]


@contextmanager
def _child(target: Any, *arguments: Any) -> Generator[None]:
    process = _SPAWN.Process(target=target, args=arguments, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join(10)


async def _rate(way: str, dsn: str, shape: Shape, tasks: int) -> float:
    """Steps per second."""
    await product.create(dsn, shape)
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = {"http": one.getsockname()[1], "grpc": other.getsockname()[1]}
    steps = _SPAWN.Value("q", 0)
    with _child(_serve, dsn, ports):
        for port in ports.values():
            await _listens(port)
        async with product.submitting(dsn, shape) as submit:
            for _ in range(0, tasks, _SUBMIT):
                await submit([{"n": number} for number in range(_SUBMIT)])
        every = tasks * len(shape.template.steps)
        url = f"{way}://127.0.0.1:{ports[way]}" if way in ports else None
        with _child(_work, dsn, url, shape.name, steps):
            began_at, began = await _reached(steps, every // 10)
            ended_at, ended = await _reached(steps, every - every // 10)
    return (ended - began) / (ended_at - began_at)


async def _reached(steps: Any, wanted: int) -> tuple[float, int]:
    until = time.monotonic() + _PATIENCE_S
    while steps.value < wanted:
        if time.monotonic() > until:
            raise TaskerError(f"only {steps.value} of {wanted} steps were reported within {_PATIENCE_S} s")
        await asyncio.sleep(0.005)
    return time.perf_counter(), steps.value


async def _listens(port: int) -> None:
    for _ in range(600):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        writer.close()
        return
    raise TaskerError("the server did not start within a minute")


async def measure(dsn: str, options: argparse.Namespace, told: Told) -> tuple[Rows, Mapping[str, Any]]:
    """The median of each way."""
    os.environ["TASKER_SCHEMA"] = product.SCHEMA
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(options.rounds):
        for way in WAYS:
            told(f"{way}, round {number + 1}", number / options.rounds)
            rates[way].append(await _rate(way, dsn, SHAPES["chain"], options.tasks))
    medians = {way: statistics.median(found) for way, found in rates.items()}
    ratios = {way: medians[way] / medians["direct"] for way in WAYS[1:]}
    rows: Sequence[Sequence[str]] = [
        ("way", "steps/s", "of direct"),
        *((way, f"{rate:,.0f}", f"{rate / medians['direct']:.2f}") for way, rate in medians.items()),
    ]
    return rows, {"steps_per_s": medians, "rounds": rates, "ratios": ratios}


def main() -> int:
    """Measures, and prints."""
    made = parser(__doc__)
    made.add_argument("--tasks", type=int, default=4000, help="chains of four steps in a round")
    made.add_argument("--rounds", type=int, default=3, help="how often each way is measured, in turn")
    return run(made.parse_args(), measure)


if __name__ == "__main__":
    sys.exit(main())
