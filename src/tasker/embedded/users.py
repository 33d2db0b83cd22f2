"""Who uses a shared server: one file for each process, locked as long as the process lives.

Every function is called with the start lock held, so that nobody joins while another counts.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from tasker.embedded import locks

_SIT_S = 5.0
"""Only somebody who looks at the list can be in the way, for an instant."""


@dataclass(frozen=True, slots=True)
class Seat:
    """This process's place among the users."""

    file: Path
    descriptor: int


def sit(folder: Path) -> Seat:
    """Register this process."""
    file = folder / f"{os.getpid()}.{secrets.token_hex(4)}"
    return Seat(file, locks.acquire(file, _SIT_S))


def rise(seat: Seat) -> None:
    """Take this process off the list."""
    locks.unlock(seat.descriptor)
    seat.file.unlink(missing_ok=True)


def living(folder: Path) -> list[int]:
    """Ids of the processes that use the server."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(_pid(file) for file in folder.iterdir() if locks.is_locked(file))
    return []


def remove_dead(folder: Path) -> None:
    """Remove the files of processes that ended without leaving."""
    for file in folder.iterdir():
        if not locks.is_locked(file):
            file.unlink(missing_ok=True)


def _pid(file: Path) -> int:
    return int(file.name.partition(".")[0])
