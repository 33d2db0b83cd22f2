"""What callers use: the project's shared server, and private throwaway ones."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tasker.embedded import cluster, locks, postmaster, users
from tasker.embedded.binaries import Binaries, find_binaries, usable_by
from tasker.embedded.place import (
    SYSTEM_HOME,
    Place,
    open_private_place,
    open_project_place,
    project_place,
    project_root,
)
from tasker.model.errors import EmbeddedPostgresError

_START_LOCK_S = 150.0
_WATCH_S = 1.0


@dataclass(frozen=True, slots=True)
class Status:
    """How a project's server stands. `version`, `pid` and `dsn` are None while it is down.

    `dsn` may hold a password: show it through `redact`.
    """

    is_running: bool
    is_initialised: bool
    data_dir: Path
    log_file: Path
    version: str | None
    pid: int | None
    dsn: str | None
    users: tuple[int, ...]
    """Ids of the processes that use it."""


class _Server:
    """One server as its users see it."""

    def __init__(self, place: Place, address: postmaster.Address) -> None:
        self._place = place
        self._address = address
        self._owner_pid = os.getpid()

    @property
    def dsn(self) -> str:
        """The DSN of the database `tasker`, role `tasker` (a superuser), for asyncpg, psycopg and libpq."""
        return self._address.dsn()

    @property
    def admin_dsn(self) -> str:
        """The DSN of the database `postgres`, from which `tasker` can be dropped, cloned and made anew."""
        return self._address.dsn(cluster.ADMIN_DATABASE)

    @property
    def version(self) -> str:
        """The server's version, such as `18.4`."""
        return postmaster.version(self._place)

    @property
    def data_dir(self) -> Path:
        """PostgreSQL's data folder."""
        return self._place.data

    @property
    def log_file(self) -> Path:
        """The server's log."""
        return self._place.log

    @property
    def pid(self) -> int:
        """The postmaster's process id at the last start."""
        return self._address.pid

    def __enter__(self) -> Self:
        return self


class Embedded(_Server):
    """This process's use of the project's shared server. Made by `start`."""

    _is_released = False

    def release(self) -> None:
        """Leave; the last user of the project stops the server. Again, or in a forked child, it does nothing.

        It happens by itself at the exit of the process.
        """
        with _state.lock:
            if not self._is_released and self._owner_pid == os.getpid():
                self._is_released = True
                _leave(self._place.run)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class PrivateServer(_Server):
    """A throwaway server that belongs to this process alone and dies with it. Made by `start_private`."""

    def __init__(self, place: Place, binaries: Binaries, settings: Mapping[str, str]) -> None:
        self._binaries = binaries
        self._settings = dict(settings)
        self._shell: subprocess.Popen[bytes] | None = None
        self._tie: int | None = None
        super().__init__(place, self._launch(place))
        atexit.register(self.stop)

    @property
    def is_running(self) -> bool:
        """True while any process of the server lives."""
        return postmaster.is_alive(self._place)

    def stop(self) -> None:
        """Shut down cleanly. The data stay, for `restart`."""
        if self._owner_pid == os.getpid():
            postmaster.halt(self._place)
            self._untie()

    def crash(self) -> None:
        """End all its processes with SIGKILL, as a power cut would. The data stay, for `restart`."""
        postmaster.kill(self._place)
        self._untie()

    def restart(self) -> None:
        """Stop it if it runs, and start it on the same data. Only a server without Unix sockets changes its `dsn`."""
        self.stop()
        self._address = self._launch(self._place)

    def remove(self) -> None:
        """Shut down and delete the data."""
        self.stop()
        atexit.unregister(self.stop)
        postmaster.remove_data(self._place)
        if self._place.run.parent.parent == SYSTEM_HOME:
            shutil.rmtree(self._place.run.parent, ignore_errors=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def _launch(self, place: Place) -> postmaster.Address:
        reading, writing = os.pipe()
        try:
            address, self._shell = postmaster.launch(place, self._binaries, self._settings, tie=reading)
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        locks.keep_from_children(writing)
        self._tie = writing
        return address

    def _untie(self) -> None:
        """Let the shell that watches us go."""
        if self._tie is not None:
            locks.hand_over(self._tie)
            self._tie = None
        if self._shell is not None:
            self._shell.wait()
            self._shell = None


@dataclass(slots=True)
class _Use:
    """This process's use of one shared server: its seat among the users, and how many `Embedded` share it here."""

    place: Place
    seat: users.Seat
    count: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)


