"""How the services fail when they are told to.

Two ways, because they differ in what a retry may do. A service that is *unavailable* has done nothing. One that *times
out* has done its work and the answer was lost, which is how a card comes to be charged twice.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

FaultKind = Literal["timeout", "unavailable"]
GOOD_SHARE = 0.95
"""How often a payment with an ordinary token goes through at once."""


class ServiceFault(Exception):
    """A service did not answer: `status` is "timeout" or "service_unavailable"."""

    def __init__(self, service: str, status: str) -> None:
        super().__init__(f"{service}: {status}")
        self.service = service
        self.status = status


@dataclass(frozen=True, slots=True)
class Drill:
    """A fault that one step of one checkout meets in its first executions.

    How often it has struck is not remembered anywhere: it strikes while the step was tried less than `times` times,
    so it means the same after the process that met it was killed.
    """

    step: str
    fault: FaultKind
    times: int

    @classmethod
    def from_input(cls, drill: Mapping[str, Any] | None) -> Drill | None:
        """The drill that a checkout carries in its input, if any."""
        return None if not drill else cls(drill["step"], drill["fault"], drill["times"])

    def as_input(self) -> dict[str, Any]:
        """The same as a field of a checkout's input."""
        return {"step": self.step, "fault": self.fault, "times": self.times}

    def strikes(self, step: str, tries: int) -> bool:
        """Whether this execution meets the fault; `tries` counts the executions before it."""
        return step == self.step and tries < self.times


def token_verdict(token: str, seed: int, tries: int) -> str:
    """What the gateway says to a token: a status, "succeeded" among them.

    Tokens of test traffic say so themselves; of the others 95 % succeed, decided by seed, token and try.
    """
    for prefix, verdict in _VERDICTS.items():
        if token.startswith(prefix):
            return verdict
    chance = random.Random(f"{seed}:{token}:{tries}").random()  # noqa: S311 - chance, not cryptography
    return "succeeded" if chance < GOOD_SHARE else "service_unavailable"


_VERDICTS = {
    "test_success_": "succeeded",
    "test_insufficient_": "insufficient_funds",
    "test_declined_": "card_declined",
    "test_invalid_": "invalid_card",
    "test_rate_limit_": "rate_limited",
    "test_timeout_": "timeout",
    "test_temp_fail_": "service_unavailable",
}
