"""Jobs that callers drive over HTTP: within their namespaces, with the action's own permission, each task once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from api import Api, made_api
from doors import Door

from tasker import Tasker


@pytest.fixture
async def api(database: str, door: Door) -> AsyncIterator[Api]:
    """A server with tasks of two namespaces."""
    async with Tasker(database, worker=False) as tasker:
        made = made_api(tasker, door)
        for namespace in ("ours", "ours", "ours", "theirs"):
            await made.make_task(namespace)
        yield made


async def new_job(api: Api, namespace: str, action: str) -> str:
    """A job of somebody who may everything; nobody has begun it."""
    root = await api.key("tasks:*", "steps:*")
    said = {"action": action, "filter": {"namespace": namespace}}
    answer = await api.call("POST", "/v1/jobs", root, said)
    assert answer.status == 200, answer.body
    return answer.json["job"]["job_uuid"]


async def test_drivers_at_once_see_to_each_task_once(api: Api) -> None:
    """Several drive one job until it is over: every task is done, and none twice."""
    ours = await api.key("tasks:*", namespaces=["ours"])
    job = await new_job(api, "ours", "pause")

    async def drive() -> None:
        for _ in range(1_000):
            if (await api.call("POST", f"/v1/jobs/{job}/drive", ours, {})).json["job"]["status"] != "running":
                return

    await asyncio.gather(*(drive() for _ in range(4)))
    found = (await api.call("GET", f"/v1/jobs/{job}", ours)).json
    assert (found["status"], found["done"], found["refused"], found["namespaces"]) == ("done", 3, 0, ["ours"])
    query = "select count(*) from tasker_engine.acts where action = 'pause'"
    assert await api.door.connection.fetchval(query) == 3


async def test_jobs_of_others_are_not_driven(api: Api) -> None:
    """A job of another namespace, or of all, is not found; a retry needs the permission that a retry needs."""
    ours = await api.key("tasks:*", namespaces=["ours"])
    theirs = await new_job(api, "theirs", "cancel")
    assert (await api.call("POST", f"/v1/jobs/{theirs}/drive", ours, {})).status == 404
    retry = await new_job(api, "ours", "retry")
    assert (await api.call("POST", f"/v1/jobs/{retry}/drive", ours, {})).status == 403
    assert await api.door.connection.fetchval("select count(*) from tasker_engine.job_items") == 0
    for path in ("garbage", "01987654-0000-7000-8000-000000000001"):
        assert (await api.call("POST", f"/v1/jobs/{path}/drive", ours, {})).status in (400, 404)
