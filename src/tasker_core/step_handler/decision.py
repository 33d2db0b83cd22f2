"""Decisions as classes."""

from __future__ import annotations

from tasker_core.step_handler.base import StepHandler
from tasker_core.step_handler.decision_mixin import DecisionMixin


class DecisionHandler(DecisionMixin, StepHandler):
    """A handler that chooses which of the steps that depend on it run."""

    @property
    def capabilities(self) -> list[str]:
        """What it can do."""
        return ["process", "decision", "routing"]
