"""Why tasks wait, and the dead letter queue, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx2
from api_support import create

NOBODY = "01987654-0000-7000-8000-000000000001"


async def test_why_a_task_waits(api: httpx2.AsyncClient) -> None:
    """Every open step names what it waits for: here a worker that nobody has started, and a step before it."""
    made = await create(api)
    found = (await api.get(f"/v1/tasks/{made['task_uuid']}/why")).json()
    kinds = {step["name"]: {condition["kind"] for condition in step["conditions"]} for step in found["steps"]}
    assert "no_worker" in kinds["check"] and "parents" in kinds["charge"]
    assert found["said"] and all(c["said"] for step in found["steps"] for c in step["conditions"])
    assert (await api.get(f"/v1/tasks/{NOBODY}/why")).status_code == 404


async def _entry(api: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    """An entry that was made by hand."""
    made = await create(api, **fields)
    answer = await api.post("/v1/dlq", json={"task_uuid": made["task_uuid"], "notes": "look at it", "actor": "ada"})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_entry_is_made_found_and_resolved(api: httpx2.AsyncClient) -> None:
    """An entry is in every list while it is pending, and what came of it is kept with who said so."""
    entry = await _entry(api)
    assert (entry["dlq_reason"], entry["resolution_status"], entry["original_state"]) == (
        "manual_dlq",
        "pending",
        "pending",
    )
    uuid, task = entry["dlq_entry_uuid"], entry["task_uuid"]
    assert [one["dlq_entry_uuid"] for one in (await api.get("/v1/dlq")).json()] == [uuid]
    assert (await api.get(f"/v1/dlq/task/{task}")).json()["dlq_entry_uuid"] == uuid
    queue = (await api.get("/v1/dlq/investigation-queue")).json()
    assert (queue[0]["task_uuid"], queue[0]["task_name"]) == (task, "order") and queue[0]["priority_score"] > 0
    summary = (await api.get(f"/v1/tasks/{task}/summary")).json()
    assert summary["dlq"] == {"in_dlq": True, "dlq_reason": "manual_dlq", "resolution_status": "pending"}
    said = {"resolution_status": "ManuallyResolved", "resolution_notes": "was nothing", "resolved_by": "bob"}
    done = await api.patch(f"/v1/dlq/entry/{uuid}", json=said)
    assert done.json() == {"success": True, "message": "the entry is updated", "dlq_entry_uuid": uuid}
    found = (await api.get(f"/v1/dlq/entry/{uuid}")).json()
    assert (found["resolution_status"], found["resolved_by"]) == ("manually_resolved", "bob")
    assert [event["actor"] for event in found["events"]] == ["ada", "bob"]
    assert (await api.get("/v1/dlq", params={"resolution_status": "pending"})).json() == []
    stats = (await api.get("/v1/dlq/stats")).json()
    assert [(one["dlq_reason"], one["manually_resolved"]) for one in stats if one["total_entries"]] == [
        ("manual_dlq", 1)
    ]
    assert (await api.get("/v1/dlq/staleness")).json()[0]["health_status"] == "healthy"


async def test_an_entry_is_requeued(busy_api: httpx2.AsyncClient) -> None:
    """Its task's failed steps are tried again; where nothing failed that is refused."""
    made = await create(busy_api, context={"amount": -1})
    await busy_api.get(f"/v1/tasks/{made['task_uuid']}", params={"wait": "30s"})
    entry = (await busy_api.post("/v1/dlq", json={"task_uuid": made["task_uuid"]})).json()
    path = f"/v1/dlq/entry/{entry['dlq_entry_uuid']}/requeue"
    assert (await busy_api.post(path, json={"reason": "again"})).json()["steps"] == 1
    fresh = await _entry(busy_api, delay_s=600)
    refused = await busy_api.post(f"/v1/dlq/entry/{fresh['dlq_entry_uuid']}/requeue")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "BAD_REQUEST")


async def test_what_is_not_there(api: httpx2.AsyncClient) -> None:
    """An entry, or an entry of a task, that does not exist."""
    for path in (f"/v1/dlq/task/{NOBODY}", f"/v1/dlq/entry/{NOBODY}"):
        assert (await api.get(path)).json()["error"]["code"] == "NOT_FOUND"
    assert (await api.post("/v1/dlq", json={"task_uuid": NOBODY})).status_code == 404
    assert (await api.get("/v1/dlq", params={"resolution_status": "lost"})).status_code == 400
