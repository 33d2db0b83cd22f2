"""Fixtures of the command line's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_shell import TEMPLATE, Shell


@pytest.fixture
def shell(database: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Commands on the test's database."""
    monkeypatch.setenv("TASKER_DATABASE_URL", database)
    monkeypatch.delenv("TASKER_DEBUG", raising=False)
    return Shell(database, capsys, monkeypatch)


@pytest.fixture
def shop(shell: Shell, tmp_path: Path) -> Shell:
    """With the template shop/order published."""
    file = tmp_path / "order.yaml"
    file.write_text(TEMPLATE)
    shell.ok("template", "publish", file)
    return shell
