"""Steps as classes, which the template names by their paths."""

from __future__ import annotations

from bakery.handlers.models import PRICES_CENTS
from tasker_core import StepContext, StepHandler, StepHandlerResult


class PriceOrder(StepHandler):
    """The sum of the order, with the discount of its template."""

    handler_name = "Bakery::PriceOrder"
    handler_version = "1.1.0"

    def call(self, context: StepContext) -> StepHandlerResult:
        """The price in cents."""
        loaves = context.get_dependency_field("check_order", "loaves") or {}
        count = context.get_dependency_field("check_order", "loaf_count") or 0
        total = sum(PRICES_CENTS[name] * number for name, number in loaves.items())
        percent = context.get_config("discount_percent") if count >= context.get_config("discount_from") else 0
        return self.success(
            {"total_cents": total - total * percent // 100, "discount_percent": percent},
            metadata={"price_list": "spring"},
        )


class Desk(StepHandler):
    """Two questions, each a method of its own: the template says which is asked."""

    def call(self, context: StepContext) -> StepHandlerResult:
        """Nobody asks without a question."""
        return self.failure("say which question, by `method`", retryable=False)

    def ask_owner(self, context: StepContext) -> StepHandlerResult:
        """She likes large orders."""
        return self.success({"agreed_by": "the owner"})

    def check_credit(self, context: StepContext) -> StepHandlerResult:
        """The bank minds who asks."""
        customer = context.task_sequence_step.get_task_field("customer")
        if customer == "a stranger":
            return self.failure("no credit for a stranger", "permanent_error", retryable=False, error_code="NO_CREDIT")
        return self.success({"agreed_by": "the bank"})
