"""A plugin of pytest for CI: a test that is skipped because a component is missing has failed.

On a laptop such a test may be skipped, loudly. In CI it would be a test that nobody runs. scripts/check.sh loads this
with `-p ci_skips` when CI=1.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

import pytest

_MISSING = re.compile(r"not installed|no PostgreSQL in")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turns such a skip into a failure."""
    report = yield
    reason: Any = report.longrepr[-1] if isinstance(report.longrepr, tuple) else ""
    if report.skipped and _MISSING.search(str(reason)):
        report.outcome = "failed"
        report.longrepr = f"in CI nothing may be missing: {reason}"
    return report
