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
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from tasker.model.outcome import released
from tasker.store.connection import Connection
from tasker.store.replies import Reply, Told
from tasker.store.verbs import Report, Serving, Verbs
from tasker.worker.admission import Admission
from tasker.worker.executor import Executor
from tasker.worker.held import Held
from tasker.worker.log import log
from tasker.worker.outbox import Batch, Grants, Outbox
from tasker.worker.reporting import Reporting
from tasker.worker.slots import Slots
from tasker.worker.submissions import Answer, Prepare, Submissions

DEFERRED_PAUSE_S = 0.002
LINGER_DELAY_S = 1.0
CLAIM_PAUSE_S = 0.005
FAREWELL_ROUNDS_MAX = 20


Views = Mapping[UUID, tuple[str, str]]


def unheard(outcomes: Sequence[Held], told: Sequence[Told]) -> None:
    """Nobody listens to domain events."""


class Turns:
    """The loop of one session. `ended` is told of each task that a report ended, with what it has become where
    `is_awaited` says that somebody waits for it; `told` of the domain events that steps of a report publish;
    `left` when a report left steps for others."""

    def __init__(
        self,
        verbs: Verbs,
        slots: Slots,
        admission: Admission,
        *,
        poll_s: float,
        ended: Callable[[Sequence[tuple[UUID, str]], Views], None],
        is_awaited: Callable[[UUID], bool] = lambda _: False,
        told: Callable[[Sequence[Held], Sequence[Told]], None] = unheard,
        left: Callable[[], object] = lambda: None,
    ) -> None:
        self._told = told
        self._left = left
        self._verbs = verbs
        self._slots = slots
        self._admission = admission
        self.poll_s = poll_s
        self._ended = ended
        self._is_awaited = is_awaited
        self.executor: Executor
        self.serving = Serving()
        self.session = 0
        self.counts: Counter[str] = Counter()
        self.next_due_s: float | None = None
        self._wake = asyncio.Event()
        self._outbox = Outbox()
        self._grants = Grants()
        self._reporting = Reporting(self._outbox, self._grants, self._call_report, self._reported)
        self._submissions = Submissions(verbs)
        self._is_resting = False
        self._alone: Held | None = None
        self._alone_runs = False
        self._is_hungry = True
        self._asked: Sequence[int] = ()
        self._claimed_at = 0.0
        self._is_uncertain = False
        self.session_ended = False
        self.is_draining = False
        self._is_held_off = False

    # What others tell the loop --------------------------------------------------------------------------------------

    def wake(self) -> None:
        """There may be work: look now."""
        self._is_hungry = True
        self._wake.set()

    async def submit_here(self, prepare: Prepare, count: int) -> Answer:
        """Submits so many tasks in the next turn, if the loop has nothing else to do and may have room for them; else
        answers None at once."""
        is_free = self._is_resting and self.is_idle and not self.is_draining and not self._submissions
        if self._is_held_off or not is_free or count > sum(self._room()):
            return None
        self._wake.set()
        return await self._submissions.put(prepare)

    def done(self, held: Held) -> None:
        """The executor has finished with a step; one without an outcome was taken away and is only let go."""
        if held is self._alone:
            self._forget_alone()
        if held.outcome is None:
            self._grants.let_go(held)
        else:
            self._outbox.put(held)
        self._wake.set()

    def lost(self, gone: Sequence[tuple[UUID, int, int]]) -> None:
        """These attempts are held no longer: their handlers are stopped, their outcomes would be stale."""
        for task_id, number, attempt in gone:
            waiting = self._alone if not self._alone_runs else None
            held = self._slots.get((task_id, number)) or waiting
            if held is None or held.key != (task_id, number) or held.attempt != attempt or held.is_gone:
                continue
            self.counts["gone"] += 1
            if held is waiting:
                self._grants.let_go(held)
                self._forget_alone()
            else:
                self.executor.stop(held)

    def hold_off(self, is_held_off: bool) -> None:
        """Whether the session is to take nothing new for now: the database would grant it nothing."""
        if self._is_held_off and not is_held_off:
            self.wake()
        self._is_held_off = is_held_off

    def drain(self) -> None:
        """Take nothing more; what has not started goes back."""
        self.is_draining = True
        self._slots.is_open = False
        if self._alone is not None and not self._alone_runs:
            self._hand_back(self._alone)
            self._forget_alone()
        self._wake.set()

    @property
    def is_idle(self) -> bool:
        """True when nothing runs and nothing waits to be reported."""
        return not self._slots and not self._outbox and self._alone is None

    @property
    def takes_work(self) -> bool:
        """False while it has no room, is not to take anything, or does not reach the engine."""
        return any(self._room()) and not (self._is_held_off or self.is_draining or self._is_uncertain)

    def running(self) -> list[Held]:
        """What runs, or is about to. Safe to call from another thread."""
        alone = self._alone
        return [*self._slots.all(), *([alone] if alone is not None and not self._alone_runs else [])]

    # The loop -------------------------------------------------------------------------------------------------------

    async def run(self, connection: Connection) -> None:
        """Turns on this connection until the session ends, or all is done while draining.

        Raises CONNECTION_ERRORS when the connection is cut, and what else the database refuses; call again with a new
        connection.
        """
        try:
            if self._is_uncertain:
                await self._settle_uncertainty(connection)
            while not self.session_ended:
                await self._turn(connection)
                if self.is_draining and self.is_idle:
                    return
                if not (self.session_ended or self._outbox.has_ready or self._may_claim()):
                    await self._rest()
        except BaseException:
            self._is_uncertain = True
            raise
        finally:
            self._submissions.give_up()

    async def _turn(self, connection: Connection) -> None:
        await asyncio.sleep(0)  # what has just begun may end at once: then it leaves with this report, and makes room
        self._wake.clear()
        batch = self._outbox.take()
        if batch is not None:
            await self._reporting.report(connection, batch)
        if self._submissions:
            await self._submit(connection)
        elif self._alone is not None:
            await self._run_alone(connection, self._alone)
        elif self._may_claim():
            await self._claim(connection)

    def _room(self) -> list[int]:
        """The free slots of the pools that this session's handlers use."""
        return [free if pool in self.serving.pools else 0 for pool, free in enumerate(self._slots.free(), 1)]

    def _may_claim(self) -> bool:
        """True when something may be there, with room for a good part of it or after a while without a claim."""
        if self.session_ended or self._is_held_off or self._alone is not None:
            return False
        since_s = time.monotonic() - self._claimed_at
        if not self._is_hungry and since_s < self.poll_s:
            return False
        room = sum(self._room())
        return room > 0 and (since_s > CLAIM_PAUSE_S or room * 4 >= room + len(self._slots))

    async def _rest(self) -> None:
        """Sleeps until something is done, someone wakes it, the next step is due, or it is time to look."""
        wait_s = self.poll_s
        if any(self._room()):
            wait_s = wait_s if self.next_due_s is None else min(wait_s, max(self.next_due_s, 0.001))
            wait_s = CLAIM_PAUSE_S if self._is_hungry else wait_s
        late_s = self._outbox.next_s
        wait_s = wait_s if late_s is None else min(wait_s, late_s)
        self._is_resting = True
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            self._is_hungry = True
        finally:
            self._is_resting = False

    async def _claim(self, connection: Connection) -> None:
        self._asked = self._room()
        self._claimed_at = time.monotonic()
        # A claim that is not filled empties the lanes: the next look is when something happens, from this moment on.
        self._is_hungry = False
        may_be_alone = self._alone is None and not self.is_draining
        reply = await self._verbs.claim(connection, self.session, self.serving, self._asked, may_be_alone=may_be_alone)
        self.counts["claims"] += 1
        self.counts["vain_claims"] += not reply.grants
        self.next_due_s = reply.next_due_s
        await self._take_in(connection, reply, ())

    async def _submit(self, connection: Connection) -> None:
        self._asked = self._room()
        reply = await self._submissions.make_next(connection, self.session, self.serving, self._asked)
        if reply is not None:
            await self._take_in(connection, reply, ())

    # Reporting ------------------------------------------------------------------------------------------------------

    async def _call_report(self, connection: Connection, batch: Batch, grants: list[int]) -> Reply:
        report, awaited = Report(), list[UUID]()
        for held in batch.outcomes:
            assert held.outcome is not None  # noqa: S101 - only finished steps are in the outbox
            report.add(held.task_id, held.number, held.attempt, held.outcome, held.run_s)
            if held.plan.is_last and self._is_awaited(held.task_id):
                awaited.append(held.task_id)
        self._asked = self._room()
        return await self._verbs.report(
            connection,
            self.session,
            report,
            grants,
            self.serving,
            self._asked,
            may_wait=batch.is_late,
            awaited=awaited,
        )

    async def _reported(self, connection: Connection, batch: Batch, reply: Reply) -> None:
        self.counts["reports"] += 1
        self.counts["outcomes"] += len(batch.outcomes)
        await self._take_in(connection, reply, batch.outcomes)
        if any(held.plan.is_batch for held in batch.outcomes):
            self._is_hungry = True  # the next members of their batches have become ready
        if batch.is_late and not any(verdict.verdict == "deferred" for verdict in reply.verdicts):
            self._outbox.late_went()
        if reply.told:
            self._told(batch.outcomes, reply.told)
        if reply.left:
            self._left()
        if reply.ended:
            self._ended(reply.ended, reply.views)

    # Taking in ------------------------------------------------------------------------------------------------------

    async def _take_in(self, connection: Connection, reply: Reply, batch: Sequence[Held]) -> None:
        """Starts what was granted, puts back what was deferred, lets go of what is recorded."""
        if reply.session_ended:
            self.session_ended = True
        deferred = self._judge(reply, batch)
        new = await self._admission.admit(connection, reply, batch) if reply.grants else []
        for held in new:
            self._grants.add(held)
        for held in batch:
            if deferred and (held.task_id, held.number, held.attempt) in deferred:
                self._outbox.defer(held)
            else:
                self._grants.let_go(held)
        for held in new:
            self._begin(held)
        if deferred and len(deferred) == len(batch):
            await asyncio.sleep(DEFERRED_PAUSE_S)
        # A reply that filled a pool may have left something behind, even if other steps have ended meanwhile.
        taken = Counter(held.pool for held in new)
        if any(0 < free <= taken[pool] for pool, free in enumerate(self._asked)):
            self._is_hungry = True

    def _judge(self, reply: Reply, batch: Sequence[Held]) -> set[tuple[UUID, int, int]]:
        """Counts the verdicts; answers the attempts whose outcomes are to be sent again."""
        deferred: set[tuple[UUID, int, int]] = set()
        for verdict in reply.verdicts:
            self.counts[verdict.verdict] += 1
            if verdict.verdict == "deferred":
                deferred.add((verdict.task_id, verdict.number, verdict.attempt))
            elif verdict.verdict == "stale":
                log.warning("an outcome came too late", task=str(verdict.task_id), number=verdict.number)
        return deferred

    def _begin(self, held: Held) -> None:
        if held.outcome is not None:  # it could not be made ready to run
            self._outbox.put(held)
        elif self._slots.is_running(held.key):
            self._hand_back(held, LINGER_DELAY_S)
        elif self.is_draining or (held.is_alone and self._alone is not None):
            self._hand_back(held)
        elif held.is_alone:
            self._alone, self._alone_runs = held, False
            self._slots.is_open = False
        else:
            self._slots.take(held)
            self.executor.start(held)

    def _hand_back(self, held: Held, delay_s: float | None = None) -> None:
        held.outcome = released(delay_s)
        self._outbox.put(held)

    # Alone ----------------------------------------------------------------------------------------------------------

    async def _run_alone(self, connection: Connection, held: Held) -> None:
        """Runs a suspect when nothing else is in flight, says so first: if the worker dies, it was this step.

        Beside a handler that lingers it says nothing: then the blame would not be certain.
        """
        if self._alone_runs or self._slots or self._outbox.has_ready:
            return
        held.is_announced = True
        if not self._slots.has_lingering:
            key = (held.task_id, held.number, held.attempt)
            reply = await self._verbs.beat(
                connection, self.session, is_idle=False, stale_outcomes=0, started=[(*key, 0.0)], held=[key]
            )
            self.session_ended = self.session_ended or reply.session_ended
            self.lost(reply.gone)
        if self._alone is held and not self.session_ended:
            self._alone_runs = True
            self._slots.take(held)
            self.executor.start(held)

    def _forget_alone(self) -> None:
        self._alone, self._alone_runs = None, False
        self._slots.is_open = not self.is_draining
        self._is_hungry = True

    # After a lost reply, and after the end of a session ---------------------------------------------------------------

    async def _settle_uncertainty(self, connection: Connection) -> None:
        known = [*self.running(), *self._outbox]
        reply = await self._verbs.regrant(
            connection, self.session, list({(held.task_id, held.number, held.attempt): None for held in known})
        )
        self.counts["regrants"] += 1
        self.lost(reply.gone)
        await self._take_in(connection, reply, ())
        self._is_uncertain = False
        self._is_hungry = True

    async def leave_session(self, connection: Connection) -> None:
        """The session has ended: what is done is reported under it (the fence decides), what runs is stopped."""
        for held in self._slots.all():
            self.executor.stop(held)
        if self._alone is not None:
            self._forget_alone()
        await asyncio.sleep(0)
        for _ in range(FAREWELL_ROUNDS_MAX):
            if (batch := self._outbox.take()) is not None:
                await self._reporting.report(connection, batch)
            elif self._outbox:
                await asyncio.sleep(self._outbox.next_s or 0)
        if rest := self._outbox.clear():
            self.counts["stale"] += len(rest)
            log.warning("outcomes could not be recorded before their session ended", outcomes=len(rest))
        self._grants.clear()

    def enter_session(self, session: int) -> None:
        """Begins to turn for a session."""
        self.session = session
        self.session_ended = False
        self._is_uncertain = False
        self._is_hungry = True
