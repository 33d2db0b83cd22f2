"""Steps over gRPC: repairing them by hand."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_support import Client, detail_of, state, step_of


@pytest.fixture
async def failed(client: Client) -> dict[str, str]:
    """A step that failed, by its ids."""
    made = await client.finished(context={"amount": -1})
    step = await step_of(client, made.task_uuid, "charge")
    return {"task_uuid": made.task_uuid, "step_uuid": step.step_uuid}


async def test_a_step_is_tried_again(client: Client, failed: dict[str, str]) -> None:
    """It runs anew, and the history says who wished it."""
    path = ("StepService", "ResolveStep")
    action = {"action_type": 1, "performed_by": "ada", "reason": "the bank is back"}
    await client.call(*path, **failed, **action)
    await client.call("TaskService", "GetTask", task_uuid=failed["task_uuid"], wait_s=60)
    assert (await client.call("StepService", "GetStep", **failed)).step.attempt == 2
    audit = await client.call("StepService", "GetStepAudit", **failed)
    assert "the bank is back" in str(audit)
    assert "ada" in str(audit)


async def test_a_step_is_resolved_and_its_task_goes_on(client: Client, failed: dict[str, str]) -> None:
    """Without a result; the task is complete."""
    action = {"action_type": 2, "performed_by": "ada", "reason": "paid in cash"}
    found = await client.call("StepService", "ResolveStep", **failed, **action)
    assert state(found.step) == "STEP_STATE_RESOLVED_MANUALLY"
    assert (
        state((await client.call("TaskService", "GetTask", task_uuid=failed["task_uuid"])).task)
        == "TASK_STATE_COMPLETE"
    )


@pytest.mark.parametrize(
    ("fields", "code", "says"),
    [
        ({}, "INVALID_ARGUMENT", "action_type"),
        ({"action_type": 7}, "INVALID_ARGUMENT", "action_type"),
        ({"action_type": 1}, "INVALID_ARGUMENT", "performed_by"),
        ({"action_type": 2, "performed_by": "a", "result": {"a": 1}}, "INVALID_ARGUMENT", "result"),
        ({"action_type": 1, "performed_by": "a", "metadata": {"a": 1}}, "INVALID_ARGUMENT", "metadata"),
        ({"action_type": 3, "performed_by": "a"}, "INVALID_ARGUMENT", "result"),
        ({"action_type": 2, "performed_by": "a", "seen_attempt": 9}, "FAILED_PRECONDITION", "attempt"),
        ({"action_type": 2, "performed_by": "a", "step_uuid": "x"}, "INVALID_ARGUMENT", "step_uuid"),
    ],
)
async def test_an_action_that_cannot_be_is_told(
    client: Client, failed: dict[str, str], fields: dict[str, Any], code: str, says: str
) -> None:
    """What is missing, what goes with another action, and what was not seen so, is refused, and changes nothing."""
    with pytest.raises(aio.AioRpcError) as caught:
        await client.call("StepService", "ResolveStep", **{**failed, "reason": "r", **fields})
    assert caught.value.code() is getattr(grpc.StatusCode, code)
    assert says in detail_of(caught.value).message
    assert state((await client.call("StepService", "GetStep", **failed)).step) == "STEP_STATE_ERROR"


async def test_a_step_of_another_task_is_not_found(client: Client, failed: dict[str, str]) -> None:
    """Steps are those of their task."""
    other = await client.create()
    with pytest.raises(aio.AioRpcError) as caught:
        await client.call("StepService", "GetStep", task_uuid=other.task_uuid, step_uuid=failed["step_uuid"])
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
