"""The comparison with a commit: a ratio above 1 means that this tree is better, whatever the figure."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program."""
    monkeypatch.syspath_prepend(str(BENCH))
    return import_module("watch")


def run(steps: float, alone_ms: float, bare_steps: float = 1000, bare_ms: float = 1) -> dict[str, Any]:
    """What `tasker bench` says, as far as it is compared."""
    return {
        "steps_per_second": steps,
        "submit_per_second": 100,
        "latency_ms": {"p50": alone_ms},
        "bare": {"steps_per_second": bare_steps, "submit_per_second": 100, "chain_p50_ms": bare_ms},
        "wal_bytes_per_step": 1000,
        "statements_per_step": 0.1,
    }


def test_better_is_above_one(watch: ModuleType) -> None:
    """Medians: more steps a second, and fewer milliseconds, are both a ratio above 1."""
    found = watch.compared({"now": [run(200, 5), run(220, 4), run(10, 90)], "then": [run(100, 10)]})
    assert found["steps_per_second"]["ratio"] == 2
    assert found["alone_p50_ms"]["ratio"] == 2
    assert found["wal_bytes_per_step"]["ratio"] == 1


def test_a_busy_machine_is_seen_beside_the_bare_engine(watch: ModuleType) -> None:
    """Where the machine was half as fast in all runs of one tree, the bare engine was too, and says so."""
    found = watch.compared({"now": [run(50, 20, 500, 2)], "then": [run(100, 10, 1000, 1)]})
    assert (found["steps_per_second"]["ratio"], found["steps_per_second"]["beside_bare"]) == (0.5, 1)
    assert (found["alone_p50_ms"]["ratio"], found["alone_p50_ms"]["beside_bare"]) == (0.5, 1)


def test_a_commit_that_there_is_not() -> None:
    """It is named, and nothing is measured."""
    words = [sys.executable, str(BENCH / "watch.py"), "nonsense"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "nonsense" in done.stderr
    assert not done.stdout
