"""Declared domain events go out once the engine has recorded the outcome that they tell of.

A worker reports outcomes in batches, and the engine may refuse one: the step was cancelled, or ran out of time. So a
finished execution waits here until the history of its step shows how its attempt ended; then its publishers run, one
after the other, in a thread of their own. What this process has not published when it dies is lost.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import structlog

from tasker.model.task import Transition
from tasker_core.declared_events import Declared
from tasker_core.domain_events import EventDeclaration, PublishContext, PublisherRegistry, StepResult
from tasker_core.exceptions import TROUBLE
from tasker_core.executions import Finished

Moves = Callable[[Sequence[UUID], int], Awaitable[list[Transition]]]
"""Asks for the history of the step of that number in these tasks."""

POLL_S = 0.02
TROUBLE_S = 0.5
WAITING_MAX = 10_000
"""How many executions wait for the engine. Past them the oldest are forgotten, with a word in the log."""
_log = structlog.get_logger("tasker_core.domain_events")


class Publication:
    """`finished` takes in, from any thread; `run` asks and publishes, on the loop that it runs on."""

    def __init__(self, declared: Declared, moves: Moves) -> None:
        self._declared = declared
        self._moves = moves
        self._waiting: dict[tuple[UUID, int, int], tuple[Finished, tuple[EventDeclaration, ...]]] = {}
        self._lock = threading.Lock()
        self._unknown: set[str] = set()
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def finished(self, done: Finished) -> None:
        """An execution has ended."""
        outcome = _step_result(done)
        declared = self._declared.get((done.template, done.step_name), ())
        met = tuple(one for one in declared if one.is_met_by(outcome))
        loop = self._loop
        if not met or loop is None:
            return
        with self._lock:
            if len(self._waiting) == WAITING_MAX:
                lost, _ = self._waiting.pop(next(iter(self._waiting)))
                _log.error("events are lost: the engine has not recorded the outcome in time", step=lost.step_name)
            self._waiting[done.task_uuid, done.number, done.attempt] = done, met
        loop.call_soon_threadsafe(self._wake.set)

    async def run(self) -> None:
        """Publishes until it is cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                try:
                    await self.settle()
                except TROUBLE as error:
                    _log.warning("cannot see whether outcomes are recorded; trying again", error=str(error))
                    await asyncio.sleep(TROUBLE_S)
                await asyncio.sleep(POLL_S)

    async def last(self, timeout_s: float) -> None:
        """Once no step runs here any more: publishes what is recorded, the rest never will be."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.settle()
        except TROUBLE as error:
            _log.error("events are lost: cannot see whether outcomes are recorded", error=str(error))
        if self._waiting:
            _log.error("events are lost: their publishers did not end in time", events=len(self._waiting))

    async def settle(self) -> None:
        """Publishes what is recorded by now, and forgets what was not to be."""
        with self._lock:
            asked = list(self._waiting.items())
        by_number: dict[int, set[UUID]] = {}
        for (task_id, number, _), _ in asked:
            by_number.setdefault(number, set()).add(task_id)
        moves: dict[tuple[UUID, int], list[Transition]] = {}
        for number, tasks in by_number.items():
            for move in await self._moves(sorted(tasks), number):
                moves.setdefault((move.task_uuid, number), []).append(move)
        for key, (done, declared) in asked:
            is_recorded = _is_recorded(done, moves.get(key[:2], []))
            if is_recorded is None:
                continue
            with self._lock:
                self._waiting.pop(key, None)
            if is_recorded:
                await asyncio.to_thread(self._publish, done, declared)

    def _publish(self, done: Finished, declared: tuple[EventDeclaration, ...]) -> None:
        registry = PublisherRegistry.instance()
        for declaration in declared:
            name = declaration.publisher
            if name is not None and registry.get(name) is None and name not in self._unknown:
                self._unknown.add(name)
                _log.warning("a publisher is not registered: the default one publishes", publisher=name)
            wanted = PublishContext(declaration.name, _step_result(done), declaration, done.context)
            try:
                registry.get_or_default(name).publish(wanted.to_event_context(), declaration.name)
            except Exception as error:
                # A publisher is the application's; one that fails must not keep back the events of others.
                _log.error("a publisher failed", event_name=declaration.name, error=f"{type(error).__name__}: {error}")


def _step_result(done: Finished) -> StepResult:
    return StepResult(done.is_success, done.result, done.error, done.metadata)


def _is_recorded(done: Finished, moves: list[Transition]) -> bool | None:
    """Whether the attempt ended as its handler said; None while it goes on."""
    for move in moves:
        if move.attempt == done.attempt and move.from_state == "in_progress":
            return move.to_state in (("complete",) if done.is_success else ("waiting_for_retry", "error"))
    is_under_way = bool(moves) and moves[-1].to_state == "in_progress" and moves[-1].attempt == done.attempt
    return None if is_under_way else False