class _State:
    """The shared servers that this process uses, by their run folder."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.uses: dict[Path, _Use] = {}


_state = _State()


def _forget_in_child() -> None:
    """A forked child uses nothing until it calls `start` itself."""
    _state.__init__()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


def start(root: Path | None = None) -> Embedded:
    """Start or join the server of the project (default: of `project_root()`), and be one of its users until the end.

    Blocks while the server starts: about a second the very first time. Every call wants its own `release`.
    EmbeddedPostgresError says what is in the way.
    """
    locks.require_posix()
    place = open_project_place(_root(root))
    with _state.lock, locks.locked(place.start_lock, _START_LOCK_S):
        address = _ensure_running(place)
        _use(place).count += 1
    return Embedded(place, address)


def status(root: Path | None = None) -> Status:
    """How the project's server stands. Starts and changes nothing."""
    locks.require_posix()
    place = project_place(_root(root))
    is_running = postmaster.is_alive(place)
    address = postmaster.address(place) if is_running else None
    return Status(
        is_running=is_running,
        is_initialised=cluster.data_version(place.data) is not None,
        data_dir=place.data,
        log_file=place.log,
        version=postmaster.version(place) if is_running else None,
        pid=address.pid if address else None,
        dsn=address.dsn() if address else None,
        users=tuple(users.living(place.users)),
    )


def stop(root: Path | None = None) -> bool:
    """Stop the project's server, whoever uses it. False if none was running."""
    locks.require_posix()
    place = project_place(_root(root))
    if not postmaster.is_alive(place):
        return False
    with _state.lock, locks.locked(place.start_lock, _START_LOCK_S):
        return postmaster.halt(place)


def start_private(directory: Path, *, settings: Mapping[str, str] | None = None) -> PrivateServer:
    """Start a server of this process's own, its data in `directory`; as a context manager it removes them at the end.

    `settings` are PostgreSQL's own, such as `{"fsync": "off"}`. The server ends with this process, however that ends.
    Run by root, the data lie below /var/lib/tasker where the server's account cannot enter `directory`.
    """
    locks.require_posix()
    place = open_private_place(directory)
    settings = settings or {}
    with locks.locked(place.start_lock, _START_LOCK_S):
        postmaster.halt(place)
        binaries = _prepare(place, sync=settings.get("fsync") != "off")
        return PrivateServer(place, binaries, settings)


def _root(root: Path | None) -> Path:
    return project_root() if root is None else root.resolve()


def _ensure_running(place: Place) -> postmaster.Address:
    """The address of the server, which is started if none answers. Call it with the start lock held."""
    users.remove_dead(place.users)
    address = postmaster.adopt(place)
    if address is None:
        postmaster.halt(place)
        address, _ = postmaster.launch(place, _prepare(place), {})
    return address


def _prepare(place: Place, *, sync: bool = True) -> Binaries:
    """The programs for the place's data, which are made where there are none."""
    version = cluster.data_version(place.data)
    binaries = _binaries_for(version)
    cluster.require_same_major(place.data, binaries)
    binaries = usable_by(place.account, binaries, SYSTEM_HOME / "bin")
    if version is None:
        cluster.create_cluster(place, binaries, sync=sync)
    return binaries


def _binaries_for(version: str | None) -> Binaries:
    """Those of the data's version where there are any; else the best there are, so that the error can name both."""
    if version is not None:
        with contextlib.suppress(EmbeddedPostgresError):
            return find_binaries(version)
    return find_binaries()


def _use(place: Place) -> _Use:
    """This process's use of the server. Its seat is taken anew if somebody deleted the folder it was in."""
    use = _state.uses.get(place.run)
    if use is None:
        use = _state.uses[place.run] = _Use(place, users.sit(place.users))
        threading.Thread(target=_watch, args=(use,), name="tasker postgres", daemon=True).start()
    elif not use.seat.file.exists():
        locks.unlock(use.seat.descriptor)
        use.seat = users.sit(place.users)
    return use


def _watch(use: _Use) -> None:
    """Starts the server again when it has died; one that somebody stopped stays as it is. Its address is the same."""
    while not use.is_over.wait(_WATCH_S):
        if postmaster.has_crashed(use.place):
            with contextlib.suppress(EmbeddedPostgresError, OSError), _state.lock:
                if not use.is_over.is_set():
                    with locks.locked(use.place.start_lock, _START_LOCK_S):
                        _ensure_running(use.place)


def _leave(run: Path) -> None:
    with _state.lock:
        use = _state.uses.get(run)
        if use is None:  # the exit of the process was quicker
            return
        use.count -= 1
        if use.count == 0:
            _leave_for_good(_state.uses.pop(run))


def _leave_for_good(use: _Use) -> None:
    use.is_over.set()
    if not use.place.run.exists():  # the project was deleted, and its server ends by itself
        locks.unlock(use.seat.descriptor)
        return
    with locks.locked(use.place.start_lock, _START_LOCK_S):
        users.rise(use.seat)
        if not users.living(use.place.users):
            postmaster.halt(use.place)


def _leave_all() -> None:
    with _state.lock:
        while _state.uses:
            _leave_for_good(_state.uses.popitem()[1])


atexit.register(_leave_all)
