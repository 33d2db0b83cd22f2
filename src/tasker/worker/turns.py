"""The turn: report what is done, then claim what there is room for. One loop, one session, one call at a time.

The problem: a step must not wait for a timer, a saturated worker must not send a call per step, and whatever happens
between sending a call and its reply, nothing may be lost or run twice.

- The loop reports as soon as there is an outcome and no call is under way. What ends meanwhile gathers and goes in the
  next call: batches grow with the load, by themselves.
- It claims when it has room and something may be there: it was woken, the last claim was filled, or a while has gone.
- When a call fails, nobody knows whether it happened. The outcomes stay in memory, and the next call is `regrant`,
  which names what this worker holds; the answer settles both differences. Then the outcomes are reported again; those
  recorded before answer `already`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from uuid import UUID

import asyncpg
import orjson
import structlog

from tasker.model.outcome import failed, released
from tasker.store.connection import Connection
from tasker.store.errors import CONNECTION_ERRORS
from tasker.store.verbs import Reply, Report, Serving, Verbs
from tasker.worker.admission import Admission
from tasker.worker.executor import Executor
from tasker.worker.held import Held
from tasker.worker.slots import Slots

BATCH_MAX = 500
DEFERRED_ROUNDS_MAX = 4
DEFERRED_PAUSE_S = 0.002
TRANSIENT_PAUSE_S = 0.05
LINGER_DELAY_S = 1.0
CLAIM_PAUSE_S = 0.005
_TRANSIENT_CLASSES = ("40", "53", "55", "57", "58")
_log = structlog.get_logger("tasker.worker")


class Turns:
    """The loop of one session. `ended` is told of each task that a report ended."""

    def __init__(
        self,
        verbs: Verbs,
        slots: Slots,
        admission: Admission,
        *,
        poll_s: float,
        ended: Callable[[Sequence[tuple[UUID, str]]], None],
    ) -> None:
        self._verbs = verbs
        self._slots = slots
        self._admission = admission
        self._poll_s = poll_s
        self._ended = ended
        self.executor: Executor
        self.serving = Serving()
        self.session = 0
        self.counts: Counter[str] = Counter()
        self.next_due_s: float | None = None
        self._wake = asyncio.Event()
        self._outbox: deque[Held] = deque()
        self._finished_grants: list[int] = []
        self._grant_sizes: Counter[int] = Counter()
        self._alone: Held | None = None
        self._alone_runs = False
        self._is_hungry = True
        self._claimed_at = 0.0
        self._is_uncertain = False
        self.session_ended = False
        self.is_draining = False

    # What others tell the loop --------------------------------------------------------------------------------------

    def wake(self) -> None:
        """There may be work: look now."""
        self._is_hungry = True
        self._wake.set()

    def done(self, held: Held) -> None:
        """The executor has finished with a step; one without an outcome was taken away and is only let go."""
        if held is self._alone:
            self._alone, self._alone_runs = None, False
            self._slots.is_open = not self.is_draining
        if held.outcome is None:
            self._let_go(held)
            return
        self._outbox.append(held)
        self._wake.set()

    def lost(self, gone: Sequence[tuple[UUID, int, int]]) -> None:
        """These attempts are held no longer: their handlers are stopped, their outcomes would be stale."""
        for task_id, number, attempt in gone:
            held = self._slots.get((task_id, number))
            if held is not None and held.attempt == attempt:
                self.counts["gone"] += 1
                self._stop(held)
            elif self._alone is not None and self._alone.key == (task_id, number) and not self._alone_runs:
                self._forget_alone()

    def drain(self) -> None:
        """Take nothing more; what has not started goes back."""
        self.is_draining = True
        self._slots.is_open = False
        if self._alone is not None and not self._alone_runs:
            alone = self._alone
            self._forget_alone(let_go=False)
            alone.outcome = released()
            self._outbox.append(alone)
        self._wake.set()

    @property
    def is_idle(self) -> bool:
        """True when nothing runs and nothing waits to be reported."""
        return not self._slots and not self._outbox and self._alone is None

    @property
    def in_flight(self) -> int:
        """How many steps run or wait to be reported."""
        return len(self._slots) + len(self._outbox) + (self._alone is not None and not self._alone_runs)

    def held(self) -> list[tuple[UUID, int, int]]:
        """Every attempt that this worker holds, reported or not."""
        known = [*self._slots.all(), *self._outbox, *([self._alone] if self._alone else [])]
        return list({(held.task_id, held.number, held.attempt): None for held in known})

    # The loop -------------------------------------------------------------------------------------------------------

    async def run(self, connection: Connection) -> None:
        """Turns on this connection until the session ends, or all is done while draining.

        Raises CONNECTION_ERRORS when the connection is cut; call again with a new one.
        """
        try:
            if self._is_uncertain:
                await self._settle_uncertainty(connection)
            while not self.session_ended:
                await self._turn(connection)
                if self.is_draining and self.is_idle:
                    return
        except BaseException:
            self._is_uncertain = True
            raise

    async def _turn(self, connection: Connection) -> None:
        self._wake.clear()
        if self._outbox:
            await self._report(connection)
        if self._alone is not None:
            await self._run_alone(connection)
        elif self._may_claim():
            await self._claim(connection)
        if not self._outbox and not self._may_claim():
            await self._rest()

    def _room(self) -> list[int]:
        """The free slots of the pools that this session's handlers use."""
        return [free if pool in self.serving.pools else 0 for pool, free in enumerate(self._slots.free(), 1)]

    def _may_claim(self) -> bool:
        """True when something may be there and there is room for a good part of it, or the last claim is a while ago."""
        if not self._is_hungry or self.session_ended or self._alone is not None:
            return False
        room = sum(self._room())
        is_due = time.monotonic() - self._claimed_at > CLAIM_PAUSE_S
        return room > 0 and (is_due or room * 4 >= room + len(self._slots))

    async def _rest(self) -> None:
        """Sleeps until something is done, someone wakes it, the next step is due, or it is time to look."""
        wait_s = self._poll_s if self.next_due_s is None else min(self._poll_s, max(self.next_due_s, 0.001))
        if self._is_hungry and any(self._room()):
            wait_s = CLAIM_PAUSE_S
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            self._is_hungry = True

    async def _claim(self, connection: Connection) -> None:
        room = self._room()
        self._claimed_at = time.monotonic()
        reply = await self._verbs.claim(
            connection, self.session, self.serving, room, may_be_alone=self._alone is None and not self.is_draining
        )
        self.counts["claims"] += 1
        self.next_due_s = reply.next_due_s
        # A claim that was not filled has emptied the lanes: the next look is when something happens.
        self._is_hungry = False
        await self._take_in(connection, reply, ())
        left = self._room()
        self._is_hungry = self._is_hungry or any(before and not after for before, after in zip(room, left, strict=True))

    # Reporting ------------------------------------------------------------------------------------------------------

    async def _report(self, connection: Connection) -> None:
        batch = [self._outbox.popleft() for _ in range(min(len(self._outbox), BATCH_MAX))]
        grants, self._finished_grants = self._finished_grants, []
        try:
            await self._send(connection, batch, grants)
        except BaseException:
            # Whether it was recorded is not known: it is reported again.
            self._outbox.extendleft(reversed([held for held in batch if held.outcome is not None]))
            self._finished_grants += grants
            raise

    async def _send(self, connection: Connection, batch: list[Held], grants: list[int]) -> None:
        report = Report()
        for held in batch:
            assert held.outcome is not None  # noqa: S101 - only finished steps are in the outbox
            report.add(held.task_id, held.number, held.attempt, held.outcome, held.run_s)
        may_wait = any(held.rounds >= DEFERRED_ROUNDS_MAX for held in batch)
        free = self._room()
        try:
            reply = await self._verbs.report(
                connection, self.session, report, grants, self.serving, free, may_wait=may_wait
            )
        except CONNECTION_ERRORS:
            raise
        except asyncpg.PostgresError as error:
            await self._after_refusal(connection, batch, grants, error)
            return
        self.counts["reports"] += 1
        self.counts["outcomes"] += len(batch)
        await self._take_in(connection, reply, batch)
        if reply.ended:
            self._ended(reply.ended)

    async def _after_refusal(
        self, connection: Connection, batch: list[Held], grants: list[int], error: asyncpg.PostgresError
    ) -> None:
        """The database refused a batch: a passing conflict is tried again, bad data is halved until it is alone."""
        sqlstate = str(getattr(error, "sqlstate", "") or "")
        if sqlstate[:2] in _TRANSIENT_CLASSES:
            self._outbox.extend(batch)
            self._finished_grants += grants
            await asyncio.sleep(TRANSIENT_PAUSE_S)
            return
        if len(batch) > 1:
            middle = len(batch) // 2
            await self._send(connection, batch[:middle], grants)
            await self._send(connection, batch[middle:], [])
            return
        held = batch[0]
        _log.error(
            "the database refused an outcome", task=str(held.task_id), step=held.plan.step.name, error=str(error)
        )
        held.outcome = failed(_refused(error))
        if held.rounds > DEFERRED_ROUNDS_MAX:
            raise error
        held.rounds += 1
        await self._send(connection, batch, grants)

    # Taking in ------------------------------------------------------------------------------------------------------

    async def _take_in(self, connection: Connection, reply: Reply, batch: Sequence[Held]) -> None:
        """Starts what was granted, puts back what was deferred, lets go of what is recorded."""
        if reply.session_ended:
            self.session_ended = True
        deferred = self._judge(reply, batch)
        new = await self._admission.admit(connection, reply, batch) if reply.grants else []
        for held in new:
            self._grant_sizes[held.grant_no] += 1
        for held in batch:
            if (held.task_id, held.number, held.attempt) not in deferred:
                self._let_go(held)
        for held in new:
            self._begin(held)
        if deferred and len(deferred) == len(batch):
            await asyncio.sleep(DEFERRED_PAUSE_S)

    def _judge(self, reply: Reply, batch: Sequence[Held]) -> set[tuple[UUID, int, int]]:
        """Counts the verdicts; the deferred outcomes are in the outbox again."""
        deferred: set[tuple[UUID, int, int]] = set()
        for verdict in reply.verdicts:
            self.counts[verdict.verdict] += 1
            if verdict.verdict == "deferred":
                deferred.add((verdict.task_id, verdict.number, verdict.attempt))
            elif verdict.verdict == "stale":
                _log.warning("an outcome came too late", task=str(verdict.task_id), number=verdict.number)
        if deferred:
            for held in batch:
                if (held.task_id, held.number, held.attempt) in deferred:
                    held.rounds += 1
                    self._outbox.append(held)
        return deferred

    def _begin(self, held: Held) -> None:
        if held.is_alone and self._alone is None:
            self._alone, self._alone_runs = held, False
            self._slots.is_open = False
        elif self.is_draining or self._slots.is_lingering(held.key):
            held.outcome = released(LINGER_DELAY_S if self._slots.is_lingering(held.key) else None)
            self._outbox.append(held)
            self._wake.set()
        else:
            self._slots.take(held)
            self.executor.start(held)

    def _let_go(self, held: Held) -> None:
        """Nothing of this grant is held any more once its last step is let go."""
        if held.is_let_go:
            return
        held.is_let_go = True
        self._grant_sizes[held.grant_no] -= 1
        if self._grant_sizes[held.grant_no] <= 0:
            del self._grant_sizes[held.grant_no]
            self._finished_grants.append(held.grant_no)

    def _stop(self, held: Held) -> None:
        self.executor.stop(held)

    # Alone ----------------------------------------------------------------------------------------------------------

    async def _run_alone(self, connection: Connection) -> None:
        """Runs a suspect when nothing else is in flight, says so first: if the worker dies, it was this step."""
        held = self._alone
        if held is None or self._alone_runs or len(self._slots) or self._outbox:
            return
        started = [(held.task_id, held.number, held.attempt, 0.0)]
        await self._verbs.beat(connection, self.session, is_idle=False, stale_outcomes=0, started=started, held=[])
        self._alone_runs = True
        held.is_announced = True
        self._slots.take(held)
        self.executor.start(held)

    def _forget_alone(self, *, let_go: bool = True) -> None:
        if self._alone is not None and let_go:
            self._let_go(self._alone)
        self._alone, self._alone_runs = None, False
        self._slots.is_open = not self.is_draining

    # After a lost reply, and after the end of a session ---------------------------------------------------------------

    async def _settle_uncertainty(self, connection: Connection) -> None:
        reply = await self._verbs.regrant(connection, self.session, self.held())
        self.counts["regrants"] += 1
        self.lost(reply.gone)
        await self._take_in(connection, reply, ())
        self._is_uncertain = False
        self._is_hungry = True

    async def leave_session(self, connection: Connection) -> None:
        """The session has ended: what is done is reported under it (the fence decides), what runs is stopped."""
        for held in self._slots.all():
            self._stop(held)
        self._forget_alone()
        await asyncio.sleep(0)
        while self._outbox:
            await self._report(connection)
        self._finished_grants.clear()
        self._grant_sizes.clear()

    def enter_session(self, session: int) -> None:
        """Begins to turn for a session."""
        self.session = session
        self.session_ended = False
        self._is_uncertain = False
        self._is_hungry = True

    def seconds_running(self) -> list[tuple[UUID, int, int, float]]:
        """The steps that have started and were not announced yet, with how many seconds ago."""
        now = time.monotonic()
        fresh = [held for held in self._slots.all() if held.started_at and not held.is_announced]
        for held in fresh:
            held.is_announced = True
        return [(held.task_id, held.number, held.attempt, now - held.started_at) for held in fresh]


def _refused(error: asyncpg.PostgresError) -> str:
    message = f"the database refused the outcome of this step: {error}"
    return orjson.dumps({"error_type": "invalid_result", "message": message, "retryable": False}).decode()
