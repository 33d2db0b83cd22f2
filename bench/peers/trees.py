"""An earlier state of this project, to be measured beside the present one."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def tree_of(commit: str) -> Generator[Path]:
    """The sources of a commit, in a folder of their own. Raises ValueError where there is no such commit."""
    with tempfile.TemporaryDirectory(prefix="tasker-watch-") as folder:
        words = ["git", "archive", commit, "src", "pyproject.toml"]
        archive = subprocess.run(words, cwd=ROOT, capture_output=True, check=False)  # noqa: S603
        if archive.returncode:
            raise ValueError(f"{commit}: {archive.stderr.decode()}")
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
            packed.extractall(folder)  # noqa: S202 - our own history
        yield Path(folder)
