"""What a run of a few minutes chooses, and that it keeps to its time."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

from chaos.budget import FIRST, SCALE_MIN, Budget, cost_s
from chaos.report import Report, Whole, kills_of
from chaos.table import ROWS

CI_MINUTES = 3


def _play(minutes: float, seed: int, slower: float = 1.0) -> tuple[list[str], float, float]:
    """The rows that run where each takes `slower` times what it should; the scale, and the seconds of it all."""
    now = 0.0
    rows = list(ROWS.values())
    budget = Budget(minutes * 60, lambda: now)
    scale, ran = budget.scale(rows), list[str]()
    for row in budget.ordered(rows, random.Random(seed)):
        if budget.allows(row, scale):
            now += (took_s := cost_s(row, scale) * slower)
            budget.took(row, scale, took_s)
            ran.append(row.name)
    assert sorted([*ran, *budget.left_out]) == sorted(ROWS)
    return ran, scale, now


def test_a_short_run_keeps_its_time_on_a_slow_machine_too() -> None:
    """Rows that do not fit are left out and named; on a machine half as fast there are fewer, and the time is kept."""
    for seed in range(50):
        for slower in (1.0, 2.0):
            ran, scale, took_s = _play(CI_MINUTES, seed, slower)
            assert scale == SCALE_MIN
            assert took_s <= CI_MINUTES * 60
            assert set(FIRST) < set(ran)
        assert len(_play(CI_MINUTES, seed)[0]) >= 4


def test_all_rows_have_their_turn() -> None:
    """Over a hundred short runs each row is played at least five times."""
    played = Counter(name for seed in range(100) for name in _play(CI_MINUTES, seed)[0])
    assert played.keys() == ROWS.keys()
    assert min(played.values()) >= 5


def test_a_longer_run_has_every_row_and_fills_its_time() -> None:
    """With half an hour nothing is left out, at a load as large as the time allows."""
    ran, scale, took_s = _play(30, 1)
    assert sorted(ran) == sorted(ROWS)
    assert scale > SCALE_MIN
    assert 0.9 * 30 * 60 < took_s <= 30 * 60


def test_a_report_counts_each_fault_and_the_kills_so_far(tmp_path: Path) -> None:
    """The sum over the rows, and with earlier reports the total."""
    rows = [Report(name, "a row", 7, 1.0, fired={"kill worker": 3, "reset": 2}) for name in ("C1", "C2")]
    whole = Whole("abc", 7, rows, left_out=["C3"])
    whole.write(tmp_path / "one.json")
    kept = json.loads((tmp_path / "one.json").read_text())
    assert kept["faults"] == {"kill worker": 6, "reset": 4}
    assert kept["left_out"] == ["C3"]
    assert kills_of(tmp_path.glob("*.json")) == 6
    assert "6 kills; with those of the reports that are kept 1,006 so far" in whole.lines(1000)
