"""Tasker as a user has it: tasks submitted through `Tasker`, steps run by real workers in processes of their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tasker.app import Tasker
from tasker.bench.shapes import NAMESPACE, Shape
from tasker.handlers import discover
from tasker.model.errors import TaskerError
from tasker.settings import Settings
from tasker.store.connection import connect
from tasker.worker.worker import Worker

SCHEMA: str = "tasker_bench"
_LOOK_S = 0.02
_PATIENCE_S = 60


def settings(dsn: str) -> Settings:
    """What the environment says, in the benchmark's own schema."""
    return Settings(database_url=dsn, TASKER_SCHEMA=SCHEMA)  # pyright: ignore[reportCallIssue] - the rest has defaults


async def create(dsn: str, shape: Shape) -> None:
    """Makes the schema anew, for tasks of one shape."""
    connection = await connect(dsn)
    await connection.execute(f"drop schema if exists {SCHEMA} cascade")
    await connection.close()
    async with Tasker(dsn, templates=[shape.template], settings=settings(dsn), worker=False):
        pass


@asynccontextmanager
async def submitting(dsn: str, shape: Shape) -> AsyncGenerator[Callable[[Sequence[dict[str, Any]]], Awaitable[None]]]:
    """`submit_many` of a client."""
    async with Tasker(dsn, settings=settings(dsn), worker=False) as tasker:

        async def submit(contexts: Sequence[dict[str, Any]]) -> None:
            await tasker.submit_many(shape.name, contexts, namespace=NAMESPACE)

        yield submit


@asynccontextmanager
async def alone(dsn: str, shape: Shape) -> AsyncGenerator[Callable[[dict[str, Any]], Awaitable[float]]]:
    """`submit` and `wait` of a Tasker that runs the steps itself."""
    async with Tasker(dsn, handlers=shape.handlers.values(), settings=settings(dsn)) as tasker:

        async def run(context: dict[str, Any]) -> float:
            began = time.perf_counter()
            submitted = await tasker.submit(shape.name, namespace=NAMESPACE, context=context)
            task = await tasker.wait(submitted.task_uuid, timeout=_PATIENCE_S)
            taken_ms = (time.perf_counter() - began) * 1e3
            if task.status != "complete":
                raise TaskerError(f"a task of the benchmark ended as {task.status}; its steps: {task.steps}")
            return taken_ms

        yield run


async def work(dsn: str, shape: Shape, number: int, is_over: Callable[[], bool], count: Callable[[int], None]) -> None:
    """A real worker with its executor, heartbeat and sweep."""
    worker = Worker(dsn, settings(dsn), discover(shape.handlers.values()), name=f"bench {number}")
    await worker.start()
    reported = 0
    while not is_over():
        await asyncio.sleep(_LOOK_S)
        count(worker.counts["outcomes"] - reported)
        reported = worker.counts["outcomes"]
    await worker.stop(0)
