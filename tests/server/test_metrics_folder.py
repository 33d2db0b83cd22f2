"""The folder of shared figures: what killed servers have left is removed, and never what is in use."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tasker.cli.serving.metrics_folder import PREFIX, hold, remove_leftovers, shared_folder
from tasker.server.metrics import forget_the_dead


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The machine's folder of temporary files, for this test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _dead() -> int:
    """The number of a process that is no more."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_a_folder_goes_with_its_server(temporary: Path) -> None:
    """It is there while the server is, however many others start, and is gone after it."""
    with shared_folder() as first:
        with shared_folder() as second:
            assert first.is_dir() and second.is_dir() and first != second
        assert first.is_dir() and not second.exists()
    assert list(temporary.iterdir()) == []


def test_what_a_killed_server_left_is_removed(temporary: Path) -> None:
    """A folder whose processes are all killed is nobody's; with one process of its server alive it stays."""
    started = multiprocessing.get_context("spawn")
    ours, theirs = started.Pipe()
    process = started.Process(target=_use, args=(str(temporary), theirs))
    process.start()
    folder = Path(ours.recv())
    remove_leftovers()
    assert folder.is_dir()
    lock = hold(folder)
    assert lock is not None
    process.kill()
    process.join()
    remove_leftovers()
    assert folder.is_dir()
    os.close(lock)
    remove_leftovers()
    assert not folder.exists()


def _use(temporary: str, told: object) -> None:
    """A server, until it is killed."""
    tempfile.tempdir = temporary
    with shared_folder() as folder:
        told.send(str(folder))  # type: ignore[attr-defined]
        told.poll(None)  # type: ignore[attr-defined]


def test_folders_of_older_releases_go_with_their_processes(temporary: Path) -> None:
    """Without a lock those count whose figures are in it."""
    living, left, empty = (temporary / f"{PREFIX}{name}" for name in ("living", "left", "empty"))
    for folder, number in ((living, os.getpid()), (left, _dead())):
        folder.mkdir()
        (folder / f"counter_{number}.db").touch()
    empty.mkdir()
    remove_leftovers()
    assert [folder.exists() for folder in (living, left, empty)] == [True, False, False]


def test_what_is_no_folder_of_ours_stays(temporary: Path) -> None:
    """A link is not followed, and a file is no folder."""
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    (temporary / f"{PREFIX}link").symlink_to(elsewhere)
    (temporary / f"{PREFIX}file").touch()
    remove_leftovers()
    assert (elsewhere / "kept").exists() and (temporary / f"{PREFIX}file").exists()


def test_who_comes_late_makes_another(temporary: Path) -> None:
    """A folder that is being removed while its server begins to hold it is not held."""
    folder = temporary / f"{PREFIX}gone"
    assert hold(folder) is None


def test_what_the_dead_had_under_way_is_over(tmp_path: Path) -> None:
    """Figures of what is open go with their process; what was counted stays."""
    dead, files = _dead(), ("gauge_livesum", "counter", "histogram")
    for name in files:
        (tmp_path / f"{name}_{dead}.db").touch()
        (tmp_path / f"{name}_{os.getpid()}.db").touch()
    forget_the_dead(tmp_path)
    left = {file.name for file in tmp_path.iterdir()}
    assert f"gauge_livesum_{dead}.db" not in left
    assert len(left) == 5
