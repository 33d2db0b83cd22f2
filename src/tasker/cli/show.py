"""Printing: tables for people, JSON for machines, bars and spinners on stderr where someone watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import orjson

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_PLAIN_WIDTH = 1_000
_STYLES = {
    "complete": "green",
    "resolved_manually": "green",
    "error": "red",
    "blocked_by_failures": "red",
    "cancelled": "dim",
    "waiting_for_retry": "yellow",
    "in_progress": "cyan",
    "steps_in_process": "cyan",
    "pending": "dim",
}


def print_json(value: Any) -> None:
    """One document: on a terminal indented, else in one line. Records, times and ids become what JSON has."""
    options = orjson.OPT_INDENT_2 if sys.stdout.isatty() else 0
    print(orjson.dumps(value, default=_plain, option=options).decode())


def _plain(value: Any) -> Any:
    """What the serializer does not know: the driver's own kind of UUID, and read-only mappings."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, Any]", value))
    raise TypeError(f"{type(value).__name__} cannot be JSON")


def console() -> Console:
    """Stdout. Where it is no terminal, lines are as long as they need to be."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)


def print_line(text: str, style: str | None = None) -> None:
    """A line as it is; brackets in it mean nothing."""
    console().print(text, style=style, markup=False)


def print_aside(text: str) -> None:
    """A line on stderr: for people, beside an answer that a script may catch."""
    print(text, file=sys.stderr)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> RenderableType:
    """A table; None is an empty cell, and a state has its colour."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    made = Table(box=SIMPLE_HEAD if sys.stdout.isatty() else None, title=title, title_justify="left", pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        cells = ["" if cell is None else str(cell) for cell in row]
        made.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in cells))
    return made


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> None:
    """A table, or where it has no rows a sentence."""
    if rows:
        console().print(table(columns, rows))
    else:
        print_line(empty)


def time(value: datetime | None) -> str | None:
    """A time of this machine's zone, to the second."""
    return None if value is None else f"{value.astimezone():%Y-%m-%d %H:%M:%S}"


def duration(seconds: float | None) -> str | None:
    """Seconds in the unit that fits."""
    if seconds is None:
        return None
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


@contextmanager
def working(text: str) -> Generator[None]:
    """A spinner while something takes long."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{text} …"):
        yield


@contextmanager
def bar(text: str) -> Generator[Callable[..., None]]:
    """A bar; what it gives is told how many are done, and of how many, where that is known."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(text, total=None)

        def show(done: int, total: int | None = None) -> None:
            progress.update(task, completed=done, total=total)

        yield show
