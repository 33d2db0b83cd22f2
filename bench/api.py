"""What does it cost to create a task over HTTP? Prints milliseconds and rates, beside a bare route and the verb alone.

    python bench/api.py [--seconds 5] [--connections 16] [--processes 1] [--database-url DSN]

A server as users start it (`tasker server`) and PostgreSQL on this machine, no worker, a template of four steps. The
client is a few lines on a socket, so that what is measured is the server:

    task alone      one request after the other: the median and the 95th percentile, in ms
    task sustained  so many connections at once: tasks a second
    bulk            requests of 500 tasks, two at once: tasks a second
    bare route      a FastAPI route that takes the same body and answers a constant, on the same uvicorn
    verb            `submit` with one task, prepared, on a connection: what of it the database takes

Asked: a task alone in at most 4 ms, 500 tasks a second, in bulk 5,000. The exit code is 1 if any is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from statistics import median, quantiles
from typing import Any

import orjson

from tasker.bench.cli import server
from tasker.model.ids import uuid7
from tasker.store.connection import connect
from tasker.store.migrate import migrate
from tasker.store.verbs import Submit, Verbs
from tasker.templates import load_text
from tasker.templates.publishing import publish

ALONE_MS_MAX, SUSTAINED_MIN, BULK_MIN = 4.0, 500.0, 5_000.0
TEMPLATE = """
tasker: 1
namespace_name: bench
name: order
version: 1.0.0
steps:
  - {name: a, handler: work}
  - {name: b, handler: work, dependencies: [a]}
  - {name: c, handler: work, dependencies: [a]}
  - {name: d, handler: work, dependencies: [b, c]}
"""
BODY = {"name": "order", "namespace": "bench", "context": {"order": 17, "items": [1, 2, 3]}, "initiator": "bench"}
BARE = """
import asyncio, sys, uvicorn
from fastapi import Body, FastAPI
app = FastAPI()
@app.post("/v1/tasks")
async def create(body: dict = Body()) -> dict:
    return {"task_uuid": "0198c0de-0000-7000-8000-000000000001", "name": body["name"]}
config = uvicorn.Config(app, port=0, loop="uvloop", http="httptools", log_config=None, access_log=False)
socket = config.bind_socket(); socket.listen()
print(f"serving http://127.0.0.1:{socket.getsockname()[1]}/v1", file=sys.stderr, flush=True)
uvicorn.Server(config).run(sockets=[socket])
"""


class Line:
    """One connection, on which requests follow each other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Line:
        """Connects to this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def post(self, path: str, body: Any) -> None:
        """Sends a request and reads the answer; RuntimeError where it is not 200."""
        content = orjson.dumps(body)
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        await self._ask(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)

    async def get(self, path: str, key: str) -> bytes:
        """The answer to a question of the holder of an API key; RuntimeError where it is not 200."""
        return await self._ask(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\n\r\n".encode())

    async def _ask(self, request: bytes) -> bytes:
        self._writer.write(request)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", answer)
        text = await self._reader.readexactly(int(length[1]) if length else 0)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(text.decode())
        return text

    def close(self) -> None:
        """Hangs up."""
        self._writer.close()


@contextmanager
def serving(command: Sequence[str], dsn: str) -> Generator[int]:
    """A server process; its port."""
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, *command], env={**os.environ, "TASKER_DATABASE_URL": dsn}, stderr=subprocess.PIPE
    )
    try:
        said = process.stderr.readline().decode() if process.stderr else ""
        found = re.search(r"serving http://[^:]+:(\d+)/v1", said)
        if found is None:
            raise RuntimeError(f"{command[0]} did not start")
        yield int(found[1])
    finally:
        process.terminate()
        process.communicate(timeout=60)


async def alone(port: int, seconds: float) -> list[float]:
    """How long each of a row of requests took, in ms; the first hundred are not counted."""
    line, took = await Line.open(port), list[float]()
    for _ in range(100):
        await line.post("/v1/tasks", BODY)
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        await line.post("/v1/tasks", BODY)
        took.append((time.perf_counter() - began) * 1000)
    line.close()
    return took


async def sustained(port: int, seconds: float, connections: int, path: str, body: Any, tasks: int) -> float:
    """Tasks a second over so many connections, each request creating `tasks`."""
    end, done = time.perf_counter() + seconds, 0

    async def keep_on() -> None:
        nonlocal done
        line = await Line.open(port)
        while time.perf_counter() < end:
            await line.post(path, body)
            done += tasks
        line.close()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(keep_on())
    return done / (time.perf_counter() - began)


async def verb(dsn: str, seconds: float) -> list[float]:
    """How long `submit` takes for one task, in ms."""
    connection, verbs, took = await connect(dsn), Verbs(), list[float]()
    context = orjson.dumps(BODY["context"]).decode()
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        await verbs.submit(connection, Submit("bench", "order", "1.0.0", [uuid7()], [context]))
        took.append((time.perf_counter() - began) * 1000)
    await connection.close()
    return took


async def prepare(dsn: str) -> None:
    """The schema and the template."""
    connection = await connect(dsn)
    await migrate(connection)
    await publish(connection, Verbs(), load_text(TEMPLATE).template)
    await connection.close()


def main() -> int:
    """Measures, prints, and says whether it is as quick as asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--database-url")
    said = parser.parse_args()
    with server(said.database_url) as dsn:
        asyncio.run(prepare(dsn))
        with serving(["-m", "tasker", "server", "--port", "0", "--processes", str(said.processes)], dsn) as port:
            lone = asyncio.run(alone(port, said.seconds))
            rate = asyncio.run(sustained(port, said.seconds, said.connections, "/v1/tasks", BODY, 1))
            many = {"name": "order", "namespace": "bench", "tasks": [{"context": BODY["context"]}] * 500}
            bulk = asyncio.run(sustained(port, said.seconds, 2, "/v1/tasks/bulk", many, 500))
        with serving(["-c", BARE], dsn) as port:
            bare = asyncio.run(alone(port, said.seconds))
            bare_rate = asyncio.run(sustained(port, said.seconds, said.connections, "/v1/tasks", BODY, 1))
        of_verb = asyncio.run(verb(dsn, said.seconds))
    rows = [
        ("task alone", f"p50 {median(lone):.2f} ms, p95 {quantiles(lone, n=20)[-1]:.2f} ms"),
        ("bare route alone", f"p50 {median(bare):.2f} ms; the task takes {median(lone) / median(bare):.1f} times that"),
        ("verb alone", f"p50 {median(of_verb):.2f} ms; the task takes {median(lone) / median(of_verb):.1f} times that"),
        ("task sustained", f"{rate:.0f}/s; the bare route {bare_rate:.0f}/s"),
        ("bulk", f"{bulk:.0f} tasks/s"),
    ]
    for name, text in rows:
        print(f"{name:18}{text}")
    return int(median(lone) > ALONE_MS_MAX or rate < SUSTAINED_MIN or bulk < BULK_MIN)


if __name__ == "__main__":
    sys.exit(main())
