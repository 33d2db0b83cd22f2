"""A worker's session in a test: it claims and reports when it is told to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tasker.model.outcome import Outcome, failed, released, retryable, succeeded
from tasker.store.replies import Grant, Reply
from tasker.store.verbs import Report, Serving, Submit

if TYPE_CHECKING:
    from support.engine import Engine

ERROR = {"error_type": "handler_error", "message": "it broke", "retryable": True}


def success(result: Any = None) -> Outcome:
    """The handler returned this."""
    return succeeded(json.dumps(result))


def passing_fault(retry_after_s: float | None = None, error: dict[str, Any] | None = None) -> Outcome:
    """It failed for a passing reason."""
    return retryable(json.dumps(error or ERROR), retry_after_s)


def lasting_fault(error: dict[str, Any] | None = None) -> Outcome:
    """Trying again cannot help."""
    return failed(json.dumps(error or {**ERROR, "retryable": False}))


def hand_back(delay_s: float | None = None) -> Outcome:
    """It was not started."""
    return released(delay_s)


class Session:
    """One session with its own idea of what it holds. All steps use slot pool 1, of `slots` slots."""

    def __init__(self, engine: Engine, connection: Any, number: int, uuid: UUID, slots: int) -> None:
        self.engine = engine
        self.connection = connection
        self.number = number
        self.uuid = uuid
        self.slots = slots
        self.serving = Serving()
        self.held: dict[tuple[UUID, int], Grant] = {}
        self._grants: set[int] = set()

    @property
    def room(self) -> int:
        """Free slots."""
        return max(0, self.slots - len(self.held))

    async def serve(self, handlers: Sequence[str], queues: Sequence[str] | None = None) -> None:
        """Announces handlers; those of `queues` only, where given."""
        channels = await self.engine.verbs.serve(self.connection, self.number, handlers, queues)
        self.serving = Serving([channel for channel, _ in channels], [1 for _ in channels])

    async def claim(self, most: int | None = None, *, may_be_alone: bool = False) -> list[Grant]:
        """What a claim grants, up to `most` (default: all free slots)."""
        free = self.room if most is None else most
        reply = await self.engine.verbs.claim(
            self.connection, self.number, self.serving, [free], may_be_alone=may_be_alone
        )
        self.take(reply)
        return reply.grants

    async def submit_here(
        self,
        *ids: UUID,
        name: str | None = None,
        context: str = "{}",
        option: str | None = None,
        room: int | None = None,
    ) -> Reply:
        """Submits tasks (default: of the template published last); what it can start at once is granted up to `room`
        (default: all free slots)."""
        templates = self.engine.templates
        made = templates[name] if name else next(reversed(templates.values()))
        options = None if option is None else [option for _ in ids]
        submit = Submit(made.namespace, made.name, None, ids, [context for _ in ids], options)
        return self.take(
            await self.engine.verbs.submit_here(
                self.connection, self.number, self.serving, [self.room if room is None else room], submit
            )
        )

    async def claim_reply(self, most: int | None = None, *, may_be_alone: bool = False) -> Reply:
        """As claim, with all that the verb answered."""
        free = self.room if most is None else most
        reply = await self.engine.verbs.claim(
            self.connection, self.number, self.serving, [free], may_be_alone=may_be_alone
        )
        return self.take(reply)

    async def report(
        self,
        *outcomes: tuple[Grant, Outcome],
        run_s: float = 0.0,
        room: int | None = None,
        may_wait: bool = False,
        finished_grants: Iterable[int] | None = None,
    ) -> Reply:
        """Reports outcomes; what these free is granted up to `room` (default: all slots free after them)."""
        report = Report()
        for grant, outcome in outcomes:
            report.add(grant.task_id, grant.number, grant.attempt, outcome, run_s)
        over = {(grant.task_id, grant.number) for grant, _ in outcomes}
        left = {key: grant for key, grant in self.held.items() if key not in over}
        free = max(0, self.slots - len(left)) if room is None else room
        finished = self._finished() if finished_grants is None else list(finished_grants)
        reply = await self.engine.verbs.report(
            self.connection, self.number, report, finished, self.serving, [free], may_wait=may_wait
        )
        deferred = {(v.task_id, v.number) for v in reply.verdicts if v.verdict == "deferred"}
        self._grants -= set(finished)
        self.held = left | {key: grant for key, grant in self.held.items() if key in deferred}
        return self.take(reply)

    async def succeed(self, *grants: Grant, result: Any = None, **options: Any) -> Reply:
        """Reports that these succeeded."""
        return await self.report(*((grant, success(result)) for grant in grants), **options)

    async def fail(self, *grants: Grant, error: dict[str, Any] | None = None, **options: Any) -> Reply:
        """Reports permanent errors."""
        return await self.report(*((grant, lasting_fault(error)) for grant in grants), **options)

    async def retry(self, *grants: Grant, retry_after_s: float | None = None, **options: Any) -> Reply:
        """Reports errors for a passing reason."""
        return await self.report(*((grant, passing_fault(retry_after_s)) for grant in grants), **options)

    async def release(self, *grants: Grant, delay_s: float | None = None, **options: Any) -> Reply:
        """Hands back what was not started."""
        return await self.report(*((grant, hand_back(delay_s)) for grant in grants), **options)

    async def beat(self, *started: Grant, ago_s: float = 0.0, is_idle: bool = False, stale: int = 0) -> Reply:
        """Says that the session lives, and that these steps have started."""
        return await self.engine.verbs.beat(
            self.connection,
            self.number,
            is_idle=is_idle,
            stale_outcomes=stale,
            started=[(grant.task_id, grant.number, grant.attempt, ago_s) for grant in started],
            held=[(grant.task_id, grant.number, grant.attempt) for grant in self.held.values()],
        )

    async def regrant(self) -> Reply:
        """Names what it holds, and takes what it owns but does not hold."""
        held = [(grant.task_id, grant.number, grant.attempt) for grant in self.held.values()]
        reply = await self.engine.verbs.regrant(self.connection, self.number, held)
        for task_id, number, _ in reply.gone:
            self.held.pop((task_id, number), None)
        return self.take(reply)

    async def end(self, reason: str = "the test ends it", *, is_loss: bool = False) -> int:
        """Ends the session; how many steps it released at once."""
        return await self.engine.verbs.end_session(self.connection, self.number, reason, is_loss=is_loss)

    async def work_off(self, result: Any = None, *, rounds_max: int = 1000) -> int:
        """Runs everything that is ready, each step with success; how many steps it ran."""
        ran = 0
        for _ in range(rounds_max):
            grants = list(self.held.values()) or await self.claim(may_be_alone=True)
            if not grants:
                return ran
            await self.succeed(*grants, result=result)
            ran += len(grants)
        raise AssertionError(f"there is still work after {rounds_max} rounds")

    def take(self, reply: Reply) -> Reply:
        """Holds what the reply grants."""
        for grant in reply.grants:
            self.held[grant.task_id, grant.number] = grant
            self._grants.add(grant.grant_no)
        return reply

    def remember(self) -> tuple[dict[tuple[UUID, int], Grant], set[int]]:
        """What the worker knows, for `recall`."""
        return dict(self.held), set(self._grants)

    def recall(self, known: tuple[dict[tuple[UUID, int], Grant], set[int]]) -> None:
        """As if a reply had never come: the worker knows what it knew before the call."""
        self.held, self._grants = known

    def _finished(self) -> list[int]:
        """Grants of which nothing is held any more. Outcomes that are only now on their way count as held."""
        return sorted(self._grants - {grant.grant_no for grant in self.held.values()})
