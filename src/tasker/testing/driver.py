"""A worker for tests: one step at a time, and when nothing can move, the time does.

The verbs, the admission of grants and the executor are those of the worker; what is left out is what makes it fast or
long-lived: slots, batches, the heartbeat, the poll. So the order in which steps begin is the same in every run: it is
the one in which the engine hands them out to a worker with one slot.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import orjson

from tasker.events.telling import occurrences
from tasker.handlers import Handler, outcome_of_error
from tasker.handlers.resolution import offers, system_dependencies
from tasker.model.errors import RetryableError, TaskerError
from tasker.model.event import Occurrence
from tasker.settings import Settings
from tasker.store.replies import Reply
from tasker.store.verbs import Report, Serving, Verbs
from tasker.store.waits import ended_tasks
from tasker.testing.clock import Clock, TimedConnection
from tasker.testing.faults import Fault
from tasker.testing.record import Attempt, AttemptKind
from tasker.testing.stage import Stage
from tasker.worker.admission import Admission
from tasker.worker.checkpoints import Checkpoints
from tasker.worker.held import Held
from tasker.worker.host import host_name
from tasker.worker.outbox import Grants
from tasker.worker.way import DatabaseWay

ATTEMPTS_MAX = 10_000
_SWEEPS_MAX = 1_000
_LEASE_S = 10 * 365 * 86_400.0
"""The clock may jump by days: that must not look like a silent worker."""


class Driver:
    """Works off what is in a database, with these handlers and faults. `attempts` names the task of each."""

    def __init__(
        self,
        dsn: str,
        connection: TimedConnection,
        clock: Clock,
        settings: Settings,
        handlers: Mapping[str, Handler],
        faults: Sequence[Fault],
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._schema = settings.schema_name
        self._verbs = Verbs(self._schema)
        self._handlers = handlers
        self._faults = faults
        self._stage = Stage(settings.result_bytes_max, self._save)
        way = DatabaseWay(dsn, self._schema)
        self._checkpoints = Checkpoints(
            way, self._verbs, lambda: self._session, bytes_max=settings.checkpoint_bytes_max
        )
        self._saved: list[Mapping[str, Any]] = []
        self._fault: Fault | None = None
        self._admission = Admission(self._verbs, handlers, way.read_definition)
        self._grants = Grants()
        self._session = 0
        self._serving = Serving()
        self.attempts: list[tuple[UUID, Attempt]] = []
        self.told: list[UUID] = []
        """The ids of the domain events that reports told of, in their order."""
        self.fast: list[Occurrence] = []
        """Those of them that do not go through the outbox alone."""

    async def work_off(self, awaited: Sequence[UUID]) -> None:
        """Runs what can run, and moves the time, until these tasks have ended or nothing can move.

        Raises TaskerError after ATTEMPTS_MAX attempts: a task that never ends would else never end here.
        """
        try:
            async with self._stage:
                await self._work_off(awaited)
        finally:
            await self._checkpoints.close()

    async def _work_off(self, awaited: Sequence[UUID]) -> None:
        await self._open_session()
        held: Held | None = None
        for _ in range(ATTEMPTS_MAX):
            while held is None:
                reply = await self._claim()
                if reply.session_ended:
                    await self._open_session()
                    continue
                held = await self._admit(reply, ())
                if held is None and not await self._move_on(awaited, reply.next_due_s):
                    await self._end_session("the test is over", is_loss=False)
                    return
            held = await self._run(held)
        raise TaskerError(f"the tasks of this test have not ended after {ATTEMPTS_MAX:,} attempts of steps")

    # The session ------------------------------------------------------------------------------------------------------

    async def _open_session(self) -> None:
        self._session = await self._verbs.open_session(
            self._connection, uuid4(), "testing", host_name(), os.getpid(), _LEASE_S
        )
        channels = await self._verbs.serve(
            self._connection,
            self._session,
            offers(self._handlers),
            None,
            system_dependencies=system_dependencies(self._handlers),
        )
        # One pool, of one slot, for all kinds of handler.
        self._serving = Serving([channel for channel, _ in channels], [1] * len(channels))
        self._grants.clear()

    async def _end_session(self, reason: str, *, is_loss: bool) -> None:
        while await self._verbs.end_session(self._connection, self._session, reason, is_loss=is_loss):
            pass

    # Time -------------------------------------------------------------------------------------------------------------

    async def _claim(self) -> Reply:
        return await self._verbs.claim(self._connection, self._session, self._serving, [1], may_be_alone=True)

    async def _move_on(self, awaited: Sequence[UUID], next_due_s: float | None) -> bool:
        """Nothing is ready: sweeps, else moves the time to what is due next. False: it is over."""
        if awaited and len(await ended_tasks(self._connection, awaited, self._schema)) == len(awaited):
            return False
        if await self._sweep():
            return True
        if next_due_s is None:
            return False
        self._clock.advance(next_due_s)
        return True

    async def _sweep(self) -> bool:
        """Sweeps until there is no more to do; whether a step has moved."""
        moved = 0
        for _ in range(_SWEEPS_MAX):
            swept = await self._verbs.sweep(self._connection)
            moved += sum(swept.get(what, 0) for what in ("released", "promoted", "overdue", "unserved", "breakers"))
            if not swept["more"]:
                break
        return moved > 0

    # Steps ------------------------------------------------------------------------------------------------------------

    async def _admit(self, reply: Reply, batch: Sequence[Held]) -> Held | None:
        """The step that the reply grants, ready to run. There is one slot, so there is one at most."""
        admitted = await self._admission.admit(self._connection, reply, batch) if reply.grants else []
        for held in admitted:
            self._grants.add(held)
        return admitted[0] if admitted else None

    async def _run(self, held: Held) -> Held | None:
        """One attempt; the step that its report hands over."""
        began_at = self._clock.now
        if held.is_alone:
            await self._announce(held)
        fault = await self._run_with_fault(held)
        if fault is not None and fault.error is None:
            await self._lose_worker()
            self._note(held, began_at, "lost", fault)
            return None
        if fault is not None and fault.error is not None:
            held.outcome = outcome_of_error(fault.error)
        reply = await self._report(held)
        verdicts = {verdict.verdict for verdict in reply.verdicts}
        self._note(held, began_at, "stale" if "stale" in verdicts else None, fault)
        if reply.session_ended:
            await self._open_session()
            return None
        return await self._admit(reply, [held])

    async def _run_with_fault(self, held: Held) -> Fault | None:
        """Runs the handler, as far as the attempt's fault lets it; the fault, if it happened."""
        names = (held.name, held.plan.step.name)
        fault = next((fault for fault in self._faults if fault.meets(names, held.attempt)), None)
        if held.outcome is not None:  # no handler is asked: a batch gets its members, or something is missing
            fault = None
        self._fault, self._saved = fault, []
        waits = fault is not None and fault.after_checkpoint is not None
        if held.outcome is None and (fault is None or fault.after_handler or waits):
            await self._stage.run(held)
        is_missed = fault is not None and waits and len(self._saved) < (fault.after_checkpoint or 0)
        return None if is_missed else fault

    async def _save(self, held: Held, state: str) -> None:
        """A checkpoint, as the worker saves it. Where a fault comes after it, the handler ends here."""
        await self._checkpoints.save(held, state)
        self._saved.append(orjson.loads(state))
        if self._fault is not None and self._fault.after_checkpoint == len(self._saved):
            raise RetryableError("a fault of the test ends the step after this checkpoint")

    async def _announce(self, held: Held) -> None:
        """A step that lost its worker runs alone, and says so first: if the worker is lost again, it was this step."""
        key = (held.task_id, held.number, held.attempt)
        await self._verbs.beat(
            self._connection, self._session, is_idle=False, stale_outcomes=0, started=[(*key, 0.0)], held=[key]
        )

    async def _report(self, held: Held) -> Reply:
        assert held.outcome is not None  # noqa: S101 - nothing is taken away from the stage
        report = Report()
        report.add(held.task_id, held.number, held.attempt, held.outcome, held.run_s)
        reply = await self._verbs.report(
            self._connection, self._session, report, self._grants.take_finished(), self._serving, [1], may_wait=True
        )
        self._grants.let_go(held)
        self.told += [one.event_id for one in reply.told]
        self.fast += occurrences([held], reply.told)
        return reply

    async def _lose_worker(self) -> None:
        """The process dies: its session ends as a lost one, and another worker comes."""
        await self._end_session("its worker was lost in a test", is_loss=True)
        await self._open_session()

    def _note(self, held: Held, began_at: datetime, kind: AttemptKind | None, fault: Fault | None) -> None:
        outcome = None if kind == "lost" else held.outcome
        payload = None if outcome is None or outcome.payload is None else orjson.loads(outcome.payload)
        is_failure = outcome is not None and outcome.kind in ("failed", "retryable")
        attempt = Attempt(
            step=held.name,
            attempt=held.attempt,
            tries=held.tries,
            kind=kind or (outcome.kind if outcome is not None else "released"),
            began_at=began_at,
            ended_at=self._clock.now,
            result=None if is_failure else payload,
            error=payload if is_failure else None,
            retry_after=None if outcome is None else outcome.retry_after_s,
            checkpoints=tuple(self._saved),
            is_injected=fault is not None,
        )
        self.attempts.append((held.task_id, attempt))
