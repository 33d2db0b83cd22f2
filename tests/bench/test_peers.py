"""The comparison with other engines: what is written down is read back as it was, and a driver runs what it is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import orjson
import pytest

ROOT = Path(__file__).parents[2]
PEERS = ROOT / "bench" / "peers"
MODULES = (
    "against",
    "cells",
    "killing",
    "ledger",
    "machine",
    "page",
    "page_texts",
    "plots",
    "results",
    "roster",
    "run",
    "scene_tools",
)


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """The modules of the folder by name, found for one test."""
    from importlib import import_module

    monkeypatch.syspath_prepend(str(PEERS))
    return {name: import_module(name) for name in MODULES}


def lines(cell: str, figure: str, values: dict[str, list[float]]) -> list[bytes]:
    """A run's lines of one cell: of each peer the figures of its repeats."""
    machine = {
        "cores": 2,
        "cpu": "some",
        "memory_gib": 8,
        "system": "Linux",
        "python": "3.11",
        "load_at_start": [0, 0, 0],
    }
    known = {name: {"version": "1.0", "not_run": None} for name in values}
    run = {"date": "2026-01-02", "repeats": 3, "is_small": True, "machine": machine, "postgres": "18.1", "peers": known}
    costs = {"cpu_s": 0.5, "commits": 12.0, "wal_bytes": 900.0, "statements": None}
    found = [
        {"peer": name, "cell": cell, "repeat": number, "figures": {figure: value}, "costs": costs, "took_s": 90.0}
        for name, figures in values.items()
        for number, value in enumerate(figures, 1)
    ]
    return [orjson.dumps(line) for line in ({"run": run}, *found)]


def test_the_page_says_who_is_ahead_and_what_could_not_be_expressed(
    peers: dict[str, ModuleType], tmp_path: Path
) -> None:
    """Medians with their spread, the ratio to the best other, and why a peer has no figure, all stand there."""
    wanted = {"tasker": [4.0, 5.0, 9.0], "restate": [2.0, 2.5, 3.0]}
    (tmp_path / "run.jsonl").write_bytes(b"\n".join(lines("S1 chain", "p50_ms", wanted)))
    assert peers["page"].main([str(tmp_path / "run.jsonl"), "--docs", str(tmp_path)]) == 0
    text = (tmp_path / "benchmarks.md").read_text()
    assert "5.00 (4.00 to 9.00)" in text
    assert "| A chain of 4, alone: 2 times as good as the best other | 0.500 | **missed** |" in text
    assert "**A chain of 4, alone**: Restate, Python SDK, 2.00 times as good" in text
    assert "none: no graphs of steps" in text
    assert "on 2026-01-02 in 9 minutes" in text
    assert "Minutes of each part: S1 9.0." in text
    assert "| 0.500 | 12.0 | 900 |  |" in text
    assert "<svg" in (tmp_path / "benchmarks" / "s1-chain.svg").read_text()


def test_a_small_trial_is_no_page_of_the_documentation(peers: dict[str, ModuleType], tmp_path: Path) -> None:
    """Figures of a trial are refused where readers would take them for measurements."""
    (tmp_path / "run.jsonl").write_bytes(b"\n".join(lines("S1 chain", "p50_ms", {"tasker": [1.0]})))
    assert peers["page"].main([str(tmp_path / "run.jsonl")]) == 1


def test_the_page_is_what_the_newest_results_make_of_it(peers: dict[str, ModuleType], tmp_path: Path) -> None:
    """Nobody has edited the page or its plots, and no results lie there that it does not show."""
    assert peers["page"].main(["--docs", str(tmp_path)]) == 0
    for file in tmp_path.rglob("*.*"):
        kept = ROOT / "docs" / file.relative_to(tmp_path)
        assert kept.read_text() == file.read_text(), f"make {kept.name} again: python bench/peers/page.py"


