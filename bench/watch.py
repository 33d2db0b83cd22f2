"""Is what I changed slower? This tree against a commit, in turn, in under two minutes; for use before every merge.

    python bench/watch.py [COMMIT] [--rounds 4] [--seconds 2] [--shape chain] [--json]

COMMIT is HEAD where none is given: then the ratios are those of what is not committed yet. Both trees run `tasker
bench` in the same environment, on one PostgreSQL that this starts, in the order A B B A. The commit has to know that
command, and the packages that it needs are those of this environment. Each figure is the median over the rounds; the
ratio in brackets is that of the ratios to the bare engine, which is measured in the same seconds: where the two differ,
the machine was busier in the rounds of one tree. Ratios above 1 mean that this tree is better. Two runs of one tree
differ by up to 5 % on an idle machine, so look at the span before you believe.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import orjson
from peers.trees import ROOT, tree_of
from script import print_table

from tasker.bench.cli import server


def main() -> int:
    """Measures and prints; 0, or 1 where a tree cannot be measured."""
    options = _options()
    try:
        with tree_of(options.commit) as then, server(None) as dsn:
            found = _rounds({"now": ROOT, "then": then}, dsn, options)
    except (subprocess.CalledProcessError, ValueError) as error:
        said = getattr(error, "stderr", None) or str(error)
        print(f"could not measure: {said.strip()[-2000:]}", file=sys.stderr)
        return 1
    figures = compared(found)
    print_table(_table(figures, options.commit))
    if options.json:
        print(orjson.dumps(figures).decode())
    return 0


def _rounds(trees: Mapping[str, Path], dsn: str, options: argparse.Namespace) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {name: [] for name in trees}
    for number in range(options.rounds):
        for name in list(trees)[:: 1 if number % 2 == 0 else -1]:
            print(f"round {number + 1} of {options.rounds}: {name}", file=sys.stderr)
            found[name].append(_bench(trees[name], dsn, options))
    return found


def _bench(tree: Path, dsn: str, options: argparse.Namespace) -> Mapping[str, Any]:
    """The figures of one run of `tasker bench` in a tree."""
    words = [sys.executable, "-m", "tasker", "bench", "--json", "--rounds", "1", "--database-url", dsn]
    words += ["--shape", options.shape, "--seconds", str(options.seconds)]
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    done = subprocess.run(words, cwd=tree, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    return orjson.loads(done.stdout.splitlines()[-1])


def compared(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """For each figure the medians of both trees, the ratio (above 1: this tree is faster), and that beside the bare
    engine's."""
    now, then = found["now"], found["then"]
    return {
        "steps_per_second": _figure(now, then, ("steps_per_second",), ("bare", "steps_per_second"), is_time=False),
        "alone_p50_ms": _figure(now, then, ("latency_ms", "p50"), ("bare", "chain_p50_ms"), is_time=True),
        "submit_per_second": _figure(now, then, ("submit_per_second",), ("bare", "submit_per_second"), is_time=False),
        "wal_bytes_per_step": _figure(now, then, ("wal_bytes_per_step",), None, is_time=True),
        "statements_per_step": _figure(now, then, ("statements_per_step",), None, is_time=True),
    }


def _figure(
    now: Sequence[Mapping[str, Any]],
    then: Sequence[Mapping[str, Any]],
    path: Sequence[str],
    bare: Sequence[str] | None,
    *,
    is_time: bool,
) -> dict[str, Any]:
    """`is_time`: less is better."""
    ours, theirs = [_at(run, path) for run in now], [_at(run, path) for run in then]

    def ratio(first: Sequence[float], second: Sequence[float]) -> float:
        quotient = median(first) / median(second)
        return round(1 / quotient if is_time else quotient, 3)

    made: dict[str, Any] = {"now": ours, "then": theirs, "ratio": ratio(ours, theirs), "beside_bare": None}
    if bare is not None:
        beside = [[_at(run, path) / _at(run, bare) for run in runs] for runs in (now, then)]
        made["beside_bare"] = ratio(*beside)
    return made


def _at(run: Mapping[str, Any], path: Sequence[str]) -> float:
    found: Any = run
    for name in path:
        found = found[name]
    return float(found)


def _table(figures: Mapping[str, Any], commit: str) -> list[list[str]]:
    rows = [["", "this tree", commit, "ratio", "span of this tree"]]
    for name, figure in figures.items():
        beside = "" if figure["beside_bare"] is None else f" ({figure['beside_bare']:.2f})"
        span = f"{min(figure['now']):,.2f} to {max(figure['now']):,.2f}"
        medians = [f"{median(figure[tree]):,.2f}" for tree in ("now", "then")]
        rows.append([name.replace("_", " "), *medians, f"{figure['ratio']:.2f}{beside}", span])
    return rows


def _options() -> argparse.Namespace:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("commit", nargs="?", default="HEAD", help="what to compare with; default HEAD")
    made.add_argument("--rounds", type=int, default=4)
    made.add_argument("--seconds", type=float, default=2, help="how long each measurement lasts")
    made.add_argument("--shape", default="chain", help="a shape of `tasker bench`")
    made.add_argument("--json", action="store_true", help="print the figures as one line of JSON, after the table")
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
