"""Taskers on the test's database, and the fixtures of the pytest plugin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from events_support import Begin

from tasker import Settings, Tasker
from tasker.testing.plugin import tasker_database, tasker_databases, workflow

__all__ = ["tasker_database", "tasker_databases", "workflow"]


@pytest.fixture
async def begin(database: str, tmp_path: Path) -> AsyncIterator[Begin]:
    """Starts a Tasker with a template, as text, and with handlers and subscribers."""
    started: list[Tasker] = []

    async def start(text: str | None, *handlers: Any, **options: Any) -> Tasker:
        files: list[Path] = []
        if text is not None:
            files.append(tmp_path / f"template_{len(started)}.yaml")
            files[-1].write_text(text)
        settings = Settings(beat_s=0.2, sweep_s=0.1, poll_s=0.05, lease_s=options.pop("lease_s", 15))  # pyright: ignore[reportCallIssue]
        made = Tasker(database, templates=files, handlers=handlers, settings=settings, **options)
        started.append(made)
        await made.start()
        return made

    yield start
    for one in reversed(started):
        await one.stop(0)
