"""Workflows as users write them: YAML text, plain handlers, a real worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from workflow_history import Begin

from tasker import Settings, Tasker


@pytest.fixture
async def begin(database: str, tmp_path: Path) -> AsyncIterator[Begin]:
    """Starts a Tasker with these templates, as texts, and these handlers."""
    started: list[Tasker] = []

    async def start(texts: str | list[str], handlers: Any, **options: Any) -> Tasker:
        files: list[Path] = []
        for text in [texts] if isinstance(texts, str) else texts:
            files.append(tmp_path / f"template_{len(started)}_{len(files)}.yaml")
            files[-1].write_text(text)
        settings = Settings(beat_s=0.2, sweep_s=0.1, poll_s=0.05, drain_s=5)  # pyright: ignore[reportCallIssue]
        tasker = Tasker(database, templates=files, handlers=handlers, settings=settings, **options)
        started.append(tasker)
        await tasker.start()
        return tasker

    yield start
    for tasker in reversed(started):
        await tasker.stop(0)
