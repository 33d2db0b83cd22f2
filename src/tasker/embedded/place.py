"""Where the parts of one server lie.

A normal user's: `<project>/.tasker/postgres` and `<project>/.tasker/run`, the socket in `/tmp/tasker-<uid>-<hash>`
because a socket's path may have 103 bytes. Root's: all of it in `/var/lib/tasker/<hash of the project's path>`, since
the account that runs PostgreSQL often may not enter the project.

The socket is not put below XDG_RUNTIME_DIR: that folder is removed when the user logs out, and a worker left running
would lose its server.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tasker.embedded import account as accounts
from tasker.embedded.account import Account
from tasker.embedded.locks import is_locked, locked
from tasker.embedded.notes import write_notes
from tasker.model.errors import EmbeddedPostgresError

SYSTEM_HOME = Path("/var/lib/tasker")
PORT = 5432
_MARKS = (".tasker", "tasker.toml", "pyproject.toml", ".git")
_SOCKET_PATH_MAX = 103
_SYSTEM_LOCK_S = 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of one server: `data` (PostgreSQL's own), `run` (locks and users, ours alone)."""

    data: Path
    run: Path
    sockets: Path | None
    """The folder for the socket where it is fixed; None: a short one is found below /tmp."""

    @property
    def account(self) -> Account:
        """Who runs the server and owns the data."""
        return accounts.account_for(self.data)

    @property
    def start_lock(self) -> Path:
        """Held by whoever starts, joins, leaves or stops."""
        return self.run / "start.lock"

    @property
    def server_lock(self) -> Path:
        """Held by every process of the server."""
        return self.run / "server.lock"

    @property
    def users(self) -> Path:
        """One locked file for each process that uses the server."""
        return self.run / "users"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.data / "postgres.log"

    def prepare(self) -> None:
        """Make the folders that are missing. EmbeddedPostgresError where they cannot be made or are another's."""
        for folder in (self.run, self.users):
            make_own(folder, 0o700)

    def is_socket_folder(self, folder: Path) -> bool:
        """True if the folder is one of those that `socket_folders` makes."""
        return folder == self.sockets or (self.sockets is None and folder.name.startswith(self._socket_name()))

    def socket_folders(self) -> Iterator[Path]:
        """Private folders for the socket, made as they are asked for: the account's own, closed to everybody else.

        The first is the same at each start, so that the DSN is. The last has a new name each time, for when the first
        is taken: the running server's folder is on record, so any will do. There may be none.
        """
        if self.sockets is not None:
            _make_for(self.sockets, self.account)
            yield self.sockets
            return
        name = self._socket_name()
        for base in _temporary_folders():
            if _fits(base / name) and _make_private(base / name):
                yield base / name
        for base in _temporary_folders():
            if _fits(base / f"{name}-12345678"):
                with contextlib.suppress(OSError):  # a folder that is full or read-only: there may be another
                    yield Path(tempfile.mkdtemp(prefix=f"{name}-", dir=base))

    def _socket_name(self) -> str:
        return f"tasker-{os.geteuid()}-{digest(self.data)}"


def project_root(start: Path | None = None) -> Path:
    """The nearest folder at or above `start` (default: the current one) that has one of `_MARKS`.

    Where there is none, `start` itself.
    """
    try:
        here = (start or Path.cwd()).resolve()
    except FileNotFoundError as error:
        raise EmbeddedPostgresError("The current folder no longer exists. Change to one that does.") from error
    for folder in (here, *here.parents):
        if any(os.path.exists(folder / mark) for mark in _MARKS):  # Path.exists would fail below a closed folder
            return folder
    return here


def project_place(root: Path) -> Place:
    """Where the project's shared server lies. Makes nothing."""
    if not accounts.is_root():
        home = root / ".tasker"
        if os.path.lexists(home):
            _require_own(home)
        return Place(home / "postgres", home / "run", None)
    home = SYSTEM_HOME / digest(root)
    return Place(home / "postgres", home / "run", home / "socket")


def open_project_place(root: Path) -> Place:
    """The project's place with its folders made, and the notes in `.tasker`."""
    if accounts.is_root():
        _open_system_home(SYSTEM_HOME / digest(root), root)
        # A project that root cannot write to does not hinder a server that lies elsewhere.
        with contextlib.suppress(OSError):
            write_notes(root, project_place(root).data)
    else:
        make_own(root / ".tasker", 0o755)
        write_notes(root, project_place(root).data)
    place = project_place(root)
    place.prepare()
    return place


