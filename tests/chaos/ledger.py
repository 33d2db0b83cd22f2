"""The ledger of handlers: a file outside the database, to which every worker process appends whole lines."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VARIABLE = "TASKER_CHAOS_LEDGER"
NOBODY = "-"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a process says that it did: `moment` is start, end, fail, acked or crash; `value` what a step returned.

    `at` is of the monotonic clock, which all processes of a machine share.
    """

    moment: str
    task: str
    number: int
    attempt: int
    pid: int
    at: float
    value: str


def append(moment: str, *rows: tuple[Any, int, int, Any]) -> None:
    """One line for each (task, number, attempt, value), in one write."""
    tail = f"{os.getpid()} {time.monotonic():.6f}"
    text = "".join(
        f"{moment} {task} {number} {attempt} {tail} {NOBODY if value is None else value}\n"
        for task, number, attempt, value in rows
    )
    file = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)


class Ledger:
    """The file, as the supervisor reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()
        self._read_to = 0
        self._entries: list[Entry] = []

    def entries(self) -> list[Entry]:
        """All of it. A line whose end is not there yet is still being written."""
        with self.path.open("rb") as file:
            file.seek(self._read_to)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read_to += len(whole)
        self._entries += map(_entry, whole.decode().splitlines())
        return self._entries

    def of(self, moment: str) -> Iterator[Entry]:
        """The lines of one moment, in order."""
        return (entry for entry in self.entries() if entry.moment == moment)

    def count(self, moment: str) -> int:
        """How many."""
        return sum(1 for _ in self.of(moment))


def _entry(line: str) -> Entry:
    moment, task, number, attempt, pid, at, value = line.split(" ", 6)
    return Entry(moment, task, int(number), int(attempt), int(pid), float(at), value)
