"""docs/chaos.md says what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

from chaos.checker import INVARIANTS
from chaos.mutants import MUTANTS
from chaos.rows_work import POINTS
from chaos.table import ROWS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "chaos.md").read_text()
RESULTS = ROOT / "bench" / "results" / "chaos"


def _named(letter: str) -> list[str]:
    described = PAGE.partition("## So far")[0]
    return re.findall(rf"^\| ({letter}\d+) \|", described, re.MULTILINE)


def test_the_page_has_every_row_invariant_and_mutant() -> None:
    """Each row of the program, each invariant and each mutant stands in its table, and nothing else does."""
    assert _named("C") == list(ROWS)
    assert _named("I") == [f"I{number}" for number in range(1, 18)]
    assert set(_named("I")) >= INVARIANTS.keys()
    assert _named("M") == [*MUTANTS, "M16"]
    assert f"**C3** has {len(POINTS)} points" in PAGE


def test_the_kills_so_far_are_those_of_the_reports() -> None:
    """The total that the page says is the sum of the reports that are kept, none of which has a violation."""
    reports = [json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json"))]
    assert sum(report["violations"] for report in reports) == 0
    assert f"{sum(report['kills'] for report in reports):,} kills" in PAGE
