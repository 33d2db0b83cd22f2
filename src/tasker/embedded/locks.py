"""Locks that end with the process that holds them: flock on a file.

A forked child shares its parent's locks without wanting to, and would keep them alive after the parent: so the child
closes its copies at once.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Generator
from pathlib import Path

from tasker.model.errors import EmbeddedPostgresError

try:
    import fcntl
except ImportError:  # not a POSIX system: `require_posix` says so when a server is asked for
    fcntl = None

_POLL_S = 0.01
_held: set[int] = set()


def require_posix() -> None:
    """EmbeddedPostgresError where the system has no flock."""
    if fcntl is None:
        raise EmbeddedPostgresError(
            "The embedded PostgreSQL needs Linux or macOS. Set TASKER_DATABASE_URL to a PostgreSQL of your own."
        )


def try_lock(path: Path) -> int | None:
    """Lock the file, made where it is missing. Returns the descriptor to hand to `unlock`, None if another holds it."""
    assert fcntl is not None  # noqa: S101 (for the type checker; start() has called require_posix)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as error:
        os.close(descriptor)
        raise EmbeddedPostgresError(
            f"{path} cannot be locked ({error.strerror}): the file system has no locks. "
            "Use a project folder on a local disk, or set TASKER_DATABASE_URL."
        ) from error
    _held.add(descriptor)
    return descriptor


def unlock(descriptor: int) -> None:
    """Let go for every process that shares the descriptor, and close it."""
    assert fcntl is not None  # noqa: S101
    _held.discard(descriptor)
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def hand_over(descriptor: int) -> None:
    """Close our copy of a lock that a child process has inherited and goes on holding."""
    _held.discard(descriptor)
    os.close(descriptor)


def keep_from_children(descriptor: int) -> None:
    """Have a descriptor closed in forked children, as the locks are. Close it with `hand_over`."""
    _held.add(descriptor)


def is_locked(path: Path) -> bool:
    """True while any process holds the file's lock. A file that is missing is not locked."""
    if fcntl is None:
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        # Let go by name: a child forked by another thread just now would keep a lock that is merely closed.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def locked(path: Path, timeout_s: float) -> Generator[None]:
    """Hold the file's lock for a block. EmbeddedPostgresError where another keeps it for longer than `timeout_s`."""
    descriptor = acquire(path, timeout_s)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        unlock(descriptor)


def acquire(path: Path, timeout_s: float) -> int:
    """Lock the file, waiting for others up to `timeout_s`. Returns the descriptor."""
    deadline = time.monotonic() + timeout_s
    while (descriptor := try_lock(path)) is None:
        if time.monotonic() > deadline:
            holder = path.read_text(errors="replace").strip() or "unknown"
            raise EmbeddedPostgresError(
                f"{path} is held by another process (id {holder}) for more than {timeout_s:.0f} s. "
                "Look at that process; when it is gone the lock is free."
            )
        time.sleep(_POLL_S)
    return descriptor


def holders(path: Path) -> list[int]:
    """Ids of the processes that have the file open, this one left out; empty where the system cannot say (no /proc)."""
    try:
        wanted = os.stat(path)
        entries = [entry for entry in os.listdir("/proc") if entry.isdigit()]
    except OSError:
        return []
    return [pid for pid in map(int, entries) if pid != os.getpid() and _has_open(pid, wanted)]


def has_open(pid: int, path: Path) -> bool:
    """True if the process has the file open. Without /proc: if the process exists."""
    if os.path.isdir("/proc/self/fd"):
        return _has_open(pid, os.stat(path))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _has_open(pid: int, wanted: os.stat_result) -> bool:
    folder = f"/proc/{pid}/fd"
    try:
        descriptors = os.listdir(folder)
    except OSError:  # it has ended, or is not ours
        return False
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(f"{folder}/{descriptor}"), wanted):
                return True
    return False


def _forget_in_child() -> None:
    for descriptor in _held:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
