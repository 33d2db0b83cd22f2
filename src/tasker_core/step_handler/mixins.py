"""What handlers can be given beside StepHandler."""

from tasker_core.step_handler.api import APIMixin, ApiResponse
from tasker_core.step_handler.decision_mixin import DecisionMixin

__all__ = ["APIMixin", "ApiResponse", "DecisionMixin"]
