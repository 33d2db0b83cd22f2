"""One PostgreSQL for a whole test run, shared by the processes of pytest-xdist.

The first process that needs it starts it and is the last to leave: the others hold a shared lock while they use it, and
the starter waits for that lock before it stops the server. A lock ends with its process, so a crash leaves nothing that
the next run could not clear away.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tasker.embedded import PrivateServer, start_private

SETTINGS = {
    "tasker.test_clock": "on",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
    "log_lock_waits": "on",
}
_PREFIX = "tasker-tests-"
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder in memory, ours alone is made below it
_MEMORY_NEEDED = 2 * 1024**3


@contextmanager
def shared_server(meeting_place: Path) -> Generator[str]:
    """The DSN of the run's server. Processes that name the same meeting place share one."""
    meeting_place.mkdir(parents=True, exist_ok=True)
    note = meeting_place / "server.json"
    with (meeting_place / "start.lock").open("w") as start_lock, (meeting_place / "users.lock").open("w") as users_lock:
        fcntl.flock(start_lock, fcntl.LOCK_EX)
        started = None if note.exists() else _start()
        if started is None:
            fcntl.flock(users_lock, fcntl.LOCK_SH)
        else:
            note.write_text(json.dumps(started[0].admin_dsn))
        fcntl.flock(start_lock, fcntl.LOCK_UN)
        try:
            yield json.loads(note.read_text())
        finally:
            if started is None:
                fcntl.flock(users_lock, fcntl.LOCK_UN)
            else:
                # Who comes now waits, finds no note, and starts a server anew.
                fcntl.flock(start_lock, fcntl.LOCK_EX)
                fcntl.flock(users_lock, fcntl.LOCK_EX)
                note.unlink()
                _remove(*started)


def _start() -> tuple[PrivateServer, Path]:
    home = _home()
    _remove_leftovers(home)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=home))
    folder.chmod(0o755)
    lock = os.open(folder / "alive.lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return start_private(folder / "server", settings=SETTINGS), folder


def _remove(server: PrivateServer, folder: Path) -> None:
    server.remove()
    shutil.rmtree(folder, ignore_errors=True)


def _home() -> Path:
    """Memory where there is enough of it: a database is cloned in a tenth of the time that a disk takes."""
    if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _MEMORY_NEEDED:
        return _MEMORY
    return Path(tempfile.gettempdir())


def _remove_leftovers(home: Path) -> None:
    """Folders of runs that were killed: nobody holds their lock any more."""
    for folder in home.glob(f"{_PREFIX}*"):
        try:
            with (folder / "alive.lock").open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue
