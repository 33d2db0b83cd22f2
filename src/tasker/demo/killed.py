"""Act three: a worker process dies by SIGKILL while it has checkouts in its hands."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tasker.app import Tasker
from tasker.demo.crowd import Tick, judge, submit, wait_for_all
from tasker.demo.figures import KillFigures
from tasker.demo.fleet import Fleet
from tasker.demo.shopfront import Checkout
from tasker.model.task import StepView, TaskView

KILL_AT_SHARE = 0.35
"""Which share of the orders lies in the shop's books when the search for a victim begins."""
LOOK_S = 0.02
SETTLE_S, SETTLE_LOOKS_MAX = 0.05, 8
PATIENCE_S = 30.0
Held = tuple[UUID, str, int]
"""A task, a step of it, and the attempt."""


@dataclass(frozen=True, slots=True)
class Kill:
    """What was killed, and what it held."""

    pid: int
    open_tasks: int
    in_hand: tuple[Held, ...]


async def run_and_kill(
    tasker: Tasker, namespace: str, crowd: Sequence[Checkout], shop: Any, workers: Fleet, tick: Tick
) -> KillFigures:
    """Submits the crowd, kills a worker in the middle of it, and waits for every checkout to end."""
    began = time.perf_counter()
    task_uuids = await submit(tasker, namespace, crowd)
    waiting = asyncio.create_task(wait_for_all(tasker, task_uuids, tick))
    try:
        kill = await _kill_one(tasker, task_uuids, shop, workers, waiting)
        views = await waiting
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    seconds = time.perf_counter() - began
    return KillFigures(
        crowd=judge(crowd, views, shop, seconds),
        pid=kill and kill.pid,
        open_at_kill=kill.open_tasks if kill else 0,
        steps_in_hand=len(kill.in_hand) if kill else 0,
        steps_taken_over=_taken_over(kill, views) if kill else 0,
    )


async def _kill_one(
    tasker: Tasker, task_uuids: Sequence[UUID], shop: Any, workers: Fleet, waiting: asyncio.Task[Any]
) -> Kill | None:
    """Kills a worker once enough orders are written and it has steps in its hands; None if it never comes to that."""
    give_up_at = time.monotonic() + PATIENCE_S
    while not waiting.done() and time.monotonic() < give_up_at:
        workers.check()
        if shop.books().orders >= KILL_AT_SHARE * len(task_uuids):
            victim = await _victim(tasker, task_uuids, workers)
            kill = victim and await _freeze_and_kill(tasker, task_uuids, victim)
            if kill:
                return kill
        await asyncio.sleep(LOOK_S)
    return None


async def _victim(tasker: Tasker, task_uuids: Sequence[UUID], workers: Fleet) -> int | None:
    """A worker process of this demo that runs a step now."""
    for task_uuid in task_uuids:
        for step in (await tasker.get(task_uuid)).steps:
            if step.holder is not None and workers.has(step.holder.pid):
                return step.holder.pid
    return None


async def _freeze_and_kill(tasker: Tasker, task_uuids: Sequence[UUID], pid: int) -> Kill | None:
    """Stops the worker for a moment, so that what it has in its hands can be counted, and kills it.

    A worker with empty hands goes on, and the answer is None.
    """
    is_doomed = True
    try:
        os.kill(pid, signal.SIGSTOP)
        open_tasks, in_hand = await _when_settled(tasker, task_uuids, pid)
        is_doomed = bool(in_hand)
    except ProcessLookupError:
        return None
    finally:
        with suppress(ProcessLookupError):  # it may have ended by itself
            os.kill(pid, signal.SIGKILL if is_doomed else signal.SIGCONT)
    return Kill(pid, open_tasks, in_hand) if in_hand else None


async def _when_settled(tasker: Tasker, task_uuids: Sequence[UUID], pid: int) -> tuple[int, tuple[Held, ...]]:
    """How many tasks are open, and what the frozen worker holds: what it had sent before may still change that."""
    open_tasks, held = 0, None
    for _ in range(SETTLE_LOOKS_MAX):
        await asyncio.sleep(SETTLE_S)
        before, views = held, await asyncio.gather(*map(tasker.get, task_uuids))
        open_tasks = sum(view.finished_at is None for view in views)
        held = tuple((view.task_uuid, one.name, one.attempt) for view in views for one in _held(view, pid))
        if held == before:
            break
    return open_tasks, held or ()


def _held(view: TaskView, pid: int) -> Iterator[StepView]:
    return (step for step in view.steps if step.holder is not None and step.holder.pid == pid)


def _taken_over(kill: Kill, views: Sequence[TaskView]) -> int:
    """How many of the victim's steps were handed out again."""
    attempts = {(view.task_uuid, step.name): step.attempt for view in views for step in view.steps}
    return sum(attempts[task_uuid, step] > attempt for task_uuid, step, attempt in kill.in_hand)
