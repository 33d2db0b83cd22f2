"""Tasker as it is against Tasker as it was at a commit, in the scenes of the comparison with the field.

    python bench/peers/against.py COMMIT [--cells S1,S3,S5] [--repeats 5] [--json]

Both run in this environment, on one PostgreSQL that this starts, in a new database for each figure, in the order
A B B A. Medians, with the lowest and the highest; a ratio above 1 means that this tree is better. bench/watch.py
does it for what `tasker bench` measures, and is quicker.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import orjson
from cells import CELLS, LOWER, Cell
from conversation import Sizes, measure
from environments import HOME
from plots import shown_as
from results import spread
from roster import BY_NAME, Entrant
from servers import Servers, running
from trees import tree_of

Found = Mapping[str, Mapping[str, list[float]]]
"""Of each cell, the values of `now` and of `then`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 where something could not be measured."""
    options = _options(arguments)
    cells = [cell for cell in CELLS if cell.name in options.cells or cell.scenario in options.cells]
    if not cells:
        sys.exit(f"there is no such cell: choose among {', '.join(cell.name for cell in CELLS)}")
    HOME.mkdir(parents=True, exist_ok=True)
    try:
        with (
            tree_of(options.commit) as then,
            tempfile.TemporaryDirectory(dir=HOME, ignore_cleanup_errors=True) as folder,
            running(set(), Path(folder)) as servers,
        ):
            ours = BY_NAME["tasker"]
            entrants = {"now": ours, "then": replace(ours, options={"source": str(then / "src")})}
            found = asyncio.run(_measure(entrants, cells, servers, options.repeats))
    except ValueError as error:
        print(f"could not measure: {error}", file=sys.stderr)
        return 1
    for line in compared(cells, found):
        print(line)
    if options.json:
        print(orjson.dumps(found).decode())
    return 0


async def _measure(entrants: Mapping[str, Entrant], cells: Sequence[Cell], servers: Servers, repeats: int) -> Found:
    """Raises ValueError with what a driver said where it has no figure."""
    found: dict[str, dict[str, list[float]]] = {cell.name: {name: [] for name in entrants} for cell in cells}
    for repeat in range(repeats):
        for cell in cells:
            for name in list(entrants)[:: 1 if repeat % 2 == 0 else -1]:
                result = await measure(cell, entrants[name], servers, Sizes())
                if "figures" not in result:
                    raise ValueError(f"{cell.name}, {name}: {result}")
                found[cell.name][name] += spread(result["figures"].get(cell.figure))
        print(f"{repeat + 1} of {repeats}", file=sys.stderr, flush=True)
    return found


def compared(cells: Sequence[Cell], found: Found) -> list[str]:
    """A line for each cell."""
    lines = [f"{'':16}{'now':>28}{'then':>28}   ratio"]
    for cell in cells:
        now, then = found[cell.name]["now"], found[cell.name]["then"]
        shown = [f"{shown_as(median(one))} ({shown_as(min(one))} to {shown_as(max(one))})" for one in (now, then)]
        ratio = median(then) / median(now) if cell.better == LOWER else median(now) / median(then)
        lines.append(f"{cell.name:16}{shown[0]:>28}{shown[1]:>28}   {ratio:.2f}  ({cell.title}, {cell.unit})")
    return lines


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    line = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    line.add_argument("commit")
    line.add_argument("--cells", type=lambda text: text.split(","), default=["S1", "S2", "S3", "S5", "S8"])
    line.add_argument("--repeats", type=int, default=5)
    line.add_argument("--json", action="store_true", help="print the values as one line of JSON, after the table")
    return line.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