def open_private_place(directory: Path) -> Place:
    """A place of its own inside `directory`; for root, where the account cannot enter that, below /var/lib/tasker."""
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    if not accounts.is_root():
        place = Place(directory / "postgres", directory / "run", None)
    else:
        home = SYSTEM_HOME / f"private-{digest(directory)}"
        _open_system_home(home, directory)
        _remove_abandoned()
        data = (directory if accounts.service_account().can_enter(directory) else home) / "postgres"
        place = Place(data, home / "run", home / "socket")
    place.prepare()
    return place


def digest(path: Path) -> str:
    """Twelve hexadecimal digits for a path."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def make_own(folder: Path, mode: int) -> None:
    """Make the folder if it is missing; EmbeddedPostgresError if it is not a folder of this process's account."""
    try:
        folder.mkdir(mode=mode)
        folder.chmod(mode)
    except FileExistsError:
        pass
    except OSError as error:
        raise EmbeddedPostgresError(
            f"{folder} cannot be made ({error.strerror}), and the embedded PostgreSQL keeps its data there. "
            "Run from a folder that you may write to (root needs /var/lib), or set TASKER_DATABASE_URL."
        ) from error
    _require_own(folder)


def _require_own(folder: Path) -> None:
    found = folder.stat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise EmbeddedPostgresError(
            f"{folder} belongs to another account (uid {found.st_uid}; this process is uid {os.geteuid()}). "
            "Run as that account, run from a folder of your own, or set TASKER_DATABASE_URL."
        )


def sockets_work(folder: Path) -> bool:
    """True if a Unix socket can be made in the folder: some file systems and systems have none."""
    if not hasattr(socket, "AF_UNIX"):
        return False
    probe = folder / f".probe-{os.getpid()}"
    try:
        with socket.socket(socket.AF_UNIX) as trial:
            trial.bind(str(probe))
    except OSError:
        return False
    finally:
        probe.unlink(missing_ok=True)
    return True


def _open_system_home(home: Path, origin: Path) -> None:
    make_own(SYSTEM_HOME, 0o755)
    if stat.S_IMODE(SYSTEM_HOME.stat().st_mode) & 0o022:
        raise EmbeddedPostgresError(f"{SYSTEM_HOME} is writable for others: close it (chmod go-w), or remove it.")
    make_own(home, 0o755)
    note = home / "origin"
    if not note.exists():
        note.write_bytes(os.fsencode(origin) + b"\n")
    with locked(SYSTEM_HOME / "lock", _SYSTEM_LOCK_S):
        accounts.service_account()


def _remove_abandoned() -> None:
    """Remove what private servers left here whose process was killed and whose directory is gone."""
    for home in SYSTEM_HOME.glob("private-*"):
        with contextlib.suppress(FileNotFoundError):  # another process removes it too
            directory = Path(os.fsdecode((home / "origin").read_bytes().removesuffix(b"\n")))
            if not directory.exists() and not is_locked(home / "run" / "server.lock"):
                shutil.rmtree(home, ignore_errors=True)


def _temporary_folders() -> list[Path]:
    """Short ones first. Whoever may write there too is kept out of the folders made in them."""
    folders = [Path("/tmp")]  # noqa: S108
    with contextlib.suppress(FileNotFoundError):  # no folder on this system can be written
        folders.append(Path(tempfile.gettempdir()))
    return folders


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder / f".s.PGSQL.{PORT}")) <= _SOCKET_PATH_MAX


def _make_private(folder: Path) -> bool:
    """Make the folder, or accept it if it is ours and closed to others. A link or another's folder is refused."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
    except OSError:
        return False
    return True


def _make_for(folder: Path, account: Account) -> None:
    """Make a closed folder for the account inside one that only root can change."""
    if folder.exists() and folder.lstat().st_uid != account.uid:
        folder.rename(folder.with_name(f"{folder.name}.old-{os.urandom(4).hex()}"))
    if not folder.exists():
        folder.mkdir(mode=0o700)
        account.own(folder)
