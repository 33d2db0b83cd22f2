"""Reporting: a batch of outcomes leaves the outbox, and comes back as far as it was not recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tasker.handlers import outcome_of_error
from tasker.model.errors import StepValidationError
from tasker.store.connection import Connection
from tasker.store.errors import CONNECTION_ERRORS, DatabaseError, refusal
from tasker.store.replies import Reply
from tasker.worker.log import log
from tasker.worker.outbox import Batch, Grants, Outbox

CONFLICT_PAUSE_S = 0.05
Call = Callable[[Connection, Batch, list[int]], Awaitable[Reply]]
"""Makes the call, with a batch and the grants that are over."""
TakeIn = Callable[[Connection, Batch, Reply], Awaitable[None]]
"""What follows from its reply."""


class Reporting:
    """What to do with a batch when the call with it fails."""

    def __init__(self, outbox: Outbox, grants: Grants, call: Call, take_in: TakeIn) -> None:
        self._outbox = outbox
        self._grants = grants
        self._call = call
        self._take_in = take_in

    async def report(self, connection: Connection, batch: Batch) -> None:
        """Reports a batch. Whatever is raised, nothing of it is lost: it is reported again."""
        grants = self._grants.take_finished()
        try:
            await self._try(connection, batch, grants)
        except BaseException:
            for held in batch.outcomes:
                if not held.is_let_go:
                    self._outbox.put(held)
            self._grants.put_back(grants)
            raise

    async def _try(self, connection: Connection, batch: Batch, grants: list[int]) -> None:
        try:
            reply = await self._call(connection, batch, grants)
        except CONNECTION_ERRORS:
            raise
        except DatabaseError as error:
            await self._after_refusal(connection, batch, grants, error)
        else:
            await self._take_in(connection, batch, reply)

    async def _after_refusal(
        self, connection: Connection, batch: Batch, grants: list[int], error: DatabaseError
    ) -> None:
        """The database refused a batch. What is wrong with one outcome must not stop the others: it is halved until
        that one is alone; bad data then fails its step, what is stuck goes later. All of a task that somebody holds is
        stuck together. What is wrong with the database is raised."""
        reason = refusal(error)
        if reason == "away":
            raise error
        if reason == "conflict":
            for held in batch.outcomes:
                self._outbox.put(held)
            self._grants.put_back(grants)
            await asyncio.sleep(CONFLICT_PAUSE_S)
            return
        if reason != "busy" and len(batch.outcomes) > 1:
            middle = len(batch.outcomes) // 2
            await self._try(connection, Batch(batch.outcomes[:middle], batch.is_late), grants)
            await self._try(connection, Batch(batch.outcomes[middle:], batch.is_late), [])
            return
        held = batch.outcomes[0]
        about = {"task": str(held.task_id), "step": held.name, "error": str(error)}
        if reason == "data" and not held.is_refused:
            log.error("the database refused an outcome: the step fails", **about)
            held.is_refused = True
            message = f"the database refused the outcome of this step: {error}"
            held.outcome = outcome_of_error(StepValidationError(message, error_code="invalid_result"))
            await self._try(connection, batch, grants)
            return
        log.warning(
            "outcomes cannot be recorded now: they are kept and sent again", **about, outcomes=len(batch.outcomes)
        )
        for held in batch.outcomes:
            self._outbox.postpone(held)
        self._grants.put_back(grants)
