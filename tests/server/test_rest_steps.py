"""Steps and accounts of tasks over HTTP."""

from __future__ import annotations

from typing import Any

import httpx2
from api_support import create


async def _failed(api: httpx2.AsyncClient) -> tuple[str, dict[str, Any]]:
    """A task in error, and its step that failed."""
    made = await create(api, context={"amount": -1})
    task = (await api.get(f"/v1/tasks/{made['task_uuid']}", params={"wait": "30s"})).json()
    assert task["status"] == "error"
    steps = (await api.get(f"/v1/tasks/{made['task_uuid']}/workflow_steps")).json()
    return made["task_uuid"], steps[1]


async def test_steps_say_how_they_ended(busy_api: httpx2.AsyncClient) -> None:
    """A step shows its state, result or error, and what it depends on; alone it looks the same."""
    task, failed = await _failed(busy_api)
    steps = (await busy_api.get(f"/v1/tasks/{task}/workflow_steps")).json()
    assert [(step["name"], step["current_state"]) for step in steps] == [("check", "complete"), ("charge", "error")]
    assert steps[0]["results"] == {"amount": -1} and steps[0]["completed_at"]
    assert "negative" in failed["error"]["message"] and (failed["total_parents"], failed["completed_parents"]) == (1, 1)
    assert (await busy_api.get(f"/v1/tasks/{task}/workflow_steps/{failed['step_uuid']}")).json() == failed


async def test_a_step_is_completed_by_hand(busy_api: httpx2.AsyncClient) -> None:
    """The task goes on with the result that was given, and the audit says who gave it and why."""
    task, failed = await _failed(busy_api)
    path = f"/v1/tasks/{task}/workflow_steps/{failed['step_uuid']}"
    action = {
        "action_type": "complete_manually",
        "completion_data": {"result": {"paid": "cash"}, "metadata": {"till": 3}},
        "reason": "paid in cash",
        "completed_by": "ada",
    }
    done = (await busy_api.patch(path, json=action)).json()
    assert (done["current_state"], done["results"]) == ("complete", {"paid": "cash"})
    assert (await busy_api.get(f"/v1/tasks/{task}")).json()["status"] == "complete"
    audit = (await busy_api.get(f"{path}/audit")).json()
    assert [(row["to_state"], row["success"]) for row in audit] == [("error", False), ("complete", True)]
    assert audit[0]["execution_time_ms"] >= 0 and audit[0]["worker"]
    assert (audit[1]["result"]["actor"], audit[1]["result"]["reason"]) == ("ada", 'paid in cash {"till":3}')


async def test_a_step_is_resolved_or_tried_again(busy_api: httpx2.AsyncClient) -> None:
    """Resolving lets the task end; what is complete cannot be tried again."""
    task, failed = await _failed(busy_api)
    path = f"/v1/tasks/{task}/workflow_steps/{failed['step_uuid']}"
    again = {"action_type": "reset_for_retry", "reason": "gateway is back", "reset_by": "ada", "seen_attempt": 1}
    assert (await busy_api.patch(path, json=again)).status_code == 200
    assert (await busy_api.get(f"/v1/tasks/{task}", params={"wait": "30s"})).json()["status"] == "error"
    stale = await busy_api.patch(path, json=again)
    assert (stale.status_code, stale.json()["error"]["code"]) == (400, "BAD_REQUEST")
    resolved = await busy_api.patch(
        path, json={"action_type": "resolve_manually", "reason": "given for free", "resolved_by": "ada"}
    )
    assert resolved.json()["current_state"] == "resolved_manually"
    assert (await busy_api.patch(path, json=again)).status_code == 400


async def test_wrong_actions_are_refused(busy_api: httpx2.AsyncClient) -> None:
    """Another action, a missing name, and a step of another task."""
    task, failed = await _failed(busy_api)
    path = f"/v1/tasks/{task}/workflow_steps/{failed['step_uuid']}"
    for body in ({}, {"action_type": "dance"}, {"action_type": "reset_for_retry", "reason": "x"}):
        assert (await busy_api.patch(path, json=body)).json()["error"]["code"] == "BAD_REQUEST"
    other = await create(busy_api)
    there = f"/v1/tasks/{other['task_uuid']}/workflow_steps/{failed['step_uuid']}"
    assert (await busy_api.get(there)).json()["error"]["code"] == "NOT_FOUND"


async def test_a_summary_is_the_task_on_one_page(busy_api: httpx2.AsyncClient) -> None:
    """It has the task, the template's steps, each step with its error, and where the time went."""
    task, _ = await _failed(busy_api)
    found = (await busy_api.get(f"/v1/tasks/{task}/summary")).json()
    assert (found["task"]["status"], found["task"]["failed_steps"]) == ("error", 1)
    assert [step["handler"] for step in found["template"]["steps"]] == ["check", "charge"]
    assert found["steps"][0]["error"] is None and "negative" in found["steps"][1]["error"]["message"]
    assert found["links"]["steps"] == f"/v1/tasks/{task}/workflow_steps"
    assert found["timing"]["critical_path"] == ["check", "charge"]


async def test_history_and_data(busy_api: httpx2.AsyncClient) -> None:
    """The history has every move of the task and its steps; the data is the input and the results."""
    made = await create(busy_api, context={"amount": 1})
    task = made["task_uuid"]
    await busy_api.get(f"/v1/tasks/{task}", params={"wait": "30s"})
    moves = (await busy_api.get(f"/v1/tasks/{task}/history")).json()
    assert [m["to_state"] for m in moves if m["step_name"] is None][-1] == "complete"
    assert {m["step_name"] for m in moves} == {None, "check", "charge"}
    data = (await busy_api.get(f"/v1/tasks/{task}/context")).json()
    assert data["inputs"] == {"amount": 1} and data["outputs"]["charge"] == {"paid": True}
    assert data["merged"] == {**data["inputs"], **data["outputs"]}
