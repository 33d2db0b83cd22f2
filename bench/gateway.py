"""Steps per second of one worker process through a server, and of the same straight on the database, in turn.

    python bench/gateway.py [--tasks 4000] [--rounds 3] [--json]

A round submits the tasks first, then lets one worker process loose on them; the server is one process. What counts is
the time in which the middle four fifths of the steps are reported.
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
from tasker.worker.worker import Worker

WAYS = ("direct", "gateway")
_SPAWN = multiprocessing.get_context("spawn")
_SUBMIT = 500
_LOOK_S = 0.02
_PATIENCE_S = 120


def _serve(dsn: str, port: int) -> None:
    app = Tasker(dsn, settings=product.settings(dsn), worker=False).asgi()
    config = uvicorn.Config(app, port=port, loop="uvloop", http="httptools", log_config=None, access_log=False)
    config.timeout_graceful_shutdown = 1
    uvicorn.Server(config).run()


def _work(way: str, dsn: str, url: str, shape: str, steps: Any) -> None:
    uvloop.run(_working(way, dsn, url, SHAPES[shape], steps))


async def _working(way: str, dsn: str, url: str, shape: Shape, steps: Any) -> None:
    settings, handlers = product.settings(dsn), list(shape.handlers.values())
    if way == "gateway":
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
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    steps = _SPAWN.Value("q", 0)
    with _child(_serve, dsn, port):
        await _listens(port)
        async with product.submitting(dsn, shape) as submit:
            for _ in range(0, tasks, _SUBMIT):
                await submit([{"n": number} for number in range(_SUBMIT)])
        every = tasks * len(shape.template.steps)
        with _child(_work, way, dsn, f"http://127.0.0.1:{port}", shape.name, steps):
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
    ratio = medians["gateway"] / medians["direct"]
    rows: Sequence[Sequence[str]] = [
        ("way", "steps/s", "of direct"),
        *((way, f"{rate:,.0f}", f"{rate / medians['direct']:.2f}") for way, rate in medians.items()),
    ]
    return rows, {"steps_per_s": medians, "rounds": rates, "ratio": ratio}


def main() -> int:
    """Measures, and prints."""
    made = parser(__doc__)
    made.add_argument("--tasks", type=int, default=4000, help="chains of four steps in a round")
    made.add_argument("--rounds", type=int, default=3, help="how often each way is measured, in turn")
    return run(made.parse_args(), measure)


if __name__ == "__main__":
    sys.exit(main())
