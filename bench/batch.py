"""What does a batch cost? One batch of 10,000 members beside as many tasks of one step.

    python bench/batch.py [--members 10000] [--rounds 5] [--json] [--database-url DSN]

A step cuts work into so many parts, and its worker runs once for each. Two worker processes run one such task, then as
many tasks of one step with the same handler, in turn; the clock is the database's, from the first grant of a member to
the last result. How long the members took to make is the time of the one call that expanded the batch, by the same
clock. Asked: they are made within 2 seconds, the throughput is at least 0.8 of the others', and the memory of the
workers stays flat from the second round to the last. It takes about a minute.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from uuid import UUID

from script import Rows, parser, query, resident_bytes, run, until, worker_pids, working

from tasker.app import Tasker
from tasker.bench import product
from tasker.bench.plan import Told
from tasker.bench.shapes import NAMESPACE, SHAPES, Shape
from tasker.handlers import Batches, StepContext, step_handler
from tasker.model.template import BatchConfig, HandlerRef, Step, Template
from tasker.store.connection import Connection, connect

RATIO_MIN = 0.8
CREATED_MAX_S = 2.0
MEMORY_MAX = 1.1
_SPENT = query("""
select extract(epoch from max(finished_at) - min(granted_at))::float8 from tasker_engine.steps
where task_id = any ($1) and state = 'complete' and (number > 65535 or not $3) having count(*) = $2
""")
_CREATED = query("""
select extract(epoch from min(m.at) - w.granted_at)::float8 from tasker_engine.steps w
join tasker_engine.transitions m on m.task_id = w.task_id and m.number >> 16 = w.number and m.to_state = 'in_progress'
where w.task_id = $1 and w.number = 2 group by w.granted_at
""")


@step_handler("cut")
async def cut(context: StepContext) -> Batches:
    """As many parts as the task says."""
    return Batches.split(context.get_input("n") * 10, 10)


@step_handler("part")
async def part(context: StepContext) -> dict[str, int]:
    """One of them; or a task of its own."""
    return {"rows": 10 if context.batch is None else context.batch.end - context.batch.start}


_BATCH = Template(
    namespace=NAMESPACE,
    name="batch",
    version="1.0.0",
    steps=(
        Step(name="cut", type="batchable", handler=HandlerRef(callable="cut")),
        Step(
            name="part",
            type="batch_worker",
            handler=HandlerRef(callable="part"),
            dependencies=("cut",),
            batch_config=BatchConfig(parallelism=10_000),
        ),
    ),
)
_ALONE = Template(
    namespace=NAMESPACE,
    name="alone",
    version="1.0.0",
    steps=(Step(name="part", handler=HandlerRef(callable="part")),),
)


@dataclass(frozen=True, slots=True)
class Parted(Shape):
    """What the worker processes look up: they need the handlers."""

    @property
    def handlers(self) -> dict[str, Callable[..., Any]]:
        """Both."""
        return {"cut": cut, "part": part}

    @property
    def template(self) -> Template:
        """The batch."""
        return _BATCH


SHAPES["parted"] = Parted("parted", {"cut": (), "part": ("cut",)})


@dataclass(slots=True)
class Figures:
    """What was measured, a value a round."""

    batch: list[float] = field(default_factory=list[float])
    alone: list[float] = field(default_factory=list[float])
    created_s: list[float] = field(default_factory=list[float])
    memory: list[int] = field(default_factory=list[int])


async def measure(dsn: str, options: argparse.Namespace, told: Told) -> tuple[Rows, Mapping[str, Any]]:
    """Both in turn, after a round that warms up."""
    figures, members = Figures(), options.members
    reader = await connect(dsn, pinned=False)
    async with (
        working(dsn, SHAPES["parted"], templates=[_ALONE]) as fleet,
        Tasker(dsn, settings=product.settings(dsn), worker=False) as client,
    ):
        for number in range(-1, options.rounds):
            told(f"round {max(0, number) + 1}", max(0, number) / options.rounds)
            reported = fleet.steps
            task = await client.submit("batch", namespace=NAMESPACE, context={"n": members})
            await until(fleet, reported + members + 2)  # the step that cuts, the expansion, and the members
            batch = members / await seconds(reader, [task.task_uuid], members, is_batch=True)
            created_s = await reader.fetchval(_CREATED, task.task_uuid)
            reported = fleet.steps
            made = await client.submit_many("alone", [{"n": n} for n in range(members)], namespace=NAMESPACE)
            await until(fleet, reported + members)
            alone = members / await seconds(reader, [one.task_uuid for one in made], members, is_batch=False)
            if number >= 0:
                figures.batch.append(batch)
                figures.alone.append(alone)
                figures.created_s.append(created_s)
                figures.memory.append(max(resident_bytes(pid) for pid in worker_pids()))
    await reader.close()
    return report(members, figures)


async def seconds(connection: Connection, task_ids: list[UUID], steps: int, *, is_batch: bool) -> float:
    """From the first grant to the last result, once all is recorded."""
    while (spent := await connection.fetchval(_SPENT, task_ids, steps, is_batch)) is None:
        pass
    return spent


def report(members: int, figures: Figures) -> tuple[Rows, Mapping[str, Any]]:
    """The table and the figures."""
    ratio = median(figures.batch) / median(figures.alone)
    created_s = median(figures.created_s)
    growth = figures.memory[-1] / figures.memory[min(1, len(figures.memory) - 1)]
    rows = [["", "steps a second", "runs"]]
    for title, rates in (
        (f"one batch of {members:,} members", figures.batch),
        (f"{members:,} tasks of one step", figures.alone),
    ):
        rows.append([title, f"{median(rates):,.0f}", " ".join(f"{rate:,.0f}" for rate in rates)])
    rows += [
        [f"ratio (asked: {RATIO_MIN} or more)", f"{ratio:.2f}", ""],
        [f"seconds until the first member ran (asked: {CREATED_MAX_S} or less)", f"{created_s:.2f}", ""],
        [f"memory of a worker, last round to second (asked: {MEMORY_MAX} or less)", f"{growth:.2f}", ""],
    ]
    return rows, {
        "members": members,
        "batch_steps_per_second": round(median(figures.batch), 1),
        "alone_steps_per_second": round(median(figures.alone), 1),
        "ratio": round(ratio, 3),
        "created_s": round(created_s, 3),
        "memory_ratio": round(growth, 3),
        "is_as_asked": ratio >= RATIO_MIN and created_s <= CREATED_MAX_S and growth <= MEMORY_MAX,
    }


if __name__ == "__main__":
    line = parser(__doc__)
    line.add_argument("--members", type=int, default=10_000)
    line.add_argument("--rounds", type=int, default=5)
    sys.exit(run(line.parse_args(), measure))
