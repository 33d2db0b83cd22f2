"""What every step of every peer writes down: when it ran, of which task, in which process. Standard library only.

A step appends one record of 20 bytes to a file, in one write, which costs some microseconds and is the same for all
peers. So one clock tells when a step began, what a killed process had begun, and what ran twice, whatever a peer says.
"""

from __future__ import annotations

import os
import struct
import time
from dataclasses import dataclass
from pathlib import Path

_RECORD = struct.Struct("<qIHHI")
BEGUN, ENDED = 0, 1


@dataclass(frozen=True, slots=True)
class Entry:
    """A step of task `task` began or ended at `at_ns` (of the machine's monotonic clock)."""

    at_ns: int
    task: int
    step: int
    kind: int
    pid: int


class Ledger:
    """The file, open for appending by one process. `note` is a step's, the others are the measuring process's."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, task: int, step: int, kind: int) -> None:
        """One record, written whole."""
        os.write(self._file, _RECORD.pack(time.monotonic_ns(), task, step, kind, os.getpid()))

    def size(self) -> int:
        """How many records there are."""
        return os.fstat(self._file).st_size // _RECORD.size

    def entries(self, first: int = 0) -> list[Entry]:
        """The records from number `first` on."""
        data = self._path.read_bytes()
        data = data[first * _RECORD.size : len(data) - len(data) % _RECORD.size]
        return [Entry(*fields) for fields in _RECORD.iter_unpack(data)]