def test_every_reason_names_a_cell(peers: dict[str, ModuleType]) -> None:
    """What a peer cannot do is said of cells and scenarios that there are, and each program and requirement exists."""
    cells = peers["cells"].CELLS
    names = {cell.name for cell in cells} | {cell.scenario for cell in cells}
    assert (
        {cell.scenario for cell in cells}
        == {f"S{number}" for number in range(1, 12)}
        == set(peers["page_texts"].SCENARIOS)
    )
    for entrant in peers["roster"].ENTRANTS:
        assert set(entrant.cannot) <= names, entrant.name
        assert (PEERS / entrant.program).exists()
        assert entrant.environment == "tasker" or (PEERS / "requirements" / f"{entrant.environment}.txt").exists()


def test_all_of_it_is_over_within_an_hour(peers: dict[str, ModuleType]) -> None:
    """What is estimated before a run of five repeats begins stays below what we promise."""
    parts = peers["run"].estimate(peers["roster"].ENTRANTS, peers["cells"].CELLS, 5)
    assert set(parts) == set(peers["page_texts"].SCENARIOS)
    assert sum(parts.values()) < 3600


def test_a_commit_is_compared_by_medians(peers: dict[str, ModuleType]) -> None:
    """A ratio above 1 means that this tree is better, whether less is or more."""
    cells = [cell for cell in peers["cells"].CELLS if cell.name in ("S1 chain", "S2 2 workers")]
    found = {
        "S1 chain": {"now": [2.0, 3.0, 90.0], "then": [6.0]},
        "S2 2 workers": {"now": [200.0], "then": [100.0, 100.0, 9.0]},
    }
    _, alone, saturated = peers["against"].compared(cells, found)
    assert "3.00 (2.00 to 90.0)" in alone
    assert [line.split("   ")[-1].split()[0] for line in (alone, saturated)] == ["2.00", "2.00"]


def test_recovery_is_told_from_what_the_steps_wrote(peers: dict[str, ModuleType], tmp_path: Path) -> None:
    """A step that a dead process had begun counts until another begins it, and is None if none does."""
    entry, killing = peers["ledger"].Entry, peers["killing"]
    begun, ended = peers["ledger"].BEGUN, peers["ledger"].ENDED
    entries = [
        entry(1, 1, 0, begun, 7),
        entry(2, 1, 0, ended, 7),
        entry(3, 1, 1, begun, 7),
        entry(2_000_000_004, 1, 1, begun, 8),
        entry(2_000_000_005, 1, 1, ended, 8),
        entry(2_000_000_006, 1, 0, ended, 8),
    ]
    assert killing.continued_s(entries, 7, 4) == 2.0
    assert killing.continued_s(entries[:3], 7, 4) is None
    assert killing.continued_s(entries, 9, 4) == 0.0
    assert killing.doubled(entries) == 1


def test_processor_time_counts_what_runs_below(peers: dict[str, ModuleType]) -> None:
    """Time that a child's child has spent is its root's, and that of others is not."""
    burn = "import time\nwhile time.process_time() < 0.2: pass\nprint('done', flush=True)\ninput()"
    outer = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])"
    with subprocess.Popen([sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == b"done\n"
        assert peers["machine"].cpu_seconds({process.pid}) >= 0.2
        assert peers["machine"].cpu_seconds({2**22 + 1}) == 0
        process.stdin.write(b"\n")
        process.stdin.close()


def test_a_driver_runs_every_step_of_the_tasks_that_it_was_given(empty_database: str, tmp_path: Path) -> None:
    """The driver says ready, hears go, and its figures, its store and the steps' own ledger agree."""
    plan = {
        "scene": "alone",
        "shape": "diamond",
        "workers": 0,
        "seconds": 0.01,
        "tasks_max": 3,
        "dsn": empty_database,
        "ledger": str(tmp_path / "ledger"),
        "folder": str(tmp_path),
    }
    command = [sys.executable, str(PEERS / "tasker_peer.py"), orjson.dumps(plan).decode()]
    done = subprocess.run(command, input=b"go\nstop\n", capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    ready, found = (orjson.loads(line) for line in done.stdout.splitlines())
    assert ready == {"ready": True}
    assert (found["figures"]["tasks"], found["figures"]["steps"]) == (3, 12)
    warm = 8
    assert (tmp_path / "ledger").stat().st_size == (warm + 3) * 4 * 20
