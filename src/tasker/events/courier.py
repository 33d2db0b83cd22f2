"""The courier: makes events of what waits in the outbox, and hands them to the subscribers of this process.

Any number of processes may have one. What a courier takes is its own for a lease, which it renews while its subscribers
and publishers run: if its process dies, another takes the same again. Of a task, and for each subscriber, one event is
under way at a time, so that they arrive in order; those of different tasks go at the same time.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar
from uuid import uuid4

from tasker.events.calls import Calls
from tasker.events.fast import FastLane
from tasker.events.making import LOST, PROBLEM_LENGTH_MAX, TAKEN_MAX, formed
from tasker.events.telling import occurrences
from tasker.handlers.events import Events
from tasker.model.errors import TaskerError
from tasker.model.event import DomainEvent
from tasker.settings import Settings
from tasker.store import events as outbox
from tasker.store.connection import Connection
from tasker.store.errors import CONNECTION_ERRORS, DatabaseError
from tasker.store.events import Delivery, Made, Taken
from tasker.store.replies import Told
from tasker.worker.held import Held
from tasker.worker.log import log

CALLS_MAX = 32
"""How many subscribers run at once in a process."""
_TROUBLE_S = 0.5
_DRAIN_S = 5.0
T = TypeVar("T")


class Ask(Protocol):
    """Calls its argument with a connection."""

    async def __call__(self, work: Callable[[Connection], Awaitable[T]], /) -> T: ...


class Courier:
    """Runs from start() to stop(). `ask` lends connections to the database."""

    def __init__(self, ask: Ask, settings: Settings, events: Events) -> None:
        self._ask = ask
        self._schema = settings.schema_name
        self._lease_s = settings.lease_s
        self._poll_s = settings.sweep_s
        self._bytes_max = settings.result_bytes_max
        self._events = events
        self.counts: Counter[str] = Counter()
        """made (published, declined or refused), delivered, failed, fast, fast_failed and dropped."""
        self._calls = Calls(settings.threads)
        self._fast = FastLane(events, self._calls, self._bytes_max, self.counts)
        self._owner = uuid4()
        self._making: dict[int, Taken] = {}
        self._made: list[Made] = []
        self._calling: dict[Delivery, DomainEvent] = {}
        self._called: list[tuple[Delivery, str | None]] = []
        self._wake = asyncio.Event()
        self._held_at = 0.0
        self._is_draining = False
        self._group: asyncio.TaskGroup
        self._main: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Makes the subscribers known, and begins. What is published from now on reaches them."""
        known = [(one.name, one.patterns) for one in self._events.subscribers.values()]
        if known:
            await self._ask(partial(outbox.subscribe, subscribers=known, schema=self._schema))
        self._main = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Hands over what waits, for a few seconds at most. The rest comes again, elsewhere or later."""
        if self._main is None:
            return
        self._is_draining = True
        self._wake.set()
        await asyncio.wait([self._main], timeout=_DRAIN_S)
        self._main.cancel()
        await asyncio.gather(self._main, return_exceptions=True)
        self._calls.close()

    def told(self, outcomes: Sequence[Held], told: Sequence[Told]) -> None:
        """A report of this process's worker has recorded these; called on the loop."""
        if not self._is_draining:
            self._fast.put(occurrences(outcomes, told))
        self._wake.set()

    # The loop ---------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as self._group:
            fast = self._group.create_task(self._fast.run())
            took = 0
            while took or not (self._is_draining and self._is_idle):
                try:
                    took = await self._round()
                except Exception as error:
                    # Whatever goes wrong on the way to the database or in it, the courier goes on: events wait for it.
                    took, is_ours = 0, not isinstance(error, (*CONNECTION_ERRORS, DatabaseError, TaskerError))
                    said = f"{type(error).__name__}: {error}"
                    log.warning("the outbox of events is out of reach; trying again", error=said, exc_info=is_ours)
                    await asyncio.sleep(_TROUBLE_S)
            await self._fast.emptied()
            fast.cancel()

    @property
    def _is_idle(self) -> bool:
        return not (self._making or self._calling)

    async def _round(self) -> int:
        self._wake.clear()
        await self._settle()
        took = await self._take()
        await self._renew()
        if not took and not (self._is_draining and self._is_idle):
            await self._rest()
        return took

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._poll_s):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _settle(self) -> None:
        """Says what is done. It counts as under way until it is said, so that it is not taken again by ourselves."""
        if made := self._made[:]:
            await self._ask(partial(outbox.settle_events, owner=self._owner, made=made, schema=self._schema))
            del self._made[: len(made)]
            for one in made:
                self._making.pop(one.seq, None)
            self.counts["made"] += sum(one.status != "recorded" for one in made)
        if called := self._called[:]:
            await self._ask(partial(outbox.settle_deliveries, owner=self._owner, done=called, schema=self._schema))
            del self._called[: len(called)]
            for one, error in called:
                self._calling.pop(one, None)
                self.counts["failed" if error else "delivered"] += 1

    async def _take(self) -> int:
        """Takes what there is room for; how much it was."""
        took = 0
        if room := max(0, TAKEN_MAX - len(self._making)):
            taken = await self._ask(
                lambda connection: outbox.take_events(
                    connection, self._owner, list(self._events.publishers), room, self._lease_s, schema=self._schema
                )
            )
            for one in taken:
                self._making[one.seq] = one
                self._group.create_task(self._make(one))
            took += len(taken)
        names, room = list(self._events.subscribers), max(0, CALLS_MAX - len(self._calling))
        if names and room:
            handed = await self._ask(
                lambda connection: outbox.take_deliveries(
                    connection, self._owner, names, room, self._lease_s, schema=self._schema
                )
            )
            for delivery, event in handed:
                self._calling[delivery] = event
                self._group.create_task(self._call(delivery, event))
            took += len(handed)
        return took

    async def _renew(self) -> None:
        """Once in a third of the lease: what runs stays ours."""
        now = time.monotonic()
        if self._is_idle or now - self._held_at < self._lease_s / 3:
            return
        self._held_at = now
        arguments = (self._owner, list(self._making), list(self._calling), self._lease_s)
        await self._ask(lambda connection: outbox.hold_events(connection, *arguments, schema=self._schema))

    async def _make(self, taken: Taken) -> None:
        form = LOST
        if not taken.is_lost:
            form = await formed(taken.occurrence, self._events.publishers, self._calls, self._bytes_max)
        if form.problem is not None:
            said = {"event_name": taken.occurrence.name, "task": str(taken.occurrence.task_uuid), "error": form.problem}
            log.error("an event was not published", status=form.status, **said)
        self._made.append(Made(taken.seq, form.status, form.payload, form.metadata, form.problem))
        self._wake.set()

    async def _call(self, delivery: Delivery, event: DomainEvent) -> None:
        error: str | None = None
        try:
            await self._calls(self._events.subscribers[delivery.subscriber].call, event)
        except Exception as raised:
            # A user's subscriber may raise anything; the event comes to it again.
            error = f"{type(raised).__name__}: {raised}".replace("\0", "?")[:PROBLEM_LENGTH_MAX]
            about = {"subscriber": delivery.subscriber, "event_name": event.name, "event_id": str(event.event_id)}
            log.error("a subscriber failed", tries=delivery.tries, error=error, **about)
        self._called.append((delivery, error))
        self._wake.set()
