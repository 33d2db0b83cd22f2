"""Steps: what the messages of gRPC say otherwise than the operations."""

from __future__ import annotations

from tasker.model.errors import InvalidInput
from tasker.operations import steps
from tasker.server.grpc.asked import Asked, Fields

_BY = {"reset_for_retry": "reset_by", "resolve_manually": "resolved_by", "complete_manually": "completed_by"}


async def list_steps(asked: Asked) -> Fields:
    """All steps, in one page."""
    found = await asked.call(steps.list_steps)
    return {"steps": found, "pagination": {"total": len(found), "count": len(found), "offset": 0, "has_more": False}}


async def resolve_step(asked: Asked) -> Fields:
    """The step after the action."""
    said = dict(asked.fields)
    of_step = {name: said.pop(name) for name in ("task_uuid", "step_uuid") if name in said}
    if (action := said.get("action_type")) is None:
        raise InvalidInput(f"action_type: say which, one of {', '.join(_BY)}")
    if not said.get("performed_by"):
        raise InvalidInput("performed_by: say who does it")
    said[_BY[action]] = said.pop("performed_by")
    said.setdefault("reason", "")
    completion = {name: said.pop(name) for name in ("result", "metadata") if name in said}
    if action == "complete_manually":
        said["completion_data"] = completion
    elif completion:
        raise InvalidInput(f"{next(iter(completion))}: it goes with complete_manually alone")
    return {"step": await asked.call(steps.act_on_step, {**of_step, "action": said})}
