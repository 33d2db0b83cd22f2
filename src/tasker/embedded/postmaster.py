"""One server on one data folder: launch, adopt, stop. Every function is called with the start lock held."""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tasker.embedded import cluster, locks
from tasker.embedded.binaries import Binaries
from tasker.embedded.dsn import loopback_dsn, socket_dsn
from tasker.embedded.place import PORT, Place, sockets_work
from tasker.model.errors import EmbeddedPostgresError

READY_S = 120.0
_KILL_S = 5.0
_GONE_S = 2.0
"""How long a server that nobody can reach, or whose postmaster is gone, may take to end or to appear."""
_FAST_STOP_S = 60.0
_PROBE_S = 2.0
_POLL_S = 0.005
_LOG_MAX_BYTES = 10_000_000
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)

# $0 is the socket's folder. The shell's input is a pipe or nothing; its output is the server's lock, which the server
# gets as descriptor 3; what it has to complain about goes to the log, as the server's own words do.
_SPAWN = 'exec 2>>"$1"; shift; "$@" 3>&1 1>&2 </dev/null & '
_SPAWN_TIED = _SPAWN + 'exec >&- 2>/dev/null; read -r _; kill -QUIT "$!"; wait; rmdir -- "$0"'


Answer = Literal["alive", "silent", "gone"]
"""`silent`: somebody listens and is too busy, or frozen; `gone`: nobody listens there."""


@dataclass(frozen=True, slots=True)
class Address:
    """How a running server is reached."""

    port: int
    socket_folder: str
    """Empty: TCP on the loopback, with the password."""
    password: str
    pid: int

    def dsn(self, database: str = cluster.DATABASE) -> str:
        """A DSN that asyncpg, psycopg and libpq understand."""
        if self.socket_folder:
            return socket_dsn(cluster.ROLE, database, self.socket_folder, self.port)
        return loopback_dsn(cluster.ROLE, self.password, database, self.port)

    def probe(self) -> Answer:
        """Ask the server for a sign of life."""
        with socket.socket(socket.AF_UNIX if self.socket_folder else socket.AF_INET) as link:
            link.settimeout(_PROBE_S)
            try:
                file = f"{self.socket_folder}/.s.PGSQL.{self.port}"
                link.connect(file if self.socket_folder else ("127.0.0.1", self.port))
                link.sendall(_SSL_REQUEST)
                return "alive" if link.recv(1) else "silent"
            except (FileNotFoundError, ConnectionRefusedError):
                return "gone"
            except OSError:
                return "silent"


@dataclass(frozen=True, slots=True)
class _PidFile:
    """What postmaster.pid says. PostgreSQL writes it line by line while it starts."""

    pid: int
    port: int
    socket_folder: str
    is_ready: bool


def is_alive(place: Place) -> bool:
    """True while any process of the server lives."""
    return locks.is_locked(place.server_lock)


def has_crashed(place: Place) -> bool:
    """True when the server died and nobody stopped it: one that is stopped takes its pid file with it."""
    return _read_pid_file(place) is not None and not is_alive(place)


def address(place: Place) -> Address | None:
    """Where the server listens, once it says that it is ready."""
    found = _read_pid_file(place)
    if found is None or not found.is_ready:
        return None
    return Address(found.port, found.socket_folder, "" if found.socket_folder else _password(place), found.pid)


def version(place: Place) -> str:
    """The version of the server that was started last (`18.4`), empty where none was."""
    try:
        return str(json.loads((place.run / "server.json").read_text())["version"])
    except (OSError, ValueError, KeyError):
        return cluster.data_version(place.data) or ""


def adopt(place: Place, patience_s: float = _GONE_S) -> Address | None:
    """The address of the server that lives, waiting while it starts or recovers; None if it is dead or unreachable.

    One that is merely silent is waited for, since others may be at work on it.
    """
    deadline = time.monotonic() + READY_S
    hopeless_at = time.monotonic() + patience_s
    while is_alive(place):
        found = address(place)
        answer = found.probe() if found else "gone"
        if answer == "alive":
            return found
        if answer == "silent" or (found is None and _living_pid(place) is not None):
            hopeless_at = time.monotonic() + patience_s
        if time.monotonic() > hopeless_at:
            return None
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"The server of {place.data} does not answer for {READY_S:.0f} s. Its log is {place.log}; "
                "`tasker db stop` ends it."
            )
        time.sleep(_POLL_S)
    return None


