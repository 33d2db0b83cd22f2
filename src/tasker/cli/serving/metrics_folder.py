"""The folder in which the processes of one server share their figures; and those that killed servers have left.

A server holds a lock on a file in its folder, as its processes do: the lock ends with the last of them, however they
end. So a folder whose lock can be had belongs to nobody, and the next start removes it.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tasker.server.metrics import SHARED_FOLDER, is_alive

PREFIX = "tasker-metrics-"
_LOCK = "in-use.lock"


@contextmanager
def shared_folder() -> Generator[Path]:
    """A folder of this server's own, removed at the end; those of servers that were killed are removed first."""
    remove_leftovers()
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = hold(folder)
        if lock is not None:
            break
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def hold(folder: Path) -> int | None:
    """Says that this process uses the folder, until the descriptor is closed; None where somebody is removing it."""
    try:
        lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if os.fstat(lock).st_nlink:  # else it was removed before it was locked
            return lock
    except BlockingIOError:
        pass
    os.close(lock)
    return None


def hold_shared() -> None:
    """A server process says that it uses the folder that it was told of, for as long as it lives."""
    folder = os.environ.get(SHARED_FOLDER)
    if folder and Path(folder).name.startswith(PREFIX):
        hold(Path(folder))


def remove_leftovers() -> None:
    """Removes this user's folders that no living process uses."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if not folder.is_symlink() and folder.is_dir() and folder.stat().st_uid == os.geteuid():
            _remove_if_left(folder)


def _remove_if_left(folder: Path) -> None:
    if not (folder / _LOCK).exists() and any(is_alive(number) for number in _writers(folder)):
        return  # of a release that had no lock
    try:
        lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:  # somebody else was first
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:  # it lives
        return
    finally:
        os.close(lock)


def _writers(folder: Path) -> set[int]:
    """The processes whose figures are there."""
    found = (re.search(r"_(\d+)\.db$", file.name) for file in folder.glob("*.db"))
    return {int(one[1]) for one in found if one is not None}
