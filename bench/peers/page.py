"""The page docs/benchmarks.md, with its plots, from the lines of a run.

    python bench/peers/page.py [RESULTS] [--docs FOLDER]

Without RESULTS it takes the newest file of bench/results/peers, and where there is none the page says so. Lines of a
small trial (`run.py --small`) are refused unless the page goes elsewhere than docs: such figures say nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from cells import CELLS, LOWER, Cell
from environments import HERE, versions
from page_texts import COSTS_TEXT, INTRODUCTION, METHODS, SCENARIOS, WHY
from plots import bars, shown_as
from results import UNMEASURED, Results, read
from roster import ABSENT, BY_NAME, ENTRANTS, Entrant, reason

from tasker.model.errors import TaskerError

DOCS = HERE.parents[1] / "docs"
RESULTS = HERE.parent / "results" / "peers"
OWN = "tasker"
_COSTS = ("cpu_s", "commits", "wal_bytes", "statements")


def write(results: Results, docs: Path) -> None:
    """The page and a plot for each cell that has figures."""
    plots = docs / "benchmarks"
    plots.mkdir(parents=True, exist_ok=True)
    drawn: set[str] = set()
    for cell in CELLS:
        rows = [(BY_NAME[name].title, value, name == OWN) for name, value in ranked(results, cell)]
        if rows:
            drawn.add(_file(cell))
            (plots / _file(cell)).write_text(bars(cell.title, rows, cell.unit))
    (docs / "benchmarks.md").write_text("\n".join(_page(results, drawn)) + "\n")


def ranked(results: Results, cell: Cell) -> list[tuple[str, float]]:
    """Who has a figure in a cell, the best first."""
    values = [(entrant.name, results.value(entrant.name, cell)) for entrant in ENTRANTS]
    known = [(name, value) for name, value in values if value is not None]
    return sorted(known, key=lambda one: one[1], reverse=cell.better != LOWER)


def _file(cell: Cell) -> str:
    return f"{cell.name.lower().replace(' ', '-')}.svg"


def _page(results: Results, drawn: set[str]) -> Iterable[str]:
    yield INTRODUCTION
    yield from _machine(results)
    yield from _who(results)
    yield from _asked(results)
    yield from _wins(results)
    for scenario, text in SCENARIOS.items():
        cells = [cell for cell in CELLS if cell.scenario == scenario]
        yield f"\n## {scenario}: {text}\n"
        yield f"{METHODS[scenario]}\n"
        yield from _table(results, cells)
        yield from _extra(results, cells)
        yield from _costs(results, cells)
        yield from (f"![{cell.title}](benchmarks/{_file(cell)})\n" for cell in cells if _file(cell) in drawn)


def _machine(results: Results) -> Iterable[str]:
    if results is UNMEASURED:
        yield "**Not measured yet**: no run on a quiet machine is here. What follows says what is measured.\n"
        return
    run = results.run
    machine = run["machine"]
    took = minutes(results)
    yield (
        f"Measured on {run['date']} in {sum(took.values()):.0f} minutes: {machine['cores']} cores ({machine['cpu']}), "
        f"{machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}, PostgreSQL {run['postgres']}; "
        f"load at the start {machine['load_at_start'][0]}. Medians of {run['repeats']}, from the lowest to the highest "
        f"in brackets. What takes long is run less often: {_seldom(run['repeats'])}.\n"
    )
    yield f"Minutes of each part: {', '.join(f'{name} {took[name]:.1f}' for name in SCENARIOS if name in took)}.\n"
    if run["is_small"]:
        yield "**A small trial: these figures say nothing but that everything ran.**\n"


def minutes(results: Results) -> dict[str, float]:
    """How long each scenario took; a measurement of which two cells are figures counts once."""
    works = {cell.name: cell.work for cell in CELLS}
    took: dict[tuple[str, str, int], tuple[str, float]] = {}
    for line in results.all_lines():
        scenario = line["cell"].partition(" ")[0]
        took[works[line["cell"]], line["peer"], line["repeat"]] = (scenario, line.get("took_s") or 0)
    found: dict[str, float] = {}
    for scenario, seconds in took.values():
        found[scenario] = found.get(scenario, 0) + seconds / 60
    return found


def _seldom(wanted: int) -> str:
    """Which cells and rows have fewer repeats than were asked for."""
    counts = {cell.name: cell.repeats_max for cell in CELLS} | {one.title: one.repeats_max for one in ENTRANTS}
    fewer = sorted({count for count in counts.values() if count < wanted})
    named = {count: ", ".join(name for name, one in counts.items() if one == count) for count in fewer}
    return "; ".join(f"{'once' if count == 1 else f'{count} times'} {names}" for count, names in named.items())


def _who(results: Results) -> Iterable[str]:
    yield "## Who, and what they store\n\n| | version | what is stored |\n|---|---|---|"
    for entrant in ENTRANTS:
        known = results.run.get("peers", {}).get(entrant.name)
        if results is UNMEASURED:
            yield f"| {entrant.title} | {versions(entrant.environment)} | {entrant.stores} |"
        elif known is None:
            yield f"| {entrant.title} | | was not asked for in this run |"
        elif known["not_run"]:
            yield f"| {entrant.title} | {known['version']} | **could not be run**: {known['not_run']} |"
        else:
            yield f"| {entrant.title} | {known['version']} | {entrant.stores} |"
    for title, why in ABSENT.items():
        yield f"| {title} | | **could not be run**: {why} |"
    yield ""


def _asked(results: Results) -> Iterable[str]:
    """The claims, each with what was found."""
    yield "## What was asked\n\n| asked | found | |\n|---|---|---|"
    for text, found, limit in claims(results):
        verdict = "not measured" if found is None else "yes" if found >= limit else "**missed**"
        yield f"| {text} | {'' if found is None else shown_as(found)} | {verdict} |"
    yield ""


def claims(results: Results) -> Iterable[tuple[str, float | None, float]]:
    """What is claimed, the ratio that was found (None where a side is missing), and the least that it must be."""
    for cell in CELLS:
        others = [name for name, _ in ranked(results, cell) if name != OWN]
        if cell.scenario == "S2":
            for name in ("dbos", "dbos-tuned", "restate"):
                yield f"{cell.title}: 50 times {BY_NAME[name].title}", _ratio(results, cell, name), 50
        elif cell.scenario in ("S1", "S3", "S5", "S8"):
            least = 2 if cell.scenario == "S1" else 1
            best = _ratio(results, cell, others[0]) if others else None
            yield f"{cell.title}: {least} times as good as the best other", best, least


def _ratio(results: Results, cell: Cell, other: str) -> float | None:
    """How many times as good ours is."""
    ours, theirs = results.value(OWN, cell), results.value(other, cell)
    if not ours or not theirs:
        return None
    return theirs / ours if cell.better == LOWER else ours / theirs


def _wins(results: Results) -> Iterable[str]:
    yield "## Where another is ahead\n"
    found = False
    if results is UNMEASURED:
        yield "Not known yet.\n"
        return
    for cell in CELLS:
        order = ranked(results, cell)
        if not order or order[0][0] == OWN:
            continue
        name = order[0][0]
        ratio = _ratio(results, cell, name)
        by = "Tasker has no figure" if ratio is None else f"{shown_as(1 / ratio)} times as good"
        why = WHY.get((cell.name, name)) or WHY.get((cell.scenario, name)) or "why has not been found out yet."
        yield f"- **{cell.title}**: {BY_NAME[name].title}, {by}: {why}"
        found = True
    yield "" if found else "Nowhere in this run.\n"


def _table(results: Results, cells: Sequence[Cell]) -> Iterable[str]:
    heads = [f"{cell.title}, {cell.unit}" for cell in cells]
    yield f"| | {' | '.join(heads)} |\n|---|{'---:|' * len(cells)}"
    for entrant in ENTRANTS:
        yield f"| {entrant.title} | {' | '.join(shown(results, entrant, cell) for cell in cells)} |"
    yield ""


def shown(results: Results, entrant: Entrant, cell: Cell) -> str:
    """A median with its spread, or why there is none."""
    if why := reason(entrant, cell):
        return f"none: {why}"
    values = results.figures(entrant.name, cell)
    errors = results.errors(entrant.name, cell)
    failed = f"; failed {len(errors)} times: {errors[0][:80]}" if errors else ""
    if not values:
        return failed.removeprefix("; ") or ("never went on" if _ran(results, entrant, cell) else "not run")
    middle = results.value(entrant.name, cell)
    assert middle is not None  # noqa: S101 - there are values
    return f"{shown_as(middle)} ({shown_as(values[0])} to {shown_as(values[-1])}){failed}"


def _ran(results: Results, entrant: Entrant, cell: Cell) -> bool:
    return (entrant.name, cell.name) in results.lines


def _extra(results: Results, cells: Sequence[Cell]) -> Iterable[str]:
    """Lost and doubled, where something was killed."""
    if cells[0].scenario != "S8":
        return
    yield "| | case | tasks not complete | steps not run | steps run twice |\n|---|---|---:|---:|---:|"
    for entrant in ENTRANTS:
        for cell in cells:
            counts = [results.figures(entrant.name, cell, name) for name in ("lost", "steps_not_run", "doubled")]
            if counts[0]:
                yield f"| {entrant.title} | {cell.title} | {' | '.join(f'{sum(one):.0f}' for one in counts)} |"
    yield ""


def _costs(results: Results, cells: Sequence[Cell]) -> Iterable[str]:
    lines: list[str] = []
    for entrant in ENTRANTS:
        for cell in cells:
            costs = [results.cost(entrant.name, cell, name) for name in _COSTS]
            if any(cost is not None for cost in costs):
                texts = ["" if cost is None else shown_as(cost) for cost in costs]
                lines.append(f"| {entrant.title} | {cell.title} | {' | '.join(texts)} |")
    if lines:
        yield f"{COSTS_TEXT}\n\n| | | CPU, s | commits | bytes of WAL | statements |\n|---|---|---:|---:|---:|---:|"
        yield from lines
        yield ""


def newest() -> Results:
    """The last run that is kept; before the first, what says so."""
    found = max(RESULTS.glob("*.jsonl"), default=None)
    return UNMEASURED if found is None else read(found)


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 where the results are not those of a measurement."""
    line = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    line.add_argument("results", nargs="?", help="a file of run.py")
    line.add_argument("--docs", default=str(DOCS), help="where the page and its plots go")
    options = line.parse_args(arguments)
    try:
        results = newest() if options.results is None else read(Path(options.results))
        if results.run.get("is_small") and Path(options.docs).resolve() == DOCS:
            raise TaskerError("This is a small trial: its figures say nothing. Give --docs to look at the page")
    except TaskerError as error:
        print(error, file=sys.stderr)
        return 1
    write(results, Path(options.docs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
