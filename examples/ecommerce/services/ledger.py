"""What the outside world has done: charges, reservations, orders and mails, in an append-only file.

Worker processes come and go, and some are killed in the middle; money that was taken stays taken. So every deed is one
line, written with one append under a lock that dies with its process, and every process reads what the others wrote
before it decides. Without a path the ledger lives in memory, for one process.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Books:
    """What an auditor finds. The sets hold references of checkouts."""

    charges: int
    orders: int
    mails: int
    charged_twice: frozenset[str]
    charged_without_order: frozenset[str]


@dataclass(slots=True)
class Deeds:
    """Everything written so far, by what it is looked up by."""

    stock: dict[int, int]
    charges: dict[str, Line] = field(default_factory=dict[str, Line])
    reservations: dict[str, Line] = field(default_factory=dict[str, Line])
    orders: dict[str, Line] = field(default_factory=dict[str, Line])
    mails: dict[str, Line] = field(default_factory=dict[str, Line])
    charged: Counter[str] = field(default_factory=Counter[str])
    ordered: set[str] = field(default_factory=set[str])

    def apply(self, line: Line) -> None:
        """Take one line into account."""
        kind, key = line["kind"], line["key"]
        if kind == "charge":
            self.charges[key] = line
            self.charged[line["reference"]] += 1
        elif kind == "reservation":
            self.reservations[key] = line
            for item in line["items"]:
                self.stock[item["product_id"]] -= item["quantity"]
        elif kind == "order":
            self.orders[key] = line
            self.ordered.add(line["reference"])
        elif kind == "mail":
            self.mails[key] = line
        elif kind == "restock":
            self.stock[line["product_id"]] += line["quantity"]


class Ledger:
    """The deeds, shared by every process that opens the same path."""

    def __init__(self, path: str | os.PathLike[str] | None, stock: Mapping[int, int]) -> None:
        self._path = None if path is None else Path(path)
        self._deeds = Deeds(dict(stock))
        self._read_up_to = 0
        self._thread_lock = threading.Lock()
        self._append: Any = None

    @contextmanager
    def turn(self) -> Generator[Deeds]:
        """The deeds of everybody up to now; nobody else writes before the block ends."""
        with self._thread_lock:
            if self._path is None:
                yield self._deeds
                return
            # Opened each time: a descriptor that a forked process inherits would share its lock with the parent.
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                self._catch_up(descriptor)
                self._append = descriptor
                yield self._deeds
            finally:
                self._append = None
                os.close(descriptor)

    def write(self, kind: str, key: str, **details: Any) -> Line:
        """Add a deed, inside a `turn`."""
        line = {"kind": kind, "key": key, **details}
        if self._append is not None:
            data = json.dumps(line).encode() + b"\n"
            os.write(self._append, data)
            self._read_up_to += len(data)
        self._deeds.apply(line)
        return line

    def books(self) -> Books:
        """What an auditor finds now."""
        with self.turn() as deeds:
            return Books(
                charges=sum(deeds.charged.values()),
                orders=len(deeds.orders),
                mails=len(deeds.mails),
                charged_twice=frozenset(reference for reference, times in deeds.charged.items() if times > 1),
                charged_without_order=frozenset(deeds.charged) - deeds.ordered,
            )

    def _catch_up(self, descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        data = os.pread(descriptor, size - self._read_up_to, self._read_up_to)
        if data and not data.endswith(b"\n"):
            # Its writer was killed in the middle of the line, so nobody was told that the deed was done.
            data = data[: data.rfind(b"\n") + 1]
            size = self._read_up_to + len(data)
            os.ftruncate(descriptor, size)
        for line in data.splitlines():
            self._deeds.apply(json.loads(line))
        self._read_up_to = size
