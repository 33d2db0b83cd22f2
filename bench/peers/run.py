"""Tasker side by side with the field, on this machine: installs the peers, runs all of them in turn, writes JSON lines.

    python bench/peers/run.py [--peers NAME,NAME] [--cells S1,S2] [--repeats 5] [--small] [--install] [--out FILE]

It installs each peer into build/peers (PyPI, npm), starts one PostgreSQL of its own with everything durable, and beside
it RabbitMQ and Redis where they are installed (apt-get install rabbitmq-server redis-server). Then each cell is run
for every peer before the next one, `--repeats` times over (those that take long: three times), in a new database. It
prints how long that will take before it begins. Lines go to bench/results/peers/DATE.jsonl; bench/peers/page.py makes
the page of them.

`--small` runs a few tasks a cell, to see that all of it works; such figures say nothing. docs/benchmarks.md explains
what the figures are.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any

import orjson
from cells import CELLS, Cell, estimated_s
from conversation import Sizes, measure
from environments import HERE, HOME, install, install_npm, restate_server, versions
from machine import describe
from results import spread
from roster import BY_NAME, ENTRANTS, Entrant, repeats
from servers import Servers, running

from tasker.model.errors import TaskerError

RESULTS = HERE.parent / "results" / "peers"
SMALL = Sizes(scale=0.1, tasks_max=6, finished_max=1000)


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 where something that should be measured could not."""
    signal.signal(signal.SIGTERM, _leave)  # so that what was started is ended here too
    options = _options(arguments)
    entrants, cells = _chosen(options)
    reasons = {entrant.name: _prepare(entrant) for entrant in entrants}
    if options.install:
        _print_reasons(reasons)
        return 0
    present = [entrant for entrant in entrants if reasons[entrant.name] is None]
    _print_estimate(present, cells, options.repeats)
    home = HOME / "run"
    home.mkdir(parents=True, exist_ok=True)
    out = Path(options.out) if options.out else RESULTS / f"{datetime.now(UTC):%Y-%m-%d}.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=home, ignore_cleanup_errors=True) as folder,
        running({entrant.needs for entrant in present}, Path(folder)) as servers,
        out.open("wb") as lines,
    ):
        board = _Board(lines, servers, options)
        board.open(entrants, reasons)
        asyncio.run(board.fill(present, cells))
    print(f"written to {out}")
    return 1 if board.errors else 0


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


class _Board:
    """Writes each result as soon as it is there, and says it."""

    def __init__(self, lines: Any, servers: Servers, options: argparse.Namespace) -> None:
        self._lines, self._servers, self._options = lines, servers, options
        self.errors = 0

    def open(self, entrants: Sequence[Entrant], reasons: dict[str, str | None]) -> None:
        """The first line: where, when and what."""
        peers = {
            entrant.name: {"version": versions(entrant.environment), "not_run": reasons[entrant.name]}
            for entrant in entrants
        }
        self._write(
            {
                "run": {
                    "date": f"{datetime.now(UTC):%Y-%m-%d}",
                    "repeats": self._options.repeats,
                    "is_small": self._options.small,
                    "machine": describe(),
                    "postgres": self._servers.postgres.version,
                    "statements_counted": self._servers.counts_statements,
                    "peers": peers,
                }
            }
        )

    async def fill(self, entrants: Sequence[Entrant], cells: Sequence[Cell]) -> None:
        """Cell by cell, each for every peer, as often as asked."""
        sizes = SMALL if self._options.small else Sizes()
        for repeat in range(1, self._options.repeats + 1):
            found: dict[tuple[str, str], dict[str, Any]] = {}
            for cell in cells:
                for entrant in (one for one in entrants if repeat <= repeats(one, cell, self._options.repeats)):
                    same = (entrant.name, cell.work)
                    if same not in found:
                        began = time.monotonic()
                        result = await measure(cell, entrant, self._servers, sizes)
                        found[same] = {**result, "took_s": round(time.monotonic() - began, 1)}
                    self._note(entrant, cell, repeat, found[same])

    def _note(self, entrant: Entrant, cell: Cell, repeat: int, result: dict[str, Any]) -> None:
        self._write({"peer": entrant.name, "cell": cell.name, "repeat": repeat, **result})
        figures = result.get("figures")
        self.errors += figures is None
        values = spread(None if figures is None else figures.get(cell.figure))
        shown = result.get("error") or (f"{median(values):,.2f} {cell.unit}" if values else "none")
        print(f"{time.strftime('%H:%M:%S')} {repeat} {cell.name:16} {entrant.name:20} {shown}", flush=True)

    def _write(self, line: dict[str, Any]) -> None:
        self._lines.write(orjson.dumps(line) + b"\n")
        self._lines.flush()


def _prepare(entrant: Entrant) -> str | None:
    """Installs a peer. Why it cannot be run here; None if it can."""
    try:
        install(entrant.environment)
        if entrant.needs == "restate":
            install_npm()
    except TaskerError as error:
        return f"it could not be installed: {str(error).splitlines()[0]}"
    if entrant.needs == "restate" and restate_server() is None:
        return "npm carries no server for this system"
    places = {"rabbitmq": "/usr/lib/rabbitmq/bin/rabbitmq-server", "redis": "/usr/bin/redis-server"}
    if entrant.needs in places and not Path(places[entrant.needs]).exists():
        return f"{entrant.needs}-server is not installed"
    return None


def _chosen(options: argparse.Namespace) -> tuple[list[Entrant], list[Cell]]:
    names = options.peers.split(",") if options.peers else [entrant.name for entrant in ENTRANTS]
    if unknown := [name for name in names if name not in BY_NAME]:
        sys.exit(f"there is no peer {unknown[0]!r}: choose among {', '.join(BY_NAME)}")
    wanted = options.cells.split(",") if options.cells else [cell.name for cell in CELLS]
    cells = [cell for cell in CELLS if cell.name in wanted or cell.scenario in wanted]
    if not cells:
        sys.exit(f"there is no such cell: choose among {', '.join(cell.name for cell in CELLS)}")
    return [BY_NAME[name] for name in names], cells


def _print_reasons(reasons: dict[str, str | None]) -> None:
    for name, why in reasons.items():
        print(f"{name:20} {why or 'installed'}")


def _print_estimate(entrants: Sequence[Entrant], cells: Sequence[Cell], wanted: int) -> None:
    parts = estimate(entrants, cells, wanted)
    for scenario, seconds in parts.items():
        print(f"{scenario:4} about {seconds / 60:5.1f} min")
    print(f"all  about {sum(parts.values()) / 60:5.1f} min, {len(entrants)} peers, {wanted} repeats", flush=True)


def estimate(entrants: Sequence[Entrant], cells: Sequence[Cell], wanted: int) -> dict[str, float]:
    """About how many seconds each scenario will take."""
    parts: dict[str, float] = {}
    for cell in {cell.work: cell for cell in cells}.values():
        whole = sum(estimated_s(cell, entrant.start_s) * repeats(entrant, cell, wanted) for entrant in entrants)
        parts[cell.scenario] = parts.get(cell.scenario, 0) + whole
    return parts


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    line = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    line.add_argument("--peers", help="only these, by name")
    line.add_argument("--cells", help="only these scenarios or cells")
    line.add_argument("--repeats", type=int, default=5)
    line.add_argument("--small", action="store_true", help="a few tasks a cell: whether it works, not how fast it is")
    line.add_argument("--install", action="store_true", help="only install the peers")
    line.add_argument("--out", help="the file of results")
    return line.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
