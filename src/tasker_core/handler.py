"""Another home of two names."""

from tasker_core.registry import HandlerRegistry
from tasker_core.step_handler import StepHandler

__all__ = ["HandlerRegistry", "StepHandler"]
