"""Figures, analysis, reruns and actions on many tasks, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx2
from api_support import create
from support.until import until

NOBODY = "01987654-0000-7000-8000-000000000001"


async def _ended(api: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    made = await create(api, **fields)
    return (await api.get(f"/v1/tasks/{made['task_uuid']}", params={"wait": "30s"})).json()


async def test_how_tasks_fared(busy_api: httpx2.AsyncClient) -> None:
    """Rates, durations, errors and throughput are those of the tasks that ended."""
    for amount in (1, 2, -1):
        await _ended(busy_api, context={"amount": amount})
    found = (await busy_api.get("/v1/analytics/performance", params={"hours": 1})).json()
    assert (found["completed_tasks"], found["failed_tasks"]) == (2, 1)
    assert 0.3 < found["error_rate"] < 0.4 and found["task_seconds"]["p50"] >= 0
    slow = (await busy_api.get("/v1/analytics/bottlenecks", params={"min_executions": 1, "limit": 5})).json()
    assert {step["step_name"] for step in slow["slow_steps"]} == {"check", "charge"}
    assert slow["slow_tasks"][0]["average_step_count"] == 2 and slow["errors"][0]["step"] == "charge"
    assert slow["resource_utilization"]["system_health"]["complete_tasks"] == 2
    groups = (await busy_api.get("/v1/analytics/durations", params={"by": "handler"})).json()
    assert {(one["handler"], one["count"]) for one in groups} == {("check", 3), ("charge", 3)}
    assert (await busy_api.get("/v1/analytics/durations", params={"by": "tasks"})).json()[0]["count"] == 3
    counted = (await busy_api.get("/v1/analytics/throughput", params={"hours": 1, "interval_s": 600})).json()
    assert sum(one["completed"] for one in counted) == 2
    assert (await busy_api.get("/v1/analytics/performance", params={"namespace": "none"})).json()["total_tasks"] == 0
    assert (await busy_api.get("/v1/analytics/throughput", params={"interval_s": 1})).status_code == 400


async def test_a_task_is_analyzed(busy_api: httpx2.AsyncClient) -> None:
    """Its levels, the way that decided how long it took, and what its failure holds up."""
    task = await _ended(busy_api, context={"amount": -1})
    found = (await busy_api.get(f"/v1/tasks/{task['task_uuid']}/analysis")).json()
    assert found["critical_path"] == ["check", "charge"] and len(found["levels"]) == 2
    assert found["error_chains"]
    assert (await busy_api.get(f"/v1/tasks/{NOBODY}/analysis")).status_code == 404


async def test_a_task_is_run_again_from_a_step(busy_api: httpx2.AsyncClient) -> None:
    """Dry, it says what would be done; else a new task comes with the results before the step, and names its origin."""
    task = await _ended(busy_api, context={"amount": -1})
    path = f"/v1/tasks/{task['task_uuid']}/rerun"
    dry = (await busy_api.post(path, json={"from_step": "charge", "dry_run": True})).json()
    assert dry["task_uuid"] is None and [s["what"] for s in dry["steps"]] == ["copied", "again"]
    asked = {"from_step": "charge", "patch": {"amount": 5}, "reason": "a typo", "actor": "ada"}
    made = (await busy_api.post(path, json=asked)).json()
    done = (await busy_api.get(f"/v1/tasks/{made['task_uuid']}", params={"wait": "30s"})).json()
    assert (done["status"], done["context"]) == ("complete", {"amount": 5})
    (fork,) = (await busy_api.get(f"/v1/tasks/{task['task_uuid']}/lineage")).json()
    assert (fork["task_uuid"], fork["from_step"], fork["is_edited"], fork["actor"]) == (
        made["task_uuid"],
        "charge",
        True,
        "ada",
    )
    assert (await busy_api.post(path, json={"from_step": "chrge"})).status_code == 404
    assert (await busy_api.get(f"/v1/tasks/{NOBODY}/lineage")).status_code == 404


async def test_one_action_on_many_tasks(busy_api: httpx2.AsyncClient) -> None:
    """Dry, it counts them; else workers see to each, and the job keeps what became of it."""
    held = [await create(busy_api, delay_s=600, tags=["x"]) for _ in range(3)]
    ended = await _ended(busy_api, context={"amount": 1}, tags=["x"])
    asked = {"action": "cancel", "filter": {"tag": ["x"]}, "reason": "stock-taking", "actor": "ada"}
    dry = (await busy_api.post("/v1/jobs", json={**asked, "dry_run": True})).json()
    assert (dry["count"], dry["job"]) == (4, None)
    job = (await busy_api.post("/v1/jobs", json=asked)).json()["job"]

    async def is_done() -> bool:
        return (await busy_api.get(f"/v1/jobs/{job['job_uuid']}")).json()["status"] == "done"

    await until(is_done, within_s=60)
    items = (await busy_api.get(f"/v1/jobs/{job['job_uuid']}/items")).json()
    assert {item["task_uuid"]: item["status"] for item in items} == {
        **{task["task_uuid"]: "done" for task in held},
        ended["task_uuid"]: "refused",
    }
    assert [one["job_uuid"] for one in (await busy_api.get("/v1/jobs", params={"status": "done"})).json()] == [
        job["job_uuid"]
    ]
    stopped = (await busy_api.post(f"/v1/jobs/{job['job_uuid']}/stop")).json()
    assert stopped["status"] == "done"
    assert (await busy_api.post("/v1/jobs", json={**asked, "filter": {}})).status_code == 400
    assert (await busy_api.get(f"/v1/jobs/{NOBODY}")).status_code == 404


async def test_times_of_any_zone(api: httpx2.AsyncClient) -> None:
    """A time may be said in zones that the database does not know."""
    asked = {"action": "cancel", "filter": {"created_after": "2030-01-01T00:00:00-20:52"}, "dry_run": True}
    assert (await api.post("/v1/jobs", json=asked)).json()["count"] == 0
    found = await api.get("/v1/tasks", params={"completed_after": "2030-01-01T00:00:00-20:52"})
    assert found.json()["tasks"] == []
