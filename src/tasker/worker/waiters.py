"""Waiting for tasks: resolved at once where this process ends them, else by one poll for all that it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from tasker.model.errors import TaskerError
from tasker.store.errors import CONNECTION_ERRORS, DatabaseError
from tasker.worker.log import log

POLL_FIRST_S, POLL_MAX_S = 0.02, 0.5


@dataclass(frozen=True, slots=True)
class Ended:
    """The state in which a task ended; and what it has become, where the report that ended it said so (JSON of the task
    and of its steps)."""

    state: str
    view: tuple[str, str] | None = None


class Waiters:
    """Futures of tasks that somebody waits for. `ask` answers which of some tasks have ended."""

    def __init__(self, ask: Callable[[Sequence[UUID]], Awaitable[list[tuple[UUID, str]]]]) -> None:
        self._ask = ask
        self._waiting: dict[UUID, list[asyncio.Future[Ended]]] = {}
        self._due_at: dict[UUID, float] = {}
        self._poll: asyncio.Task[None] | None = None
        self._wait_s = POLL_FIRST_S

    async def wait(self, task_id: UUID) -> Ended:
        """How the task ended."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Ended] = loop.create_future()
        self._waiting.setdefault(task_id, []).append(future)
        self._due_at.setdefault(task_id, loop.time() + POLL_FIRST_S)
        self._wait_s = POLL_FIRST_S
        if self._poll is None or self._poll.done():
            self._poll = asyncio.create_task(self._poll_until_empty())
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
            for future in self._waiting.get(task_id, ()):
                if not future.done():
                    future.set_result(Ended(state, views.get(task_id) if views else None))

    async def close(self) -> None:
        """Stops polling; who still waits is told so."""
        if self._poll is not None:
            self._poll.cancel()
            await asyncio.gather(self._poll, return_exceptions=True)
        for futures in self._waiting.values():
            for future in futures:
                if not future.done():
                    future.set_exception(TaskerError("this Tasker was stopped while a task was waited for; it goes on"))

    def _forget(self, task_id: UUID, future: asyncio.Future[Ended]) -> None:
        futures = self._waiting.get(task_id, [])
        if future in futures:
            futures.remove(future)
        if not futures:
            self._waiting.pop(task_id, None)
            self._due_at.pop(task_id, None)

    async def _poll_until_empty(self) -> None:
        while True:
            await asyncio.sleep(self._wait_s)
            if not self._waiting:
                return
            now = asyncio.get_running_loop().time()
            # What this process has only just begun to wait for it most likely ends itself.
            due = [task_id for task_id, at in self._due_at.items() if at <= now]
            if not due:
                continue
            self._wait_s = min(self._wait_s * 1.5, POLL_MAX_S)
            try:
                self.resolve(await self._ask(due))
            except CONNECTION_ERRORS:
                self._wait_s = POLL_MAX_S
            except DatabaseError as error:
                log.warning("the database refused to say which tasks have ended", error=str(error))
                self._wait_s = POLL_MAX_S
