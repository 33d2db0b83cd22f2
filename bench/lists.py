"""What does a page of tasks cost where there are very many? Prints milliseconds, for each kind of filter.

    python bench/lists.py [--tasks 1000000] [--runs 40] [--database-url DSN]

A million tasks are written straight into the tables: of five namespaces, twenty templates and all states, with tags,
initiators, correlations, and two declared fields, one of which is different for each task. Then a page of 50 is asked
for with each filter, by other values every time; also a task with its steps, a count, and a page further on. Asked: the
95th percentile at most 50 ms. The exit code is 1 if any is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from tasker.bench.cli import server
from tasker.model.states import TaskState
from tasker.model.task import TaskFilter
from tasker.model.template import HandlerRef, Step, Template
from tasker.store.connection import Connection, connect
from tasker.store.lists import count_tasks, list_tasks
from tasker.store.migrate import migrate
from tasker.store.reads import Reads
from tasker.store.verbs import Verbs
from tasker.templates.publishing import publish

MS_MAX = 50.0
DATABASE = "tasker_bench_lists"
NAMESPACES, TEMPLATES = 5, 20
FILL = """
with made as (
  select n, tasker_engine.uuid7(clock_timestamp() - ($1::bigint - n) * interval '1 second' / 10) as id,
    clock_timestamp() - ($1::bigint - n) * interval '1 second' / 10 as at,
    1 + abs(hashint8(n)::bigint) % $2::bigint as template,
    abs(hashint8(n + 10000019)::bigint) % 1000 as luck, abs(hashint8(n + 20000003)::bigint) % 10 as kind,
    abs(hashint8(n + 30000001)::bigint) % 50 as tag
  from generate_series(1, $1::bigint) n),
tasked as (
  insert into tasker_engine.tasks
    (task_id, template_id, namespace_id, state, is_checked, open, live, failed, born_at, created_at, finished_at)
  select m.id, t.template_id, t.namespace_id,
    case when m.luck < 900 then 'complete' when m.luck < 960 then 'steps_in_process' when m.luck < 980 then 'pending'
      when m.luck < 990 then 'error' when m.luck < 995 then 'waiting_for_retry' when m.luck < 999 then 'cancelled'
      else 'blocked_by_failures' end::tasker_engine.state,
    true, 1, 1, 0, m.at, m.at, case when m.luck < 900 or m.luck between 980 and 989 or m.luck between 995 and 998
      then m.at + m.luck * interval '1 second' end
  from made m join tasker_engine.templates t on t.template_id = m.template returning task_id),
stepped as (
  insert into tasker_engine.steps (task_id, number, state, waiting, granted_at, started_at, finished_at)
  select m.id, s.number, 'complete', 0, m.at, m.at, m.at + m.luck * interval '1 ms'
  from made m cross join generate_series(1, 4) as s(number)),
found as (
  insert into tasker_engine.task_fields (field_id, value, task_id)
  select f.field_id, case f.path when 'order' then m.n::text else 'kind' || m.kind end, m.id
  from made m cross join tasker_engine.fields f)
insert into tasker_engine.inputs (task_id, context, bytes, initiator, tags, correlation_id)
select m.id, jsonb_build_object('order', m.n, 'kind', 'kind' || m.kind), 40, 'user' || m.n % 1000,
  array['tag' || m.tag],
  case when m.n % 10 = 0 then md5((m.n / 50)::text)::uuid end
