"""Ids: time-ordered ones for tasks, and those of steps, which are derived.

A step is (task, number). Its public id is made of both, so that it needs no column and no index: the first 64 bits are
the task's (with version 8 in place of 7), the other 62 a hash. The engine has the same in `step_uuid.sql`.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from uuid import UUID

_VERSION_7 = 7 << 76
_VERSION_8 = 8 << 76
_VARIANT = 2 << 62
_VERSION_BITS = 15 << 76
_TOP_64 = ((1 << 64) - 1) << 64
_LOW_62 = (1 << 62) - 1

_lock = threading.Lock()
_last_tick = 0


def uuid7() -> UUID:
    """A new UUID of version 7, greater than every one made before in this process.

    48 bits of milliseconds, 12 bits of their parts (which run ahead when several ids fall into one part), 62 random.
    """
    global _last_tick
    tick = (time.time_ns() << 12) // 1_000_000
    with _lock:
        tick = _last_tick = tick if tick > _last_tick else _last_tick + 1
    random_62 = int.from_bytes(os.urandom(8), "big") & _LOW_62
    return UUID(int=(tick >> 12) << 80 | _VERSION_7 | (tick & 0xFFF) << 64 | _VARIANT | random_62)


def step_uuid(task_uuid: UUID, number: int) -> UUID:
    """The public id of a task's step; always the same."""
    digest = hashlib.sha256(task_uuid.bytes + number.to_bytes(4, "big")).digest()
    low = int.from_bytes(digest[:8], "big") & _LOW_62
    return UUID(int=task_uuid.int & _TOP_64 & ~_VERSION_BITS | _VERSION_8 | _VARIANT | low)


def step_number(task_uuid: UUID, step: UUID, step_count: int) -> int | None:
    """The number of the task's step with this public id; None where none of its `step_count` steps has it."""
    return next((n for n in range(1, step_count + 1) if step_uuid(task_uuid, n) == step), None)


FIRST_MEMBER = 65_536
"""From this number on steps are members of batches: the batch's number times this, and their index in it."""


def plan_number(number: int) -> int:
    """The number under which a template has this step: of a member that of its batch."""
    return number if number < FIRST_MEMBER else number // FIRST_MEMBER
