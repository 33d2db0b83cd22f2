"""Breakers and handlers of the older interface: its words for a system that is down count too."""

from __future__ import annotations

import pytest

from tasker.handlers import as_handler
from tasker.testing import run_handler
from tasker_core import StepHandler, StepHandlerResult, errors
from tasker_core.step_handler.functional import step_handler
from tasker_core.types import StepContext


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (errors.NetworkError("x"), True),
        (errors.ServiceUnavailableError("x"), True),
        (errors.RateLimitError("x"), False),
        (errors.PermanentError("x"), False),
        (ValueError("x"), False),
    ],
)
def test_what_handlers_raise_counts_by_its_class(error: Exception, counts: bool) -> None:
    """Of functions and of classes alike."""

    @step_handler("function")
    def function():
        raise error

    class Handler(StepHandler):
        handler_name = "class"

        def call(self, context: StepContext) -> StepHandlerResult:
            raise error

    for handler in (function, Handler):
        record = run_handler(handler).error or {}
        assert record.get("is_dependency_failure", False) is counts


def test_a_class_names_its_system() -> None:
    """As the engine's own classes do."""

    class Handler(StepHandler):
        handler_name = "class"
        system_dependency = "gateway"

        def call(self, context: StepContext) -> StepHandlerResult:
            return StepHandlerResult.success({})

    assert as_handler(Handler).system_dependency == "gateway"
