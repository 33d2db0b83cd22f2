"""Lists of tasks over HTTP: every filter works, pages and cursors show each task once."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from api_support import ORDER, create


async def _names(api: httpx2.AsyncClient, **query: Any) -> list[str]:
    answer = await api.get("/v1/tasks", params=query)
    assert answer.status_code == 200, answer.text
    return [task["reason"] for task in answer.json()["tasks"]]


@pytest.fixture
async def three(api: httpx2.AsyncClient) -> list[dict[str, Any]]:
    """Three tasks that differ in everything a list filters by."""
    first = await create(api, reason="a", initiator="ada", source_system="till", tags=["x"])
    second = await create(api, reason="b", initiator="bob", source_system="web", tags=["x", "y"])
    third = await create(api, reason="c", initiator="bob", source_system="till")
    await api.delete(f"/v1/tasks/{third['task_uuid']}")
    return [first, second, third]


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["c", "b", "a"]),
    ({"status": "pending"}, ["b", "a"]),
    ({"status": "cancelled"}, ["c"]),
    ({"status": "cancelled,pending"}, ["c", "b", "a"]),
    ({"status": ["cancelled", "pending"]}, ["c", "b", "a"]),
    ({"status": "completed"}, []),
    ({"namespace": "shop"}, ["c", "b", "a"]),
    ({"namespace": "elsewhere"}, []),
    ({"name": "order", "version": "1.0.0"}, ["c", "b", "a"]),
    ({"version": "2.0.0"}, []),
    ({"initiator": "bob"}, ["c", "b"]),
    ({"source_system": "till"}, ["c", "a"]),
    ({"source_system": "till", "initiator": "bob", "status": "cancelled", "namespace": "shop"}, ["c"]),
    ({"tag": "x"}, ["b", "a"]),
    ({"created_before": "2020-01-01T00:00:00Z"}, []),
    ({"created_after": "2020-01-01T00:00:00Z"}, ["c", "b", "a"]),
]


@pytest.mark.usefixtures("three")
async def test_every_filter_works(api: httpx2.AsyncClient) -> None:
    """A list shows the tasks that fit all of its filters, newest first."""
    for query, expected in FILTERS:
        assert await _names(api, **query) == expected, query


async def test_a_list_finds_a_correlation(api: httpx2.AsyncClient, three: list[dict[str, Any]]) -> None:
    """The correlation id that a task was given finds it."""
    assert await _names(api, correlation_id=three[1]["correlation_id"]) == ["b"]


@pytest.mark.usefixtures("three")
async def test_pages_and_cursors_show_each_task_once(api: httpx2.AsyncClient) -> None:
    """Pages say how many there are; cursors lead through the same tasks without saying so."""
    first = (await api.get("/v1/tasks", params={"per_page": 2})).json()
    second = (await api.get("/v1/tasks", params={"per_page": 2, "page": 2})).json()
    assert [t["reason"] for t in first["tasks"] + second["tasks"]] == ["c", "b", "a"]
    assert first["pagination"] | {"next_cursor": None} == {
        "page": 1, "per_page": 2, "total_count": 3, "total_is_exact": True, "total_pages": 2, "has_next": True,
        "has_previous": False, "next_cursor": None,
    }  # fmt: skip
    cursor = first["pagination"]["next_cursor"]
    after = (await api.get("/v1/tasks", params={"per_page": 2, "cursor": cursor})).json()
    assert [t["reason"] for t in after["tasks"]] == ["a"]
    assert after["pagination"]["next_cursor"] is None


@pytest.mark.parametrize(
    "query",
    [
        {"page": 0}, {"per_page": 101}, {"page": 10_000, "per_page": 100}, {"status": "sleeping"}, {"cursor": "none"},
        {"cursor": "é"}, {"created_after": "yesterday"}, {"created_after": "2020-01-01T00:00:00"}, {"colour": "red"},
        {"created_before": "0001-01-01T00:00:00+23:59"}, {"correlation_id": "x"},
    ],
)  # fmt: skip
async def test_a_wrong_filter_is_refused(api: httpx2.AsyncClient, query: dict[str, Any]) -> None:
    """What cannot be filtered by is an error that names it, not an empty list."""
    answer = await api.get("/v1/tasks", params=query)
    assert answer.status_code == 400
    assert next(iter(query)) in answer.json()["error"]["message"]


async def test_a_list_searches_declared_fields_and_ends(api: httpx2.AsyncClient) -> None:
    """What templates declare can be searched for, with several tags and by the end; the cursor leads on."""
    declared = ORDER.replace("description:", "search_fields: [order.id]\ndescription:").replace("1.0.0", "2.0.0")
    assert (await api.post("/v1/templates", json={"template": declared})).status_code == 200
    tasks = [
        await create(api, version="2.0.0", reason=name, context={"order": {"id": 17}}, tags=["x", name])
        for name in ("a", "b")
    ]
    await create(api, version="2.0.0", reason="c", context={"order": {"id": 18}})
    assert await _names(api, field="order.id=17") == ["b", "a"]
    assert await _names(api, tag=["x", "a"]) == ["a"]
    first = (await api.get("/v1/tasks", params={"field": "order.id=17", "per_page": 1})).json()
    assert (first["pagination"]["total_count"], first["pagination"]["has_next"]) == (2, True)
    cursor = first["pagination"]["next_cursor"]
    assert await _names(api, field="order.id=17", per_page=1, cursor=cursor) == ["a"]
    await api.delete(f"/v1/tasks/{tasks[0]['task_uuid']}")
    assert await _names(api, completed_after="2020-01-01T00:00:00Z") == ["a"]
    assert await _names(api, completed_before="2020-01-01T00:00:00Z") == []
    undeclared = await api.get("/v1/tasks", params={"field": "amount=1"})
    assert undeclared.status_code == 400 and "amount" in undeclared.json()["error"]["message"]
    assert (await api.get("/v1/tasks", params={"field": "order.id=17", "page": 2})).status_code == 400
