"""Decisions: a step that chooses which of the steps that depend on it will run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

OUTCOME_KEY = "decision_point_outcome"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the handler of a decision returns: `Decision.route(["ship"])`, or `Decision.skip("nothing to ship")`.

    `reason` and `context` are kept with the result, for people and for the steps that follow.
    """

    steps: tuple[str, ...]
    reason: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def route(cls, steps: str | Sequence[str], reason: str | None = None, **context: Any) -> Decision:
        """These steps run, by name: one, or several. Each has to depend on the decision."""
        return cls((steps,) if isinstance(steps, str) else tuple(steps), reason, context)

    @classmethod
    def skip(cls, reason: str | None = None, **context: Any) -> Decision:
        """No branch runs."""
        return cls((), reason, context)

    def to_result(self) -> dict[str, Any]:
        """The step's result."""
        outcome: dict[str, Any] = {"type": "no_branches"}
        if self.steps:
            outcome = {"type": "create_steps", "step_names": list(dict.fromkeys(self.steps))}
        return {OUTCOME_KEY: outcome, "reason": self.reason, "routing_context": dict(self.context)}
