"""The page of security controls names code and tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/decisions/controls.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:src|tests)/[\w./]+(?:::\w+)?)`", PAGE)))


@pytest.mark.parametrize("place", NAMED)
def test_what_the_page_names_is_there(place: str) -> None:
    """A file or folder, and in a file of tests the test."""
    path, _, name = place.partition("::")
    assert (ROOT / path).exists()
    assert not name or f"def {name}(" in (ROOT / path).read_text()


def test_each_control_has_a_test() -> None:
    """No row of the table is without one."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "src/tasker" in line]
    assert len(rows) > 20
    assert all("`tests/" in row.split("|")[3] for row in rows)
