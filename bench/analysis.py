"""What does it cost to look at a task of 1,000 steps? Prints milliseconds, and the same asked step by step.

    python bench/analysis.py [--steps 1000] [--runs 15] [--sample 50] [--database-url DSN]

Six questions about a half-finished task of a random graph (three parents a step), each asked in one round trip, the
records for Python included; the median counts. Beside each the same, asked step by step, as a program without these
reads would: prepared queries on the same connection, for a sample of the steps, counted up to all of them.

    readiness      a step's row, its rule, the states of its parents, when it comes due, who serves it
    context        a step's state, and when it comes due
    summary        a step's row, its rule, its moves, and the ends of its parents
    levels         the longest way from a first step to this one
    why            a step's row, its rule, its moves, the states of its parents, when it comes due, who serves it
    analysis       a step's row, its rule, its moves, the ends of its parents, the longest way to it

Asked: at most 50 ms each, and at least 50 times less than step by step. The exit code is 1 if any is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from tasker.bench.cli import server
from tasker.model.ids import uuid7
from tasker.model.outcome import succeeded
from tasker.model.template import HandlerRef, Step, Template
from tasker.store.analytics import analyze_tasks
from tasker.store.connection import Connection, connect
from tasker.store.migrate import migrate
from tasker.store.reads import Reads
from tasker.store.verbs import Report, Serving, Submit, Verbs
from tasker.store.why import explain_tasks
from tasker.templates.publishing import publish

MS_MAX, RATIO_MIN = 50.0, 50.0
DATABASE = "tasker_bench_analysis"

ROW = "select * from tasker_engine.steps where task_id = $1 and number = $2"
STATE = "select state from tasker_engine.steps where task_id = $1 and number = $2"
RULE = """select p.* from tasker_engine.tasks t join tasker_engine.template_steps p using (template_id)
          where t.task_id = $1 and p.number = $2"""
PARENTS = """select a.number, a.state, a.finished_at from tasker_engine.tasks t
             join tasker_engine.template_steps p using (template_id)
             join tasker_engine.steps a on a.task_id = t.task_id and a.number = any (p.parents)
             where t.task_id = $1 and p.number = $2"""
DUE = "select due_at from tasker_engine.due where task_id = $1 and number = $2"
SERVED = """select count(*) from tasker_engine.tasks t join tasker_engine.template_steps p using (template_id)
            join tasker_engine.session_channels c using (channel_id)
            join tasker_engine.sessions s on s.session_id = c.session_id and s.ended_at is null
            where t.task_id = $1 and p.number = $2"""
MOVES = "select * from tasker_engine.transitions where task_id = $1 and number = $2 order by seq"
LEVEL = """with recursive up(number, level) as (
             select $2::int, 0 union
             select parent, up.level + 1 from up
             join tasker_engine.tasks t on t.task_id = $1
             join tasker_engine.template_steps p on p.template_id = t.template_id and p.number = up.number
             cross join unnest(p.parents) parent)
           select max(level) from up"""
STEP_BY_STEP = {
    "readiness": (ROW, RULE, PARENTS, DUE, SERVED),
    "context": (STATE, DUE),
    "summary": (ROW, RULE, MOVES, PARENTS),
    "levels": (LEVEL,),
    "why": (ROW, RULE, MOVES, PARENTS, DUE, SERVED),
    "analysis": (ROW, RULE, MOVES, PARENTS, LEVEL),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """What one question costs in one round trip, and step by step; in milliseconds."""

    question: str
    at_once_ms: float
    step_by_step_ms: float

    @property
    def ratio(self) -> float:
        """How many times more the second is."""
        return self.step_by_step_ms / self.at_once_ms

    @property
    def is_met(self) -> bool:
        """Whether it is as asked."""
        return self.at_once_ms <= MS_MAX and self.ratio >= RATIO_MIN


def template(steps: int, seed: int = 1, namespace: str = "bench") -> Template:
    """A random graph: a step depends on three of the forty before it, the first twenty on none."""
    chance = random.Random(seed)  # noqa: S311 - not a secret
    made: list[Step] = []
    for number in range(steps):
        near = range(max(0, number - 40), number)
        parents = sorted(chance.sample(near, min(3, len(near)))) if number >= 20 else []
        names = tuple(f"s{parent}" for parent in parents)
        made.append(Step(name=f"s{number}", handler=HandlerRef(callable="work"), dependencies=names))
    return Template(namespace=namespace, name="analysis", version="1.0.0", steps=tuple(made))


async def half_done_task(connection: Connection, steps: int, namespace: str = "bench") -> UUID:
    """A task half of whose steps are complete; some are with a worker."""
    verbs, task = Verbs(), uuid7()
    await publish(connection, verbs, template(steps, namespace=namespace))
    await verbs.submit(connection, Submit(namespace, "analysis", None, [task], ['{"order": 1}'], None))
    session = await verbs.open_session(connection, uuid7(), "bench", "here", 1, 3600)
    channels = [channel for channel, _ in await verbs.serve(connection, session, ["work"], None)]
    serving, done = Serving(channels, [1] * len(channels)), 0
    reply = await verbs.claim(connection, session, serving, [steps], may_be_alone=False)
    while done < steps // 2:
        report = Report()
        for grant in reply.grants:
            report.add(grant.task_id, grant.number, grant.attempt, succeeded('{"price": 1200}'), 0.01)
        done += len(report)
        over = sorted({grant.grant_no for grant in reply.grants})
        reply = await verbs.report(connection, session, report, over, serving, [steps])
    return task


async def measure(dsn: str, steps: int, runs: int, sample: int) -> list[Figure]:
    """The six questions, both ways."""
    writer, reader = await connect(dsn), await connect(dsn, pinned=False)
    await migrate(writer)
    task = await half_done_task(writer, steps)
    reads = Reads()
    questions: dict[str, Callable[[Connection, Sequence[UUID]], Awaitable[object]]] = {
        "readiness": reads.readiness,
        "context": reads.execution_contexts,
        "summary": reads.summaries,
        "levels": reads.levels,
        "why": explain_tasks,
        "analysis": analyze_tasks,
    }
    figures: list[Figure] = []
    for question, ask in questions.items():
        at_once = [await timed_ms(ask(reader, [task])) for _ in range(runs + 1)][1:]
        chosen = range(1, steps + 1, max(1, steps // sample))
        alone = [await timed_ms(ask_alone(reader, question, task, number)) for number in (1, *chosen)][1:]
        figures.append(Figure(question, median(at_once), sum(alone) / len(alone) * steps))
    await writer.close()
    await reader.close()
    return figures


async def ask_alone(connection: Connection, question: str, task: UUID, number: int) -> None:
    """One question about one step."""
    for query in STEP_BY_STEP[question]:
        await connection.fetch(query, task, number)


async def timed_ms(work: Awaitable[object]) -> float:
    """Milliseconds of something."""
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * 1e3


async def in_own_database(dsn: str, options: argparse.Namespace) -> list[Figure]:
    """Measures in a database of its own on the server, which is dropped again."""
    admin = await connect(dsn, pinned=False)
    try:
        await admin.execute(f"drop database if exists {DATABASE} with (force)")
        await admin.execute(f"create database {DATABASE}")
        own = urlunsplit(urlsplit(dsn)._replace(path=f"/{DATABASE}"))
        return await measure(own, options.steps, options.runs, options.sample)
    finally:
        await admin.execute(f"drop database if exists {DATABASE} with (force)")
        await admin.close()


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Measure the analysis of a large task.")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--sample", type=int, default=50)
    parser.add_argument("--database-url")
    options = parser.parse_args()
    with server(options.database_url) as dsn:
        figures = asyncio.run(in_own_database(dsn, options))
    print(f"a task of {options.steps:,} steps, half of them complete; asked: {MS_MAX:.0f} ms and {RATIO_MIN:.0f} times")
    print(f"{'question':12}{'at once':>12}{'step by step':>16}{'times':>9}")
    for figure in figures:
        met = "" if figure.is_met else "   MISSED"
        at_once, alone = f"{figure.at_once_ms:.1f} ms", f"{figure.step_by_step_ms:,.0f} ms"
        print(f"{figure.question:12}{at_once:>12}{alone:>16}{figure.ratio:9.0f}{met}")
    return 0 if all(figure.is_met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
