"""S8: a worker is killed with SIGKILL, or the database restarted, in the middle of work. Standard library only.

Every step lasts a little, so that some are under way when it happens. Afterwards three things are asked: how long it
took until what was interrupted went on, how many tasks were never complete, and how many steps ran to their end twice.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from graphs import graph
from ledger import BEGUN, ENDED, Entry, Ledger
from scene_tools import Measured, finish, warm_up
from stage import Peer, Plan, ask

_TASKS = 40
_PATIENCE_S = 45.0
_LOOK_S = 0.05


async def killed(peer: Peer, plan: Plan) -> None:
    """A worker dies that has steps under way, and another is started in its place at once."""
    crew: Any = getattr(peer, "crew", None)
    if crew is None:
        raise RuntimeError("this driver has no workers that could be killed")
    run = await warm_up(peer, plan)
    pid = await _submit(peer, plan, run, crew.pids)
    number, at = crew.pids.index(pid), time.monotonic_ns()
    crew.kill(number)
    await crew.replace(number)
    done = await _until_over(peer, run)
    entries = Ledger(plan.ledger).entries(run.first_entry)
    _finish(run, done, entries, continued_s(entries, pid, at))


async def restarted(peer: Peer, plan: Plan) -> None:
    """PostgreSQL is stopped at once and started again; the workers live on, if they can."""
    run = await warm_up(peer, plan)
    await _submit(peer, plan, run, ())
    await ask("restart_database")
    at = time.monotonic_ns()
    done = await _until_over(peer, run)
    entries = Ledger(plan.ledger).entries(run.first_entry)
    later = [entry.at_ns for entry in entries if entry.kind == BEGUN and entry.at_ns > at]
    _finish(run, done, entries, (min(later) - at) / 1e9 if later else None)


async def _submit(peer: Peer, plan: Plan, run: Measured, pids: Sequence[int]) -> int:
    """Hands in the tasks; a process, of these if any are named, that has ended steps and has some under way."""
    await peer.submit([run.next() for _ in range(min(_TASKS, plan.tasks_max))])
    ledger, deadline = Ledger(plan.ledger), time.monotonic() + _PATIENCE_S
    while (pid := _under_way(ledger.entries(run.first_entry), pids)) is None:
        if time.monotonic() > deadline:
            raise RuntimeError(f"no step has begun in {_PATIENCE_S:.0f} s")
        await asyncio.sleep(_LOOK_S)
    return pid


def _under_way(entries: Sequence[Entry], pids: Sequence[int]) -> int | None:
    counts = Counter((entry.pid, entry.kind) for entry in entries)
    wanted = pids or {entry.pid for entry in entries}
    return next((pid for pid in wanted if counts[pid, BEGUN] > counts[pid, ENDED] > 0), None)


async def _until_over(peer: Peer, run: Measured) -> int:
    """How many tasks became complete, once all are or nothing has moved for a while."""
    seen, moved_at = -1, time.monotonic()
    wanted = run.already + run.submitted
    while time.monotonic() < moved_at + _PATIENCE_S:
        try:
            now = await peer.finished()
        except Exception:  # a store that was restarted: drivers have their own errors for it, and it is asked again
            now = seen
        if now >= wanted:
            return run.submitted
        if now != seen:
            seen, moved_at = now, time.monotonic()
        await asyncio.sleep(_LOOK_S)
    return max(0, seen - run.already)


def continued_s(entries: Sequence[Entry], pid: int, at_ns: int) -> float | None:
    """Seconds from the kill until the last of the steps that the dead process had under way was begun again.

    None where some never were, 0.0 where it had none under way.
    """
    begun = {(entry.task, entry.step) for entry in entries if entry.pid == pid and entry.kind == BEGUN}
    ended = {(entry.task, entry.step) for entry in entries if entry.pid == pid and entry.kind == ENDED}
    again: dict[tuple[int, int], int] = {}
    for entry in entries:
        if entry.kind == BEGUN and entry.at_ns > at_ns and entry.pid != pid:
            again.setdefault((entry.task, entry.step), entry.at_ns)
    interrupted = begun - ended
    if not interrupted <= again.keys():
        return None
    return max(((again[step] - at_ns) / 1e9 for step in interrupted), default=0.0)


def doubled(entries: Sequence[Entry]) -> int:
    """How many steps ran to their end more than once."""
    ends = Counter((entry.task, entry.step) for entry in entries if entry.kind == ENDED)
    return sum(1 for count in ends.values() if count > 1)


def _finish(run: Measured, done: int, entries: Sequence[Entry], recovery_s: float | None) -> None:
    missing = run.submitted * len(graph(run.plan.shape)) - len(
        {(entry.task, entry.step) for entry in entries if entry.kind == ENDED}
    )
    figures: Mapping[str, Any] = {
        "recovery_s": recovery_s,
        "lost": run.submitted - done,
        "steps_not_run": missing,
        "doubled": doubled(entries),
    }
    finish(run, figures)
