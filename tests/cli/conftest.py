"""Fixtures of the command line's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_shell import TEMPLATE, Shell
from support.serving import served

from tasker import Tasker

TWO_DOORS = {
    "test_analytics_commands",
    "test_batch_commands",
    "test_breaker_commands",
    "test_discovery_commands",
    "test_event_commands",
    "test_fleet_commands",
    "test_rerun_and_bulk_commands",
    "test_dlq_commands",
    "test_task_commands",
    "test_template_commands",
    "test_why_command",
}
"""Their commands work on a database and on a server, and are the same on both."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests of commands that have two doors run through each."""
    if "shell" in metafunc.fixturenames and metafunc.module.__name__ in TWO_DOORS:
        metafunc.parametrize("shell", ["database", "server"], indirect=True)


@pytest.fixture
def shell(
    request: pytest.FixtureRequest,
    database: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Shell]:
    """Commands on the test's database, or on a server of it."""
    for name in ("TASKER_DEBUG", "TASKER_URL", "TASKER_PROFILE", "TASKER_API_KEY", "TASKER_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    if getattr(request, "param", "database") == "database":
        monkeypatch.setenv("TASKER_DATABASE_URL", database)
        yield Shell(database, capsys, monkeypatch)
        return
    with served(lambda: Tasker(database, worker=False).asgi()) as serving:
        monkeypatch.setenv("TASKER_URL", serving.url)
        yield Shell(database, capsys, monkeypatch)


@pytest.fixture
def shop(shell: Shell, tmp_path: Path) -> Shell:
    """With the template shop/order published."""
    file = tmp_path / "order.yaml"
    file.write_text(TEMPLATE)
    shell.ok("template", "publish", file)
    return shell