from made m
"""


def template(number: int) -> Template:
    """One of the templates: a chain of four, with two search fields."""
    steps = tuple(
        Step(name=f"s{n}", handler=HandlerRef(callable="work"), dependencies=(f"s{n - 1}",) if n else ())
        for n in range(4)
    )
    name, namespace = f"flow{number}", f"space{number % NAMESPACES}"
    return Template(namespace=namespace, name=name, version="1.0.0", steps=steps, search_fields=("order", "kind"))


async def fill(connection: Connection, reader: Connection, tasks: int) -> None:
    """A database full of tasks, analysed as autovacuum would."""
    await migrate(connection)
    for number in range(TEMPLATES):
        await publish(connection, Verbs(), template(number))
    await reader.fetch(FILL, tasks, TEMPLATES)
    await reader.execute("vacuum analyze")


def filters(tasks: int, chance: random.Random, now: Any) -> dict[str, TaskFilter]:
    """A filter of each kind, by values of chance."""
    some = chance.randrange(1, tasks)
    since = now - timedelta(seconds=chance.randrange(tasks // 10))
    states: list[TaskState] = chance.sample([TaskState.ERROR, TaskState.PENDING, TaskState.CANCELLED], 2)
    namespace, name = f"space{chance.randrange(NAMESPACES)}", f"flow{chance.randrange(TEMPLATES)}"
    return {
        "no filter": TaskFilter(),
        "a state": TaskFilter(states=(chance.choice(list(TaskState)),)),
        "a namespace and states": TaskFilter(namespace=namespace, states=tuple(states)),
        "a name": TaskFilter(name=name),
        "a version": TaskFilter(version="1.0.0"),
        "a tag": TaskFilter(tag=f"tag{chance.randrange(50)}"),
        "a tag and a state": TaskFilter(tag=f"tag{chance.randrange(50)}", states=(TaskState.PENDING,)),
        "an initiator": TaskFilter(initiator=f"user{chance.randrange(1000)}"),
        "a correlation": TaskFilter(correlation_id=UUID(int=some)),
        "a time of creation": TaskFilter(created_from=since, created_until=since + timedelta(minutes=5)),
        "a time of ends": TaskFilter(completed_from=since, completed_until=since + timedelta(minutes=5)),
        "ends, and a rare state": TaskFilter(completed_from=since, states=(TaskState.CANCELLED,)),
        "a field": TaskFilter(fields={"order": some}),
        "a common field": TaskFilter(fields={"kind": f"kind{chance.randrange(10)}"}),
        "two fields": TaskFilter(fields={"order": some, "kind": f"kind{chance.randrange(10)}"}),
        "a field and a namespace": TaskFilter(fields={"kind": "kind3"}, namespace=namespace),
    }


async def measure(dsn: str, tasks: int, runs: int) -> dict[str, list[float]]:
    """Milliseconds of each question, once for each run."""
    owner, reader = await connect(dsn), await connect(dsn, pinned=False)
    await fill(owner, reader, tasks)
    chance, reads, found = random.Random(1), Reads(), dict[str, list[float]]()  # noqa: S311 - not a secret
    now = await reader.fetchval("select clock_timestamp()")

    async def timed(question: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        began = time.perf_counter()
        answer = await ask()
        found.setdefault(question, []).append((time.perf_counter() - began) * 1e3)
        return answer

    for _ in range(runs):
        cursor, last = None, None
        for question, which in filters(tasks, chance, now).items():
            page = await timed(question, lambda which=which: list_tasks(reader, which, limit=50))
            if question == "a name":
                cursor, last = page.next_cursor, which
        assert last is not None  # noqa: S101 - it is among the filters
        page = await timed("the next page", lambda c=cursor, w=last: list_tasks(reader, w, limit=50, cursor=c))
        task = page.tasks[0].task_uuid
        await timed("one task, with steps", lambda task=task: reads.task_view(reader, task))
        await timed("a count, up to 10,000", lambda which=last: count_tasks(reader, which))
    await owner.close()
    await reader.close()
    return found


async def in_own_database(dsn: str, options: argparse.Namespace) -> dict[str, list[float]]:
    """Measures in a database of its own on the server, which is dropped again."""
    admin = await connect(dsn, pinned=False)
    try:
        await admin.execute(f"drop database if exists {DATABASE} with (force)")
        await admin.execute(f"create database {DATABASE}")
        return await measure(urlunsplit(urlsplit(dsn)._replace(path=f"/{DATABASE}")), options.tasks, options.runs)
    finally:
        await admin.execute(f"drop database if exists {DATABASE} with (force)")
        await admin.close()


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Measure lists where there are many tasks.")
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--database-url")
    options = parser.parse_args()
    with server(options.database_url) as dsn:
        found = asyncio.run(in_own_database(dsn, options))
    print(f"{options.tasks:,} tasks, pages of 50; asked: p95 at most {MS_MAX:.0f} ms")
    print(f"{'':26}{'p50':>10}{'p95':>10}")
    is_met = True
    for question, took in found.items():
        middle, late = quantiles(took, n=20)[9], quantiles(took, n=20)[18]
        is_met = is_met and late <= MS_MAX
        print(f"{question:26}{middle:7.1f} ms{late:7.1f} ms{'   MISSED' if late > MS_MAX else ''}")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
