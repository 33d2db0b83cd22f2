"""What do reads cost over HTTP where there are a million tasks? Prints milliseconds, beside a bare FastAPI route.

    python bench/million.py [--tasks 1000000] [--runs 40] [--database-url DSN] [--keep] [--only WORDS]

A database is filled (`crowd.py`: 100 s for a million on two cores) and read into memory, and a server as users start
it asks for API keys. A caller of all namespaces and one of two of the five ask in turn, by other values every time: a
task, each filter of the list, pages further on, filters that hit nothing, a rare tag beside a frequent state, and what
else a page about tasks asks for. Asked: task and list at most 50 ms in 95 of 100 cases; else the exit code is 1.
What is marked as not held is only shown (a large task is held to a bound in SQL, by `analysis.py`). With `--keep` the
database stays, and the next run begins with it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import quantiles
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import UUID

from analysis import half_done_task
from api import Line, serving
from crowd import fill

from tasker.bench.cli import server
from tasker.operations.lists import cursor_of
from tasker.server.auth.keys import new_key, server_secret
from tasker.store.connection import Connection, connect
from tasker.store.managed_keys import NewKey, issue_key
from tasker.store.migrate import migrate

MS_MAX, RUNS_SHOWN, READ_BYTES = 50.0, 5, 1 << 26
DATABASE = "tasker_bench_million"
REACHED = ("space1", "space2")
"""What the second caller reaches."""
BARE = """
import sys, uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/v1/tasks/{task_uuid}")
async def show(task_uuid: str) -> dict:
    return {"task_uuid": task_uuid, "name": "flow"}
