"""What the programs of this folder share: the command line, the output, and a schema with workers that run in it."""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import uvloop

from tasker import sql
from tasker.app import Tasker
from tasker.bench import product
from tasker.bench.cli import progress_bar, server
from tasker.bench.plan import Told, remove
from tasker.bench.saturated import Fleet
from tasker.bench.shapes import Shape
from tasker.model.errors import TaskerError
from tasker.model.template import Template

Rows = Sequence[Sequence[str]]
PROCESSES = 2
_LOOK_S = 0.01
_STALLED_S = 60


def parser(docstring: str | None) -> argparse.ArgumentParser:
    """A command line with the options that all have; its help is the program's docstring."""
    made = argparse.ArgumentParser(description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", action="store_true", help="print the figures as one line of JSON, after the table")
    made.add_argument("--database-url", help="measure there, in the schema tasker_bench; else on a server of its own")
    return made


def run(
    options: argparse.Namespace,
    measure: Callable[[str, argparse.Namespace, Told], Awaitable[tuple[Rows, Mapping[str, Any]]]],
) -> int:
    """Measures, prints the table and, if asked, the figures. 0, or 1 where it could not measure."""

    async def work(dsn: str, told: Told) -> tuple[Rows, Mapping[str, Any]]:
        try:
            return await measure(dsn, options, told)
        finally:
            await remove(dsn)

    try:
        with server(options.database_url) as dsn, progress_bar() as told:
            rows, figures = uvloop.run(work(dsn, told))
    except TaskerError as error:
        print(f"could not measure: {error}", file=sys.stderr)
        return 1
    print_table(rows)
    if options.json:
        print(orjson.dumps(figures).decode())
    return 0


def print_table(rows: Rows) -> None:
    """Columns as wide as they need to be, all but the first to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]
        print("   ".join(cells).rstrip())


@asynccontextmanager
async def working(
    dsn: str, shape: Shape, *, templates: Sequence[Template] = (), processes: int = PROCESSES
) -> AsyncGenerator[Fleet]:
    """Worker processes, busy as soon as there is work, in a new schema with the shape's template and these.

    The program registers a shape of its own in SHAPES when it is imported: the processes import it too.
    """
    await product.create(dsn, shape)
    async with Tasker(dsn, templates=templates, settings=product.settings(dsn), worker=False):
        pass
    with Fleet("tasker", dsn, shape, processes) as fleet:
        fleet.let_loose()
        yield fleet


async def until(fleet: Fleet, steps: int) -> None:
    """Returns when the workers have reported that many steps. Raises TaskerError when nothing moves for a minute."""
    reported, stalled_s = fleet.steps, 0.0
    while fleet.steps < steps:
        fleet.check()
        await asyncio.sleep(_LOOK_S)
        stalled_s = stalled_s + _LOOK_S if fleet.steps == reported else 0.0
        reported = fleet.steps
        if stalled_s > _STALLED_S:
            raise TaskerError(f"nothing has moved for a minute, after {reported} of {steps} steps")


def query(text: str) -> str:
    """An SQL text that names the schema tasker_engine, for the schema that is measured."""
    return sql.in_schema(text, product.SCHEMA)


def worker_pids() -> list[int]:
    """The worker processes of this program."""
    return sorted(child.pid for child in multiprocessing.active_children() if child.pid is not None)


def resident_bytes(pid: int) -> int:
    """The memory that a process holds. Raises TaskerError where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError as error:
        raise TaskerError(f"the memory of process {pid} cannot be read: {error}. This program needs Linux") from error
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024
