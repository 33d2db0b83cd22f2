"""Waiting for tasks: resolved at once where this process ends them, else by asking the database.

The longer somebody has waited for a task, the longer the pause until it is asked for again: an eighth of that time, so
that a wait takes about a sixteenth longer than the task. What is nearly due is asked for in the same question, and
questions take no more than a third of the time. What has ended comes with the answer as it has become.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from tasker.model.errors import TaskerError
from tasker.store.errors import CONNECTION_ERRORS, DatabaseError
from tasker.store.waits import EndedTask
from tasker.worker.log import log

HERE_S, ELSEWHERE_S = 0.02, 0.002
"""The shortest pause where this process runs steps itself, and so most likely ends the task, and where it does not."""
PAUSE_MAX_S = 0.5
ASKED_MAX = 100
"""Tasks in one question: each that has ended comes with all its results."""
_PART_OF_WAIT = 1 / 8
_REST = 2


@dataclass(frozen=True, slots=True)
class Ended:
    """The state in which a task ended; and what it has become (JSON of the task and of its steps), where that was said
    with it."""

    state: str
    view: tuple[str, str] | None = None


@dataclass(slots=True)
class _Awaited:
    """Who waits for a task, since when, and when it is asked for next."""

    since: float
    pause_s: float
    due_at: float
    futures: list[asyncio.Future[Ended]] = field(default_factory=list[asyncio.Future[Ended]])


class Waiters:
    """Futures of tasks that somebody waits for. `ask` answers which of some tasks have ended; `runs_steps` whether this
    process may end them itself."""

    def __init__(
        self,
        ask: Callable[[Sequence[UUID]], Awaitable[list[EndedTask]]],
        runs_steps: Callable[[], bool] = lambda: True,
    ) -> None:
        self._ask = ask
        self._runs_steps = runs_steps
        self._waiting: dict[UUID, _Awaited] = {}
        self._sooner = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None

    async def wait(self, task_id: UUID) -> Ended:
        """How the task ended."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Ended] = loop.create_future()
        if task_id not in self._waiting:
            now, pause_s = loop.time(), HERE_S if self._runs_steps() else ELSEWHERE_S
            self._waiting[task_id] = _Awaited(now, pause_s, now + pause_s)
            self._sooner.set()
        self._waiting[task_id].futures.append(future)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_until_empty())
        try:
            return await future
        finally:
            self._forget(task_id, future)

    def is_awaited(self, task_id: UUID) -> bool:
        """True when somebody waits for the task."""
        return task_id in self._waiting

    def resolve(self, ended: Sequence[tuple[UUID, str]], views: Mapping[UUID, tuple[str, str]] | None = None) -> None:
        """These tasks have ended; some are known already as they are now."""
        for task_id, state in ended:
            for future in self._futures_of(task_id):
                if not future.done():
                    future.set_result(Ended(state, views.get(task_id) if views else None))

    async def close(self) -> None:
        """Stops asking; who still waits is told so."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        for task_id in list(self._waiting):
            for future in self._futures_of(task_id):
                if not future.done():
                    future.set_exception(TaskerError("this Tasker was stopped while a task was waited for; it goes on"))

    def _futures_of(self, task_id: UUID) -> Sequence[asyncio.Future[Ended]]:
        awaited = self._waiting.get(task_id)
        return awaited.futures if awaited else ()

    def _forget(self, task_id: UUID, future: asyncio.Future[Ended]) -> None:
        if awaited := self._waiting.get(task_id):
            if future in awaited.futures:
                awaited.futures.remove(future)
            if not awaited.futures:
                del self._waiting[task_id]

    async def _ask_until_empty(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            due_at = min(awaited.due_at for awaited in self._waiting.values())
            if due_at > loop.time():
                await self._pause(due_at)
                continue
            began, pause_s = loop.time(), 0.0
            try:
                found = await self._ask(self._take_due(began))
                self.resolve([one[:2] for one in found], {task_id: view for task_id, _, view in found if view})
            except CONNECTION_ERRORS:
                pause_s = PAUSE_MAX_S
            except DatabaseError as error:
                log.warning("the database refused to say which tasks have ended", error=str(error))
                pause_s = PAUSE_MAX_S
            await asyncio.sleep(max(pause_s, (loop.time() - began) * _REST))

    async def _pause(self, until: float) -> None:
        """Until then, or until something may be due earlier."""
        self._sooner.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._sooner.wait()

    def _take_due(self, now: float) -> list[UUID]:
        """What is due, or has more than half of its pause behind it; it is due again after its next one."""
        due: list[UUID] = []
        for task_id, awaited in self._waiting.items():
            if awaited.due_at - now <= awaited.pause_s / 2:
                awaited.pause_s = min(max(awaited.pause_s, (now - awaited.since) * _PART_OF_WAIT), PAUSE_MAX_S)
                awaited.due_at = now + awaited.pause_s
                due.append(task_id)
                if len(due) == ASKED_MAX:
                    break
        return due