config = uvicorn.Config(app, port=0, loop="uvloop", http="httptools", log_config=None, access_log=False)
socket = config.bind_socket(); socket.listen()
print(f"serving http://127.0.0.1:{socket.getsockname()[1]}/v1", file=sys.stderr, flush=True)
uvicorn.Server(config).run(sockets=[socket])
"""


@dataclass(frozen=True, slots=True)
class World:
    """What there is to ask for: of each caller its key and some of its tasks, and a large task."""

    keys: dict[str, str]
    tasks: dict[str, list[UUID]]
    deep: str
    """The cursor of a page in the middle of all tasks."""
    large: UUID
    made: int


def lists(chance: random.Random, made: int) -> dict[str, str]:
    """A query of each kind, by values of chance, for the list of tasks."""
    number, kind = chance.randrange(1, made), chance.randrange(10)
    namespace, name = f"space{1 + chance.randrange(2)}", f"flow{chance.choice((1, 2, 6, 7, 11, 12, 16, 17))}"
    since = datetime.now(UTC) - timedelta(seconds=chance.randrange(made // 10))
    span = quote(since.isoformat()), quote((since + timedelta(minutes=5)).isoformat())
    few = chance.choice(("error", "pending", "cancelled"))
    tag = f"tag{chance.randrange(50)}"
    return {
        "no filter": "",
        "no filter, page 100": "page=100",
        "a common state": "status=complete",
        "a rare state": f"status={few}",
        "a state that none has": "status=resolved_manually",
        "all open states": "status=pending,steps_in_process,waiting_for_retry,blocked_by_failures",
        "a namespace": f"namespace={namespace}",
        "a namespace and a state": f"namespace={namespace}&status={few}",
        "a name": f"name={name}",
        "a name, page 100": f"name={name}&page=100",
        "a name and a state": f"name={name}&status=error",
        "a version": "version=1.0.0",
        "a version that is not": "version=9.9.9",
        "a tag": f"tag={tag}",
        "a tag and a rare state": f"tag={tag}&status=pending",
        "a tag and a common state": f"tag={tag}&status=complete",
        "a rare tag": "tag=rare",
        "a rare tag, common state": "tag=rare&status=complete",
        "a tag of all": "tag=every",
        "a tag of all, rare state": "tag=every&status=blocked_by_failures",
        "a tag that is not": "tag=none",
        "two tags": f"tag=every&tag={tag}",
        "an initiator": f"initiator=user{number % 1000}",
        "an initiator and a state": f"initiator=user{number % 1000}&status=error",
        "a source system": "source_system=shop",
        "a source that is not": "source_system=nobody",
        "a correlation": f"correlation_id={UUID(int=number)}",
        "a time of creation": f"created_after={span[0]}&created_before={span[1]}",
        "a day, and a rare state": f"created_after={span[0]}&status=cancelled",
        "a time of ends": f"completed_after={span[0]}&completed_before={span[1]}",
        "ends, and a rare state": f"completed_after={span[0]}&status=cancelled",
        "a field": f"field=order={number}",
        "a common field": f"field=kind=kind{kind}",
        "two fields": f"field=order={number}&field=kind=kind{kind}",
    }


def questions(world: World, caller: str, chance: random.Random) -> dict[str, str]:
    """The path of each question of one round; those of the first part are held to the bound."""
    task, large = chance.choice(world.tasks[caller]), world.large
    asked = {
        "a task": f"/v1/tasks/{task}",
        "its steps": f"/v1/tasks/{task}/workflow_steps",
        "its history": f"/v1/tasks/{task}/history",
        "why": f"/v1/tasks/{task}/why",
        "its summary": f"/v1/tasks/{task}/summary",
        **{f"list: {name}": f"/v1/tasks?{query}" for name, query in lists(chance, world.made).items()},
        "list: deep inside": f"/v1/tasks?cursor={world.deep}",
        "list: a name, deep inside": f"/v1/tasks?name=flow1&cursor={world.deep}",
        "list: a tag, deep inside": f"/v1/tasks?tag=tag7&cursor={world.deep}",
    }
    others = {
        "1,000 steps: task": f"/v1/tasks/{large}",
        "1,000 steps: why": f"/v1/tasks/{large}/why",
        "1,000 steps: summary": f"/v1/tasks/{large}/summary",
        "1,000 steps: analysis": f"/v1/tasks/{large}/analysis",
        "dead letters": "/v1/dlq",
        "dead letters, by reason": "/v1/dlq?dlq_reason=manual_dlq&resolution_status=pending",
        "dead letters, urgent first": "/v1/dlq/investigation-queue",
        "dead letters, counted": "/v1/dlq/stats",
        "tasks that stand still": "/v1/dlq/staleness",
        "analytics, an hour": "/v1/analytics/performance?hours=1",
        "analytics, a day": "/v1/analytics/performance?hours=24",
        "durations of steps, a day": "/v1/analytics/durations?hours=24",
        "throughput, a day": "/v1/analytics/throughput?hours=24",
        "dead letters of nobody": "/v1/dlq?assigned_to=nobody",
        "bottlenecks, a day": "/v1/analytics/bottlenecks?hours=24",
        "handlers": "/v1/handlers",
        "namespaces": "/v1/namespaces",
        "templates": "/v1/templates",
    }
    return {**asked, **{f"(not held) {name}": path for name, path in others.items()}}


async def key_of(connection: Connection, name: str, namespaces: tuple[str, ...] | None) -> str:
    """The text of a new API key that may read everything in these namespaces."""
    key, secret = new_key(), server_secret(None)
    may = ("tasks:*", "steps:*", "templates:*", "dlq:*", "system:*")
    stored = NewKey(
        key_id=key.key_id,
        name=name,
        digest=secret.digest(key),
        secret_name=secret.name,
        permissions=may,
        roles=(),
        namespaces=namespaces,
        expires_at=None,
    )
    await issue_key(connection, stored, ends_with_maker=False, actor="bench", maker=None)
    return key.text


async def gather(connection: Connection) -> None:
    """What the sweep would have counted by now."""
    left = 3  # a sweep sees to what the one before it has seen
    while left:
        gathered = await connection.fetchval("select tasker_engine.gather_figures(2000, clock_timestamp())")
        left -= (gathered or 0) < 2000


async def read_into_memory(connection: Connection) -> None:
    """Reads every file of the tables and their indexes: four gigabytes, which a server has in memory unless it has just
    begun."""
    files = """
        select path || case when part > 0 then '.' || part else '' end, least(size - part * (1 << 30)::bigint, 1 << 30)
        from (select pg_relation_filepath(c.oid) as path, pg_relation_size(c.oid) as size from pg_class c
              where c.relnamespace = 'tasker_engine'::regnamespace and c.relkind in ('r', 'i')) f
        cross join generate_series(0, size / (1 << 30)) as part where size > 0"""
    for path, size in await connection.fetch(files):
        for begin in range(0, size, READ_BYTES):
            await connection.fetchval("select length(pg_read_binary_file($1, $2, $3))", path, begin, READ_BYTES)


async def prepare(dsn: str, tasks: int, *, is_filled: bool) -> World:
    """Fills the database, unless it is, and makes the keys."""
    owner, writer = await connect(dsn), await connect(dsn, pinned=False)
    if not is_filled:
        await fill(owner, writer, tasks, dead_letters=tasks // 10)
        await half_done_task(owner, 1000, namespace=REACHED[0])
        await writer.execute("vacuum analyze")  # what a table of this age has behind it
    await migrate(owner)  # a database that was kept may be older
    await gather(writer)
    await writer.execute("checkpoint")
    await read_into_memory(writer)
    large = await writer.fetchval(
        """select task_id from tasker_engine.tasks join tasker_engine.templates using (template_id)
           where step_count = 1000"""
    )
    some = """select task_id from tasker_engine.tasks where namespace_id = any ($1::int[])
              order by md5(task_id::text) limit 2000"""
    callers: dict[str, tuple[str, ...] | None] = {"all": None, "some": REACHED}
    namespaces = {
        row[0]: row[1] for row in await writer.fetch("select name, namespace_id from tasker_engine.namespaces")
    }
    found = {
        caller: [
            row[0] for row in await writer.fetch(some, [namespaces[name] for name in reached or tuple(namespaces)])
        ]
        for caller, reached in callers.items()
    }
    middle = await writer.fetchval(
        "select task_id from tasker_engine.tasks order by task_id limit 1 offset $1", tasks // 2
    )
    keys = {caller: await key_of(owner, caller, reached) for caller, reached in callers.items()}
    await owner.close()
    await writer.close()
    return World(keys, found, cursor_of(middle), large, tasks)


async def measure(port: int, world: World, runs: int, only: str) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of each question of each caller; a first round is not counted.

    What is only shown comes last: it reads whole tables, and would push out of memory what the others have read.
    """
    line, chance = await Line.open(port), random.Random(1)  # noqa: S311 - not a secret
    took: dict[str, dict[str, list[float]]] = {}
    for is_held, rounds in ((True, runs), (False, RUNS_SHOWN)):
        for run in range(rounds + 1):
            for caller, key in world.keys.items():
                for question, path in questions(world, caller, chance).items():
                    if only in question and question.startswith("(") is not is_held:
                        took_ms = await timed(line, path, key)
                        if run:
                            took.setdefault(question, {}).setdefault(caller, []).append(took_ms)
    line.close()
    return took


