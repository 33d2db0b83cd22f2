"""Checkpoints on their way to the database: on a connection of their own, so that no turn waits for them.

A handler waits until its checkpoint is recorded. What waits meanwhile goes in the next call; after a lost reply it is
sent again, which changes nothing where it had arrived.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from tasker.model.errors import RetryableError, StepValidationError
from tasker.store.connection import Connection
from tasker.store.errors import CONNECTION_ERRORS, DatabaseError, refusal
from tasker.store.verbs import Verbs
from tasker.worker.held import Held
from tasker.worker.log import log, words
from tasker.worker.way import Way

BATCH_MAX = 200
_BUSY_PAUSE_S = 0.005
_TROUBLE_PAUSE_S = 0.2
_CALL_S = 10.0


class Checkpoints:
    """Saves checkpoints of the current session, whose number `session` answers."""

    def __init__(self, way: Way, verbs: Verbs, session: Callable[[], int], *, bytes_max: int) -> None:
        self._way = way
        self._verbs = verbs
        self._session = session
        self._bytes_max = bytes_max
        self._waiting: dict[Held, tuple[str, asyncio.Future[None]]] = {}
        self._saving: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._most = BATCH_MAX

    async def save(self, held: Held, state: str) -> None:
        """Returns when this state (JSON) of the step is recorded, which is also a sign of its life.

        Raises StepValidationError where it is too large, and RetryableError where the attempt was taken away.
        """
        if len(state) > self._bytes_max:
            raise StepValidationError(
                f"the checkpoint has {len(state)} bytes as JSON, the limit is {self._bytes_max}: keep what is "
                "accumulated elsewhere, or raise TASKER_CHECKPOINT_BYTES_MAX",
                error_code="checkpoint_too_large",
            )
        recorded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[held] = state, recorded
        if self._saving is None or self._saving.done():
            self._saving = asyncio.create_task(self._save_all())
        await recorded
        held.live()

    async def close(self) -> None:
        """Gives up what waits: its steps are handed back or end without it."""
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.gather(self._saving, return_exceptions=True)
        for _, recorded in self._waiting.values():
            recorded.cancel()
        if self._connection is not None:
            self._connection.terminate()

    async def _save_all(self) -> None:
        while self._waiting:
            batch = dict(list(self._waiting.items())[: self._most])
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await self._way.connect_with_patience(call_timeout_s=_CALL_S)
                is_busy = await self._save_batch(self._connection, batch)
                await asyncio.sleep(_BUSY_PAUSE_S if is_busy else 0)
            except Exception as error:
                if isinstance(error, DatabaseError) and refusal(error) == "data":
                    self._refuse(batch, error)
                    continue
                log.warning("checkpoints could not be saved; trying again", error=words(error))
                if self._connection is not None and isinstance(error, (*CONNECTION_ERRORS, TimeoutError)):
                    self._connection.terminate()
                await asyncio.sleep(_TROUBLE_PAUSE_S)

    def _refuse(self, batch: dict[Held, tuple[str, asyncio.Future[None]]], error: DatabaseError) -> None:
        """The database refused a batch for its data: they go one by one until the bad one is alone, and fails."""
        if len(batch) > 1:
            self._most = 1
            return
        self._most = BATCH_MAX
        for held, (_, recorded) in batch.items():
            del self._waiting[held]
            if not recorded.done():
                message = f"the database refused the checkpoint of this step: {error}"
                recorded.set_exception(StepValidationError(message, error_code="invalid_checkpoint"))

    async def _save_batch(self, connection: Connection, batch: dict[Held, tuple[str, asyncio.Future[None]]]) -> bool:
        """One call; whether some of the steps were busy, and wait on."""
        saves = [(held.task_id, held.number, held.attempt, state) for held, (state, _) in batch.items()]
        verdicts = {
            (verdict.task_id, verdict.number, verdict.attempt): verdict.verdict
            for verdict in await self._verbs.checkpoint(connection, self._session(), saves)
        }
        for held, (_, recorded) in batch.items():
            verdict = verdicts[held.task_id, held.number, held.attempt]
            if verdict == "deferred" and not recorded.done():
                continue
            with suppress(KeyError):
                del self._waiting[held]
            if recorded.done():  # the handler was stopped meanwhile
                continue
            if verdict == "recorded":
                recorded.set_result(None)
            else:
                message = f'step "{held.name}" was taken away from this worker: its checkpoint is not kept'
                recorded.set_exception(RetryableError(message, error_code="attempt_lost"))
        return "deferred" in verdicts.values()
