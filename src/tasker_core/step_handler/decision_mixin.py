"""The results of decisions."""

from __future__ import annotations

from typing import Any

from tasker_core.types import DecisionPointOutcome, DecisionType, ErrorType, StepHandlerResult


class DecisionMixin:
    """Results of decisions: which of the steps that depend on this one run."""

    @property
    def decision_capabilities(self) -> list[str]:
        """What a decision can do."""
        return ["decision", "routing"]

    def decision_success(
        self,
        steps: list[str],
        routing_context: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> StepHandlerResult:
        """These steps run."""
        outcome = DecisionPointOutcome.create_steps(steps, routing_context=routing_context)
        return self.decision_success_with_outcome(outcome, metadata)

    def decision_success_with_outcome(
        self, outcome: DecisionPointOutcome, metadata: dict[str, Any] | None = None
    ) -> StepHandlerResult:
        """The steps of the outcome run."""
        if outcome.decision_type is DecisionType.NO_BRANCHES:
            return self.decision_no_branches(outcome, metadata)
        said: dict[str, Any] = {"type": "create_steps", "step_names": outcome.next_step_names}
        if outcome.dynamic_steps:
            said["dynamic_steps"] = outcome.dynamic_steps
        if outcome.routing_context:
            said["routing_context"] = outcome.routing_context
        return self._said({"decision_point_outcome": said}, metadata)

    def decision_no_branches(
        self, outcome: DecisionPointOutcome, metadata: dict[str, Any] | None = None
    ) -> StepHandlerResult:
        """No step runs."""
        said: dict[str, Any] = {"decision_point_outcome": {"type": "no_branches"}, "reason": outcome.reason}
        if outcome.routing_context:
            said["routing_context"] = outcome.routing_context
        return self._said(said, metadata)

    def route_to_steps(
        self,
        steps: list[str],
        routing_context: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> StepHandlerResult:
        """Another name of decision_success."""
        return self.decision_success(steps, routing_context, metadata)

    def skip_branches(
        self,
        reason: str,
        routing_context: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> StepHandlerResult:
        """No step runs, and why."""
        return self.decision_no_branches(DecisionPointOutcome.no_branches(reason, routing_context), metadata)

    def decision_failure(
        self,
        message: str,
        error_type: str | ErrorType = "decision_error",
        retryable: bool = False,
        metadata: dict[str, Any] | None = None,
    ) -> StepHandlerResult:
        """The decision cannot be made."""
        return StepHandlerResult.failure(message, error_type, retryable, metadata)

    def _said(self, result: dict[str, Any], metadata: dict[str, Any] | None) -> StepHandlerResult:
        by = {"decision_handler": getattr(self, "name", ""), "decision_version": getattr(self, "version", "")}
        return StepHandlerResult.success(result, {**(metadata or {}), **by})
