"""`tasker bench`: a server to measure on, a bar while it runs, the figures at the end."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import orjson

from tasker.bench.figures import Report
from tasker.bench.plan import Told, measure, remove
from tasker.bench.shapes import SHAPES
from tasker.embedded import project_root, start_private
from tasker.model.errors import SettingsError

PROCESSES_MAX = 4


def run(
    shape: str = "chain",
    *,
    json: bool = False,
    database_url: str | None = None,
    seconds: float = 5,
    rounds: int = 2,
    processes: int | None = None,
) -> int:
    """Measures one shape and prints the figures, with `json` as one object on the last line. The exit code: 0.

    Without a database URL it starts a PostgreSQL of its own and removes it; in a given database it makes the schemas
    `tasker_bench` and `tasker_bare`, and drops them. Raises SettingsError for a shape that it does not know.
    """
    import uvloop

    if shape not in SHAPES:
        raise SettingsError(f'there is no shape "{shape}" to measure: choose one of {", ".join(SHAPES)}')
    processes = processes or min(PROCESSES_MAX, os.cpu_count() or 1)

    async def work(dsn: str, told: Told) -> Report:
        try:
            return await measure(shape, dsn, seconds=seconds, rounds=rounds, processes=processes, told=told)
        finally:
            await remove(dsn)

    with server(database_url) as dsn, progress_bar() as told:
        report = uvloop.run(work(dsn, told))
    if json:
        print(orjson.dumps(report.as_json()).decode())
    else:
        _print_table(report)
    return 0


@contextmanager
def server(database_url: str | None) -> Generator[str]:
    """The DSN to measure on: the given one, or that of a server that nobody else uses, with PostgreSQL's defaults."""
    if database_url is not None:
        yield database_url
        return
    with _folder() as folder, start_private(folder / "postgres") as private:
        yield private.dsn


@contextmanager
def _folder() -> Generator[Path]:
    """On the disk of the project, because the folder for temporary files may lie in memory."""
    home = project_root() / ".tasker"
    try:
        home.mkdir(exist_ok=True)
        made = tempfile.TemporaryDirectory(prefix="bench-", dir=home, ignore_cleanup_errors=True)
    except OSError:
        made = tempfile.TemporaryDirectory(prefix="tasker-bench-", ignore_cleanup_errors=True)
    with made as folder:
        yield Path(folder)


@contextmanager
def progress_bar() -> Generator[Told]:
    """On a terminal a bar on stderr; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda title, share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        line = bar.add_task("starting PostgreSQL", total=1.0)
        yield lambda title, share: bar.update(line, description=title, completed=share)


def _print_table(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table

    steps, processes = len(report.shape.steps), report.processes
    title = f"{report.shape.name}: {steps} steps a task, {processes} worker processes, PostgreSQL {report.server}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("")
    for heading in ("Tasker", "bare engine", "ratio"):
        table.add_column(heading, justify="right")
    for row in report.rows():
        table.add_row(*row)
    Console().print(table)
