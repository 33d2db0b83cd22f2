"""Does a task with thousands of children hold its workers up? One such task beside as many tasks of one step.

    python bench/fan.py [--children 8000] [--rounds 5] [--json] [--database-url DSN]

All children change the counters of one task row, which only one process can hold at a time. Two worker processes run
one task with 8,000 children, then 8,000 tasks of one step, in turn; the clock is the database's, from the first grant
to the last result. Asked: the task's throughput is at least 0.8 of the others'. It takes about half a minute.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any
from uuid import UUID

from script import Rows, parser, query, run, until, working

from tasker.app import Tasker
from tasker.bench import product
from tasker.bench.plan import Told
from tasker.bench.shapes import NAMESPACE, SHAPES, Shape
from tasker.handlers import depends_on, inputs, step_handler
from tasker.model.template import HandlerRef, Step, Template
from tasker.store.connection import Connection, connect

RATIO_MIN = 0.8
_SPENT = query("""
select extract(epoch from max(finished_at) - min(granted_at))::float8 from tasker_engine.steps
where task_id = any ($1) and state = 'complete' having count(*) = $2
""")


@step_handler("begin")
@inputs("n")
async def begin(n: int) -> dict[str, int]:
    """The parent of all."""
    return {"total": n}


@step_handler("leaf")
@depends_on(parent="begin")
async def leaf(parent: dict[str, int]) -> dict[str, int]:
    """One of the children: all have this handler."""
    return {"total": parent["total"]}


@dataclass(frozen=True, slots=True)
class Wide(Shape):
    """A step with many children."""

    @property
    def template(self) -> Template:
        """The graph, with two handlers for all its steps."""
        first, *others = self.steps
        leaves = (Step(name=name, handler=HandlerRef(callable="leaf"), dependencies=(first,)) for name in others)
        steps = (Step(name=first, handler=HandlerRef(callable="begin")), *leaves)
        return Template(namespace=NAMESPACE, name=self.name, version="1.0.0", steps=steps)

    @property
    def handlers(self) -> dict[str, Callable[..., Any]]:
        """Those two."""
        return {"begin": begin, "leaf": leaf}


def wide(children: int) -> Wide:
    """A task with that many children."""
    leaves = {f"leaf_{number}": ("begin",) for number in range(1, children + 1)}
    return Wide(f"wide_{children}", {"begin": (), **leaves})


_ALONE = Template(
    namespace=NAMESPACE,
    name="alone",
    version="1.0.0",
    steps=(Step(name="begin", handler=HandlerRef(callable="begin")),),
)
SHAPES["wide"] = Wide("wide", {"begin": ()})  # what the worker processes look up: they need its handlers


async def measure(dsn: str, options: argparse.Namespace, told: Told) -> tuple[Rows, Mapping[str, Any]]:
    """Both in turn, after a round that warms up."""
    shape = wide(options.children)
    rates: dict[str, list[float]] = {shape.name: [], _ALONE.name: []}
    wanted = {shape.name: 1, _ALONE.name: options.children}
    reader = await connect(dsn, pinned=False)
    async with (
        working(dsn, SHAPES["wide"], templates=[shape.template, _ALONE]) as fleet,
        Tasker(dsn, settings=product.settings(dsn), worker=False) as client,
    ):
        for number in range(-1, options.rounds):
            for name, tasks in wanted.items():
                told(f"{name}, round {max(0, number) + 1}", max(0, number) / options.rounds)
                steps = options.children + (tasks == 1)
                reported = fleet.steps
                made = await client.submit_many(name, [{"n": n} for n in range(tasks)], namespace=NAMESPACE)
                await until(fleet, reported + steps)
                rate = steps / await seconds(reader, [task.task_uuid for task in made], steps)
                if number >= 0:
                    rates[name].append(rate)
    await reader.close()
    return report(options.children, rates[shape.name], rates[_ALONE.name])


async def seconds(connection: Connection, task_ids: list[UUID], steps: int) -> float:
    """From the first grant to the last result, once all is recorded."""
    while (spent := await connection.fetchval(_SPENT, task_ids, steps)) is None:
        pass
    return spent


def report(children: int, fan: list[float], alone: list[float]) -> tuple[Rows, Mapping[str, Any]]:
    """The table and the figures."""
    ratio = median(fan) / median(alone)
    rows = [["", "steps a second", "runs"]]
    for title, rates in ((f"one task with {children:,} children", fan), (f"{children:,} tasks of one step", alone)):
        rows.append([title, f"{median(rates):,.0f}", " ".join(f"{rate:,.0f}" for rate in rates)])
    rows.append([f"ratio (asked: {RATIO_MIN} or more)", f"{ratio:.2f}", ""])
    return rows, {
        "children": children,
        "fan_steps_per_second": round(median(fan), 1),
        "alone_steps_per_second": round(median(alone), 1),
        "ratio": round(ratio, 3),
        "is_as_asked": ratio >= RATIO_MIN,
    }


if __name__ == "__main__":
    line = parser(__doc__)
    line.add_argument("--children", type=int, default=8000)
    line.add_argument("--rounds", type=int, default=5)
    sys.exit(run(line.parse_args(), measure))
