"""The turn of a worker on the network: report and claim, safe to repeat, in one call that may wait for work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from tasker.model.errors import TurnSuperseded
from tasker.operations import worker_words as words
from tasker.operations.registry import Access, Scope, operation
from tasker.operations.reporting import Recording, outcomes_of
from tasker.operations.worker_answers import taken
from tasker.operations.worker_sessions import PERMISSION, Session
from tasker.store.connection import Connection
from tasker.store.remote import Turn
from tasker.store.replies import Reply
from tasker.store.verbs import Report

LOOK_FIRST_S, LOOK_MAX_S = 0.1, 1.0
"""How soon a call that waits for work looks again without being woken; the pause doubles."""


@operation(PERMISSION, Scope.ACROSS)
async def take_worker_turn(access: Access, given: words.TakeTurn) -> words.TurnTaken:
    """Report outcomes, and take steps to run: those that the outcomes free, or others that are ready

    Each turn has a higher number than the one before; a call that comes late is refused (409). After an answer that was
    lost, the next turn names all that the worker holds.
    """
    session = Session(access, given.session_uuid)
    calls = _TurnCalls(session, given)
    found = Reply()
    if given.held is not None:
        found = await calls.regrant()
    outcomes, refused = outcomes_of(given.outcomes, session.settings.result_bytes_max)
    recording = Recording(calls.report)
    if outcomes:
        await recording.record(outcomes)
    for reply in recording.replies:
        _join(found, reply)
    if any(reply.left for reply in recording.replies):
        access.engine.woken()  # others may take what this session was not handed
    superseded = False
    if given.claim and any(given.free) and not found.grants and not found.session_ended:
        superseded = not await _claim(session, given, calls, found)
    answer = taken(found, superseded=superseded)
    more = [*recording.verdicts, *_unsaid(refused, answer.verdicts)]
    return answer.model_copy(update={"verdicts": [*answer.verdicts, *more]}) if more else answer


class _TurnCalls:
    """The verbs of one turn; the first of them claims its number."""

    def __init__(self, session: Session, given: words.TakeTurn) -> None:
        self._session, self._given = session, given
        self._is_first = True

    async def regrant(self) -> Reply:
        """What the worker does not hold, and what it holds in vain."""
        held = [(one.task_uuid, one.number, one.attempt) for one in self._given.held or ()]
        remote, whose = self._session.remote, self._session.whose
        return await self._asked(lambda connection, turn: remote.regrant(connection, whose, turn, held))

    async def report(self, report: Report) -> Reply:
        """Some of the outcomes."""
        remote, whose, given = self._session.remote, self._session.whose, self._given
        return await self._asked(
            lambda connection, turn: remote.report(connection, whose, turn, report, given.free, may_wait=given.may_wait)
        )

    async def claim(self) -> Reply:
        """Further steps."""
        remote, whose, given = self._session.remote, self._session.whose, self._given
        return await self._asked(
            lambda connection, turn: remote.claim(connection, whose, turn, given.free, may_be_alone=given.may_be_alone)
        )

    async def _asked(self, verb: Callable[[Connection, Turn], Awaitable[Reply]]) -> Reply:
        """Asked once: nobody knows what a call did whose connection was cut; the worker's next turn finds out."""
        turn = Turn(self._given.turn, self._is_first)
        reply = await self._session.turning.ask_once(lambda connection: verb(connection, turn))
        self._is_first = False
        return reply


async def _claim(session: Session, given: words.TakeTurn, calls: _TurnCalls, found: Reply) -> bool:
    """Claims, again and again while there is nothing and the turn waits. False: a newer turn has begun meanwhile."""
    now = asyncio.get_running_loop().time
    until, pause_s = now() + min(given.wait, session.settings.wait_s_max), LOOK_FIRST_S
    has_waited = False
    while True:
        seen = session.turning.wakes
        try:
            reply = await calls.claim()
        except TurnSuperseded:
            if not has_waited:
                raise
            return False
        _join(found, reply)
        left_s = until - now()
        if reply.grants or reply.session_ended or left_s <= 0:
            return True
        due_s = pause_s if reply.next_due_s is None else min(pause_s, max(reply.next_due_s, 0.001))
        woken = await session.turning.beyond(seen, min(due_s, left_s))
        has_waited, pause_s = True, LOOK_FIRST_S if woken else min(pause_s * 2, LOOK_MAX_S)


def _join(whole: Reply, part: Reply) -> None:
    """Adds what a further call of the same turn answered."""
    whole.grants += part.grants
    whole.inputs |= part.inputs
    whole.correlation_ids |= part.correlation_ids
    whole.items |= part.items
    for task_id, results in part.results.items():
        whole.results.setdefault(task_id, {}).update(results)
    whole.verdicts += part.verdicts
    whole.gone += part.gone
    whole.ended += part.ended
    whole.next_due_s = part.next_due_s
    whole.session_ended = whole.session_ended or part.session_ended


def _unsaid(
    refused: Sequence[words.OutcomeVerdict], said: Sequence[words.OutcomeVerdict]
) -> list[words.OutcomeVerdict]:
    """What was refused, unless it was not recorded as a failure either."""
    known = {(one.task_uuid, one.number, one.attempt) for one in said}
    return [one for one in refused if (one.task_uuid, one.number, one.attempt) not in known]
