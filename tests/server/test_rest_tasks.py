"""Tasks over HTTP: created once, looked at, waited for, ended and held."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from api_support import create

from tasker.model.ids import uuid7


async def test_a_task_is_created_and_shown(api: httpx2.AsyncClient) -> None:
    """What was asked for is what the task says of itself, at once and later."""
    made = await create(
        api, context={"amount": 3}, initiator="ada", source_system="till", reason="a sale", tags=["a", "b"], priority=2
    )
    found = (await api.get(f"/v1/tasks/{made['task_uuid']}")).json()
    assert found == made
    assert (found["status"], found["context"], found["tags"], found["priority"]) == (
        "pending",
        {"amount": 3},
        ["a", "b"],
        2,
    )
    assert (found["total_steps"], found["ready_steps"], found["version"]) == (2, 1, "1.0.0")
    assert [step["name"] for step in found["steps"]] == ["check", "charge"]
    assert found["completed_at"] is None and found["correlation_id"]


@pytest.mark.parametrize("field", ["idempotency_key", "task_uuid"])
async def test_a_repeat_is_the_same_task(api: httpx2.AsyncClient, field: str) -> None:
    """The same key, or the same id, with the same content names the task that exists."""
    fields: dict[str, Any] = {field: str(uuid7()), "context": {"amount": 1}}
    first, second = await create(api, **fields), await create(api, **fields)
    assert second["task_uuid"] == first["task_uuid"]
    assert (first["is_duplicate"], second["is_duplicate"]) == (False, True)


async def test_a_conflict_names_the_task_that_exists(api: httpx2.AsyncClient) -> None:
    """The same key with other content is a conflict, whose body says which task has the key."""
    first = await create(api, idempotency_key="k", context={"amount": 1})
    answer = await api.post(
        "/v1/tasks", json={"name": "order", "namespace": "shop", "idempotency_key": "k", "context": {"amount": 2}}
    )
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "CONFLICT"
    assert answer.json()["error"]["task_uuid"] == first["task_uuid"]


async def test_many_tasks_are_created_together(api: httpx2.AsyncClient) -> None:
    """A bulk request creates all of its tasks, in order, and says which were there."""
    body = {"name": "order", "namespace": "shop", "tasks": [{"idempotency_key": "a"}, {"idempotency_key": "b"}]}
    first, second = (await api.post("/v1/tasks/bulk", json=body)).json(), await api.post("/v1/tasks/bulk", json=body)
    assert (first["created"], first["duplicates"]) == (2, 0)
    again = second.json()
    assert (again["created"], again["duplicates"]) == (0, 2)
    assert [t["task_uuid"] for t in again["tasks"]] == [t["task_uuid"] for t in first["tasks"]]


async def test_none_is_created_if_one_is_refused(api: httpx2.AsyncClient, idle: Any) -> None:
    """A bulk request with one wrong task creates nothing."""
    body = {"name": "order", "namespace": "shop", "tasks": [{}, {"context": {"amount": "much"}}]}
    answer = await api.post("/v1/tasks/bulk", json=body)
    assert answer.status_code == 400
    assert "amount" in answer.json()["error"]["message"]
    assert (await idle.stats())["tasks"] == {}


async def test_waiting_answers_when_the_task_has_ended(busy_api: httpx2.AsyncClient) -> None:
    """With `wait` the answer is the ended task, with the time of its end."""
    made = await create(busy_api, context={"amount": 3})
    done = (await busy_api.get(f"/v1/tasks/{made['task_uuid']}", params={"wait": "30s"})).json()
    assert (done["status"], done["completed_steps"], done["completion_percentage"]) == ("complete", 2, 100)
    assert done["completed_at"] >= done["created_at"]


async def test_waiting_ends_with_its_time(api: httpx2.AsyncClient) -> None:
    """A task that does not end in the time is answered as it is then."""
    made = await create(api)
    answer = await api.get(f"/v1/tasks/{made['task_uuid']}", params={"wait": "50ms"})
    assert (answer.status_code, answer.json()["status"]) == (200, "pending")


async def test_a_task_is_cancelled_once(api: httpx2.AsyncClient) -> None:
    """DELETE ends a task; of one that has ended it is refused."""
    made = await create(api)
    first = await api.delete(f"/v1/tasks/{made['task_uuid']}")
    assert (first.status_code, first.json()["status"]) == (200, "cancelled")
    second = await api.delete(f"/v1/tasks/{made['task_uuid']}")
    assert (second.status_code, second.json()["error"]["code"]) == (400, "BAD_REQUEST")


async def test_a_task_is_held_and_let_go(api: httpx2.AsyncClient) -> None:
    """A paused task keeps its state and has no ready steps; resumed it has them again."""
    made = await create(api)
    held = (await api.post(f"/v1/tasks/{made['task_uuid']}/pause", json={"reason": "stock-taking"})).json()
    assert (held["is_paused"], held["ready_steps"], held["status"]) == (True, 0, "pending")
    free = (await api.post(f"/v1/tasks/{made['task_uuid']}/resume")).json()
    assert (free["is_paused"], free["ready_steps"]) == (False, 1)


NOBODY = "01987654-0000-7000-8000-000000000001"
WRONG: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("GET", "/v1/tasks/abc", {}, 400, "INVALID_UUID"),
    ("GET", f"/v1/tasks/{NOBODY}", {}, 404, "NOT_FOUND"),
    ("DELETE", f"/v1/tasks/{NOBODY}", {}, 404, "NOT_FOUND"),
    ("GET", f"/v1/tasks/{NOBODY}?wait=long", {}, 400, "BAD_REQUEST"),
    ("GET", f"/v1/tasks/{NOBODY}?wat=1s", {}, 400, "BAD_REQUEST"),
    ("POST", "/v1/tasks", {"content": b"{", "headers": {"content-type": "application/json"}}, 400, "JSON_ERROR"),
    ("POST", "/v1/tasks", {"content": b"[]", "headers": {"content-type": "application/json"}}, 400, "JSON_ERROR"),
    ("POST", "/v1/tasks", {"content": b"a=b"}, 400, "JSON_ERROR"),
    ("POST", "/v1/tasks", {"json": {"name": "a\0b"}}, 400, "JSON_ERROR"),
    ("POST", "/v1/tasks", {"json": {}}, 400, "BAD_REQUEST"),
    ("POST", "/v1/tasks", {"json": {"name": "order", "namespace": "shop", "nam": 1}}, 400, "BAD_REQUEST"),
    ("POST", "/v1/tasks", {"json": {"name": "order", "namespace": "shop", "context": 5}}, 400, "BAD_REQUEST"),
    ("POST", "/v1/tasks", {"json": {"name": "order", "namespace": "shop", "priority": "5"}}, 400, "BAD_REQUEST"),
    ("POST", "/v1/tasks", {"json": {"name": "order", "namespace": "nowhere"}}, 404, "NOT_FOUND"),
    ("POST", "/v1/tasks", {"json": {"name": "order", "namespace": "shop", "version": "9"}}, 404, "NOT_FOUND"),
    ("PUT", "/v1/tasks", {"json": {}}, 405, "METHOD_NOT_ALLOWED"),
    ("GET", "/v2/tasks", {}, 404, "NOT_FOUND"),
]


@pytest.mark.parametrize(("method", "path", "sent", "status", "code"), WRONG)
async def test_every_refusal_has_the_same_form(
    api: httpx2.AsyncClient, method: str, path: str, sent: dict[str, Any], status: int, code: str
) -> None:
    """Whatever is wrong, the body is `{"error": {"code", "message"}}` with the code of the table."""
    answer = await api.request(method, path, **sent)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), answer.text
    assert isinstance(error["message"], str) and error["message"]
