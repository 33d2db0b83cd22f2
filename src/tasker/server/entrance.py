"""The entrance to a server process: what all its faces share, so that no face counts for itself.

Who calls, who guesses at keys, who was refused, and the figures of it all.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tasker.model.errors import Forbidden, Unauthenticated
from tasker.operations import ANYBODY, Engine, Operation, Principal
from tasker.operations.registry import OutOfReach
from tasker.server.auth import Authenticator
from tasker.server.callers import Callers, GuessingRefused
from tasker.server.metrics import Metrics
from tasker.server.refused_calls import RefusedCalls
from tasker.store.refusals import Refusal

REFUSALS = (Unauthenticated, Forbidden, OutOfReach, GuessingRefused)
"""The errors that say no to a caller, and not to what it sent."""


@dataclass(slots=True)
class Attempt:
    """A call on its way in: what it asks for, and who calls as soon as that is known."""

    face: str
    what: str
    address: str
    permission: str | None = None
    principal: Principal | None = None

    def seeks(self, operation: Operation[Any]) -> None:
        """The call is about this operation."""
        self.what, self.permission = operation.name, operation.permission


class Entrance:
    """One for a process; without an authenticator every caller may do everything."""

    def __init__(self, engine: Engine, authenticator: Authenticator | None) -> None:
        self.engine = engine
        self.metrics = Metrics()
        self.refused = RefusedCalls(engine)
        per_minute = engine.settings.auth_failures_per_minute
        self._callers = None if authenticator is None else Callers(authenticator, per_minute)

    @property
    def asks_who_calls(self) -> bool:
        """Whether callers have to say who they are."""
        return self._callers is not None

    async def caller(self, headers: Mapping[str, str], attempt: Attempt) -> Principal:
        """Who calls. Raises Unauthenticated, Forbidden, GuessingRefused."""
        if self._callers is None:
            return ANYBODY
        attempt.principal = await self._callers.principal(headers, attempt.address)
        return attempt.principal

    @contextmanager
    def watched(self, attempt: Attempt) -> Generator[None]:
        """What is refused inside is recorded."""
        try:
            yield
        except REFUSALS as error:
            self._note(attempt, error)
            raise

    def _note(self, attempt: Attempt, error: Exception) -> None:
        principal = attempt.principal
        claimed = error.key_id if isinstance(error, Unauthenticated) else None
        reason = error.reason if isinstance(error, Unauthenticated) else _reason(error)
        self.metrics.refused(attempt.face, reason)
        self.refused.note(
            Refusal(
                reason=reason,
                face=attempt.face,
                what=attempt.what,
                who=claimed or "" if principal is None else principal.subject,
                address=attempt.address,
                is_proven=principal is not None,
                permission=attempt.permission,
                namespace=error.namespace if isinstance(error, Forbidden | OutOfReach) else None,
            )
        )


def _reason(error: Exception) -> str:
    if isinstance(error, OutOfReach):
        return "out_of_reach"
    return "guessing" if isinstance(error, GuessingRefused) else "forbidden"