async def timed(line: Line, path: str, key: str) -> float:
    """Milliseconds of one answer. One that the server cut off counts as long as it took."""
    began = time.perf_counter()
    try:
        await line.get(path, key)
    except (OSError, RuntimeError) as error:
        if '"TIMEOUT"' not in str(error):
            raise RuntimeError(f"{path}: {error}") from error
    return (time.perf_counter() - began) * 1000


async def bare(port: int, runs: int) -> list[float]:
    """Milliseconds of the route that does nothing."""
    line, took = await Line.open(port), list[float]()
    for _ in range(runs * 10):
        began = time.perf_counter()
        await line.get("/v1/tasks/0198c0de-0000-7000-8000-000000000001", "none")
        took.append((time.perf_counter() - began) * 1000)
    line.close()
    return took


def told(took: dict[str, dict[str, list[float]]], of_bare: list[float]) -> bool:
    """Prints the figures; whether all that is held to the bound is within it."""
    middle, is_met = quantiles(of_bare, n=100)[49], True
    print(f"{'bare FastAPI route':32}p50 {middle:.2f} ms")
    print(f"{'':32}{'all namespaces: p50, p95, p99, times bare':>44}{'two of five: p50, p95, p99, times bare':>44}")
    for question, by_caller in took.items():
        said, is_late = f"{question:32}", False
        for one in by_caller.values():
            cut = quantiles(one, n=100)
            said += f"{cut[49]:12.1f}{cut[94]:10.1f}{cut[98]:10.1f}{cut[49] / middle:9.1f} x"
            is_late = is_late or (cut[94] > MS_MAX and not question.startswith("("))
        is_met = is_met and not is_late
        print(said + ("   MISSED" if is_late else ""))
    return is_met


async def own_database(dsn: str) -> bool:
    """Makes the database that is measured; whether it was there and is filled."""
    admin = await connect(dsn, pinned=False)
    try:
        if await admin.fetchval("select true from pg_database where datname = $1", DATABASE):
            return True
        await admin.execute(f"create database {DATABASE}")
        return False
    finally:
        await admin.close()


async def drop(dsn: str) -> None:
    """Removes it."""
    admin = await connect(dsn, pinned=False)
    await admin.execute(f"drop database if exists {DATABASE} with (force)")
    await admin.close()


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--database-url")
    parser.add_argument("--keep", action="store_true", help="leave the database, with all tasks, for the next run")
    parser.add_argument("--only", default="", help="only questions with these words in them")
    said = parser.parse_args()
    with server(said.database_url) as dsn:
        own = urlunsplit(urlsplit(dsn)._replace(path=f"/{DATABASE}"))
        try:
            world = asyncio.run(prepare(own, said.tasks, is_filled=asyncio.run(own_database(dsn))))
            os.environ["TASKER_SERVER_AUTH"] = "on"
            with serving(["-m", "tasker", "server", "--port", "0"], own) as port:
                took = asyncio.run(measure(port, world, said.runs, said.only))
            with serving(["-c", BARE], own) as port:
                of_bare = asyncio.run(bare(port, said.runs))
        finally:
            if not said.keep:
                asyncio.run(drop(dsn))
    return 0 if told(took, of_bare) else 1


if __name__ == "__main__":
    sys.exit(main())
