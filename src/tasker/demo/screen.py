"""How the demo looks: headings, tables, the checks, and what to type next."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from tasker.demo.crowd import Tick
from tasker.demo.figures import Check, CrowdFigures


def say(console: Console, text: str) -> None:
    """A text with rich's marks. Only a terminal has lines that end; a file or a pipe gets them whole."""
    console.print(text, highlight=False, soft_wrap=not console.is_terminal)


def heading(console: Console, title: str, text: str) -> None:
    """A title with what is about to be shown."""
    say(console, f"\n[bold]{title}[/]\n{text}\n")


@contextmanager
def bar(console: Console, title: str, total: int) -> Generator[Tick]:
    """A bar while the block lasts, on a terminal. The block calls what it gets for each that is done."""
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        line = progress.add_task(title, total=total)
        yield lambda: progress.advance(line)


def crowd_table(console: Console, figures: Mapping[str, CrowdFigures]) -> None:
    """Crowds side by side, a column each."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("")
    for title in figures:
        table.add_column(title, justify="right")
    for cells in rows(list(figures.values())):
        table.add_row(*cells)
    console.print(table, highlight=False)


def rows(crowds: Sequence[CrowdFigures]) -> Generator[tuple[str, ...]]:
    """The figures of crowds, row by row: a name, and a cell for each crowd."""
    yield "checkouts", *(str(crowd.checkouts) for crowd in crowds)
    yield "completed", *(str(crowd.completed) for crowd in crowds)
    yield "charged without an order", *(str(crowd.charged_without_order) for crowd in crowds)
    yield "charged twice", *(str(crowd.charged_twice) for crowd in crowds)
    yield "lost", *(str(crowd.lost) for crowd in crowds)
    yield "passing faults recovered", *(f"{crowd.recovered} of {crowd.passing_faults}" for crowd in crowds)
    yield "permanent faults ended with", *("\n".join(_codes(crowd)) for crowd in crowds)
    yield "seconds", *(f"{crowd.seconds:.2f}" for crowd in crowds)


def _codes(crowd: CrowdFigures) -> list[str]:
    return [f"{times} {code}" for code, times in sorted(crowd.permanent_ended_with.items())]


def checks(console: Console, made: Sequence[Check]) -> None:
    """Every check with what was found."""
    for check in made:
        mark = "[green]✔[/]" if check.is_met else "[bold red]✘ NOT MET:[/]"
        say(console, f"{mark} {check.name} [dim]({check.found})[/]")


def commands(console: Console, made: Mapping[str, str]) -> None:
    """Commands with what they show, so that a line can be copied."""
    for command, what in made.items():
        console.print(f"[dim]# {what}[/]", highlight=False)
        console.print(command, style="bold", markup=False, highlight=False, soft_wrap=True)
