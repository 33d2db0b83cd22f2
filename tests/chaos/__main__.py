"""`python -m chaos`: runs rows, prints a line for each, writes a report, and says how a failure comes again."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from chaos import report
from chaos.budget import Budget, cost_s
from chaos.mutants import MUTANTS
from chaos.report import Report, Whole
from chaos.run import RowOf, Run
from chaos.scene import TIMES, Stage
from chaos.table import ROWS
from tasker.embedded import start_private

LEAST_S = 600.0
"""How long a row may take, however small it is: others may be at work on the machine."""
SERVER = {
    "recovery_init_sync_method": "syncfs",
    "max_connections": "200",
    # The stories of C22 have a time of their own; nobody else names one.
    "tasker.test_clock": "on",
}
KEPT = Path(__file__).parents[2] / "bench" / "results" / "chaos"


def main() -> int:
    """0 where every invariant holds."""
    began = time.monotonic()
    given = _arguments().parse_args()
    if given.list:
        print("\n".join(f"{row.name:4} {row.title} ({row.full_s:.0f} s)" for row in ROWS.values()))
        return 0
    names = given.rows.upper().split(",") if given.rows else list(ROWS)
    if unknown := [name for name in names if name not in ROWS]:
        print(f"no row is called {', '.join(unknown)}; --list says which there are", file=sys.stderr)
        return 2
    rows = [ROWS[name] for name in names]
    scale = given.scale
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(2**32)
    budget = None
    if given.minutes:
        budget = Budget(given.minutes * 60, lambda: time.monotonic() - began)
        rows, scale = budget.ordered(rows, random.Random(seed)), budget.scale(rows, scale)
    print(f"seed {seed}, scale {scale:.2g}: {', '.join(row.name for row in rows)}", flush=True)
    told = Whole(report.commit(), seed, run(rows, scale=scale, seed=seed, mutant=given.mutant, budget=budget))
    told.seconds, told.minutes = time.monotonic() - began, given.minutes
    told.left_out = budget.left_out if budget else []
    kept = report.kills_of(one for one in KEPT.glob("*.json") if one.resolve() != (given.json and given.json.resolve()))
    print(told.lines(kept))
    if given.json:
        told.write(given.json)
    if given.mutant:
        print(f"{given.mutant}: {'caught' if told.failed else 'NOT CAUGHT'}")
    return bool(told.failed) ^ bool(given.mutant)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m chaos", description="Breaks things, and checks that nothing is lost."
    )
    parser.add_argument("--rows", help="their names, with commas between; all of them where it is not said")
    parser.add_argument("--scale", type=float, default=1.0, help="the share of the full load (default: 1)")
    parser.add_argument(
        "--minutes",
        type=float,
        help="take no longer: small loads and, where not all rows fit, C2, C5 and others that the seed chooses",
    )
    parser.add_argument("--seed", type=int, help="of all that is random (default: a new one)")
    parser.add_argument("--json", type=Path, help="where to write the report")
    parser.add_argument("--mutant", choices=list(MUTANTS), help="break the engine so; a row has to fail then")
    parser.add_argument("--list", action="store_true", help="only say which rows there are")
    return parser


def run(
    rows: list[RowOf], *, scale: float, seed: int, mutant: str | None = None, budget: Budget | None = None
) -> list[Report]:
    """One after the other, on one server; only those that the budget allows."""
    folder = Path(tempfile.mkdtemp(prefix="tasker-chaos-"))
    folder.chmod(0o755)
    reports: list[Report] = []
    with start_private(folder / "postgres", settings=SERVER) as server:
        stage = Stage(folder, server)
        if mutant is not None:
            stage.spoiling.append(MUTANTS[mutant].break_engine)
        try:
            for row in rows:
                if budget is None or budget.allows(row, scale):
                    reports.append(asyncio.run(_run(row, stage, scale, seed)))
                    print(reports[-1].lines(), flush=True)
                    if budget is not None:
                        budget.took(row, scale, reports[-1].seconds)
        finally:
            stage.close()
    if not any(one.violations for one in reports):
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"     logs, stacks and ledgers are in {folder}")
    return reports


async def _run(row: RowOf, stage: Stage, scale: float, seed: int) -> Report:
    told = Report(row.name, row.title, seed, scale, report.commit(), dict(TIMES))
    print(f"...  {row.name} {row.title}, scale {scale:.2g}, seed {seed}", flush=True)
    began = time.monotonic()
    try:
        async with asyncio.timeout(max(LEAST_S, 4 * cost_s(row, scale))):
            await row.play(Run(stage, told, scale, random.Random(f"{seed} {row.name}")))
        told.judge()
    except Exception as error:
        told.violations.append("".join(traceback.format_exception(error)))
    told.seconds = time.monotonic() - began
    return told


if __name__ == "__main__":
    sys.exit(main())