def launch(
    place: Place, binaries: Binaries, settings: Mapping[str, str], tie: int | None = None
) -> tuple[Address, subprocess.Popen[bytes] | None]:
    """Start a server on data that exist and whose last server is gone; returns when it is ready.

    With `tie`, the reading end of a pipe, the server ends when the pipe's other end closes: the process returned is the
    shell that sees to this, and stays the caller's to wait for.
    """
    _clear_remains(place)
    folder = _free_socket_folder(place)
    listen = _socket_options(folder) if folder else _loopback_options(place, binaries)
    options = [word for name, value in {**settings, **listen}.items() for word in ("-c", f"{name}={value}")]
    log_start = _rotate_log(place)
    shell = _spawn(place, folder, [binaries.program("postgres"), "-D", str(place.data), *options], tie)
    (place.run / "server.json").write_text(json.dumps({"version": binaries.version, "binaries": str(binaries.folder)}))
    try:
        found = adopt(place, math.inf)  # on a busy machine our own may take its time, as long as it lives
    except (KeyboardInterrupt, SystemExit):  # leave no server that has no user
        halt(place)
        raise
    if found is not None:
        return found, shell
    if shell is not None:
        shell.kill()
        shell.wait()
    _remove_sockets(folder)
    raise EmbeddedPostgresError(
        f"PostgreSQL {binaries.version} ended before it had started on {place.data}. Its log, {place.log}, ends:\n"
        f"{_log_tail(place, log_start)}"
    )


def halt(place: Place) -> bool:
    """Stop the server, gently first, and wait until its last process is gone. False if there was none."""
    if not is_alive(place):
        return False
    folder = _listening_folder(place)
    for number, patience_s in ((signal.SIGINT, _FAST_STOP_S), (signal.SIGQUIT, _KILL_S)):
        pid = _living_pid(place)
        if pid is None:
            break
        _send(pid, number)
        _send(pid, signal.SIGCONT)  # one that was stopped would not hear us
        if _wait_until_gone(place, patience_s):
            break
    kill(place)
    _remove_sockets(folder)
    return True


def kill(place: Place) -> None:
    """End every process of the server at once, as a crash would: the postmaster first, so that it starts no other."""
    pid = _living_pid(place)
    if pid is not None:
        _send(pid, signal.SIGKILL)
    for other in locks.holders(place.server_lock) if is_alive(place) else ():
        _send(other, signal.SIGKILL)
    if not _wait_until_gone(place, _KILL_S):
        raise EmbeddedPostgresError(
            f"A server uses {place.data} and cannot be ended from here: it runs in another container or on another "
            "machine that shares the folder. Stop it there, or set TASKER_DATABASE_URL."
        )


def _listening_folder(place: Place) -> Path | None:
    """The folder that we made for the socket of the server that runs or crashed; None after a clean end."""
    found = _read_pid_file(place)
    folder = Path(found.socket_folder) if found is not None and found.socket_folder else None
    return folder if folder is not None and place.is_socket_folder(folder) else None


def _remove_sockets(folder: Path | None) -> None:
    """Leave nothing in /tmp. Call it when the server is gone; a folder that holds anything else stays."""
    if folder is not None:
        for file in folder.glob(".s.PGSQL.*"):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.rmdir()


def _read_pid_file(place: Place) -> _PidFile | None:
    try:
        lines = (place.data / "postmaster.pid").read_text(errors="replace").split("\n")
        pid = int(lines[0])
        if len(lines) < 8:
            return _PidFile(pid, 0, "", is_ready=False)
        return _PidFile(pid, int(lines[3]), lines[4].strip(), is_ready=lines[7].strip() == "ready")
    except (OSError, ValueError):
        return None


def _living_pid(place: Place) -> int | None:
    """The postmaster's id, if that process is one of this server's: ids are reused, locks are not."""
    found = _read_pid_file(place)
    if found is None or found.pid <= 0:
        return None
    return found.pid if is_alive(place) and locks.has_open(found.pid, place.server_lock) else None


