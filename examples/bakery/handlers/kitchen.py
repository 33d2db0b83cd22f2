"""The oven: a long step that saves how far it is."""

from __future__ import annotations

from collections import Counter

from tasker_core import StepContext, StepHandler, StepHandlerResult, log_info
from tasker_core.batch_processing import Batchable
from tasker_core.errors import RetryableError

OVEN: Counter[str] = Counter()
"""How many loaves were baked for each task: what must not happen twice."""


class BakeHandler(StepHandler, Batchable):
    """One tray, then a checkpoint: a power cut costs no tray that is out of the oven."""

    handler_name = "Bakery::BakeHandler"

    def call(self, context: StepContext) -> StepHandlerResult:
        """The loaves that are baked, once all are."""
        wanted: int = context.get_dependency_field("plan_baking", "loaf_count")
        per_tray: int = context.get_config("loaves_per_tray")
        baked: int = context.checkpoint_cursor or 0
        if context.get_input("power_cut_after") == baked and not context.is_retry():
            raise RetryableError("the power was cut")
        tray = min(per_tray, wanted - baked)
        OVEN[str(context.task_uuid)] += tray
        trays = (context.accumulated_results or {"trays": 0})["trays"] + 1
        log_info("a tray is out of the oven", {"tray": trays, "loaves": tray})
        if baked + tray < wanted:
            return self.checkpoint_yield(baked + tray, baked + tray, {"trays": trays})
        return self.success({"loaves": wanted, "trays": trays})