def _send(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _wait_until_gone(place: Place, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while is_alive(place):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _clear_remains(place: Place) -> None:
    """Remove what a crashed postmaster left: its number may be another process's by now, and would stop a new one."""
    found = _read_pid_file(place)
    if found is not None and _is_stranger(found.pid, place):
        raise EmbeddedPostgresError(
            f"A PostgreSQL that Tasker did not start (process {found.pid}) runs on {place.data}. "
            f"Stop it first: pg_ctl -D '{place.data}' stop"
        )
    (place.data / "postmaster.pid").unlink(missing_ok=True)


def _is_stranger(pid: int, place: Place) -> bool:
    """True if the process works inside the data folder: a postmaster started by hand."""
    try:
        return os.path.samestat(os.stat(f"/proc/{pid}/cwd"), place.data.stat())
    except OSError:
        return False


def _free_socket_folder(place: Place) -> Path | None:
    """A folder in which a socket can be made and no server listens; None where there is none.

    One may listen there although the data have none: whose data were deleted under it, and which ends in a minute.
    """
    for folder in place.socket_folders():
        if not sockets_work(folder):
            with contextlib.suppress(OSError):
                folder.rmdir()
        elif Address(PORT, str(folder), "", 0).probe() == "gone":
            for file in folder.glob(".s.PGSQL.*"):
                file.unlink(missing_ok=True)
            return folder
    return None


def _socket_options(folder: Path) -> dict[str, str]:
    where = {"unix_socket_directories": f'"{folder}"', "unix_socket_permissions": "0700"}
    return {"listen_addresses": "", "port": str(PORT), **where}


def _loopback_options(place: Place, binaries: Binaries) -> dict[str, str]:
    """TCP with a password, for systems and file systems without Unix sockets."""
    if not _password(place):
        password = secrets.token_urlsafe(24)
        cluster.single_user(place.account, binaries, place.data, f"alter role {cluster.ROLE} password '{password}'")
        file = os.open(place.run / "password", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        os.write(file, password.encode())
        os.close(file)
    return {"listen_addresses": "127.0.0.1", "port": str(_free_port()), "unix_socket_directories": ""}


def _password(place: Place) -> str:
    try:
        return (place.run / "password").read_text()
    except FileNotFoundError:
        return ""


def _free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def _spawn(place: Place, folder: Path | None, argv: list[str], tie: int | None) -> subprocess.Popen[bytes] | None:
    """Start the postmaster in a session of its own, so that Ctrl-C in our terminal does not reach it.

    A shell between us and it makes it nobody's child: no zombie, and no surprise for a program that waits for its own
    children. The shell runs as the server's account and so opens the log with that account's rights.
    """
    lock = locks.acquire(place.server_lock, _KILL_S)
    script = _SPAWN if tie is None else _SPAWN_TIED
    try:
        shell = subprocess.Popen(  # noqa: S603 (our own argument list)
            ["/bin/sh", "-c", script, str(folder or ""), str(place.log), *argv],
            stdin=subprocess.DEVNULL if tie is None else tie,
            stdout=lock,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **place.account.options(),
        )
    finally:
        locks.hand_over(lock)
    if tie is None:
        shell.wait()
        return None
    return shell


def _rotate_log(place: Place) -> int:
    """Keep the log small. Returns where the next line will be."""
    try:
        size = place.log.lstat().st_size
    except FileNotFoundError:
        return 0
    if size < _LOG_MAX_BYTES:
        return size
    place.log.rename(place.log.with_suffix(".log.1"))
    return 0


def _log_tail(place: Place, start: int) -> str:
    with contextlib.suppress(OSError), open(place.log, "rb") as file:
        file.seek(start)
        return "\n".join(file.read().decode(errors="replace").strip().splitlines()[-12:])
    return "(it cannot be read)"


def remove_data(place: Place) -> None:
    """Delete the data, the locks and the socket's folder of a server that is down."""
    _remove_sockets(_listening_folder(place))
    for folder in (place.data, place.run):
        shutil.rmtree(folder, ignore_errors=True)
