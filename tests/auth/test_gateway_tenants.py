"""Workers of two tenants on one server: neither is handed, told or able to touch anything of the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from api import Answer, Api, made_api
from doors import Door

from tasker import Tasker

OURS, THEIRS = "ours", "theirs"


@pytest.fixture
async def api(database: str, door: Door) -> AsyncIterator[Api]:
    """A server with a task of each of two namespaces, whose second step is ready."""
    async with Tasker(database, worker=False) as tasker:
        made = made_api(tasker, door)
        for namespace in (OURS, THEIRS):
            await made.make_task(namespace)
        yield made


class TenantsWorker:
    """A worker with a key."""

    def __init__(self, api: Api, headers: dict[str, str], session: str | None = None) -> None:
        self.api, self.headers, self.session, self.turns = api, headers, session or str(uuid4()), 0

    async def open(self, **about: Any) -> Answer:
        body = {"session_uuid": self.session, "name": "w", "handlers": [{"name": "check"}, {"name": "charge"}], **about}
        return await self.api.call("POST", "/v1/worker/sessions", self.headers, body)

    async def call(self, what: str, **body: Any) -> Answer:
        return await self.api.call("POST", f"/v1/worker/sessions/{self.session}/{what}", self.headers, body)

    async def turn(self, **body: Any) -> Answer:
        self.turns += 1
        return await self.call("turn", turn=self.turns, free=[100], **body)


async def worker_of(api: Api, *namespaces: str) -> TenantsWorker:
    """A worker with an open session, whose key reaches these."""
    made = TenantsWorker(api, await api.key("gateway:work", namespaces=namespaces))
    assert (await made.open()).status == 200
    return made


async def test_a_worker_gets_no_step_of_another_namespace(api: Api) -> None:
    """However much is ready, a worker is granted what lies in its key's namespaces; those are all that it serves."""
    ours = await worker_of(api, OURS)
    answer = await ours.turn()
    assert [one["task_uuid"] for one in answer.json["grants"]] == [str(api.tasks[OURS])]
    assert THEIRS.encode() not in answer.body
    assert (await ours.turn()).json["grants"] == []
    beat = (await ours.call("beat")).json
    assert {one["namespace"] for one in beat["serving"]} == {OURS}
    theirs = await worker_of(api, THEIRS)
    assert [one["task_uuid"] for one in (await theirs.turn()).json["grants"]] == [str(api.tasks[THEIRS])]


async def test_a_worker_may_keep_to_fewer_namespaces_and_not_to_more(api: Api) -> None:
    """A session may name namespaces of its key's; one that names another is refused."""
    both = TenantsWorker(api, await api.key("gateway:work", namespaces=[OURS, THEIRS]))
    assert (await both.open(namespaces=[OURS])).status == 200
    assert [one["task_uuid"] for one in (await both.turn()).json["grants"]] == [str(api.tasks[OURS])]
    one = TenantsWorker(api, await api.key("gateway:work", namespaces=[OURS]))
    assert (await one.open(namespaces=[THEIRS])).status == 403


@pytest.mark.parametrize("what", ["turn", "beat", "load", "wait", "end", "checkpoints"])
async def test_a_session_is_its_owners_alone(api: Api, what: str) -> None:
    """Who knows another's session id, even with a key for the same namespace, finds no such session."""
    ours = await worker_of(api, OURS)
    bodies: dict[str, dict[str, Any]] = {
        "turn": {"turn": 5, "free": [5]},
        "checkpoints": {"checkpoints": [{"task_uuid": str(api.tasks[OURS]), "number": 2, "attempt": 1}]},
    }
    for namespaces in ([THEIRS], [OURS], [OURS, THEIRS]):
        thief = TenantsWorker(api, await api.key("gateway:work", namespaces=namespaces), ours.session)
        answer = await thief.call(what, **bodies.get(what, {}))
        assert (answer.status, answer.json["error"]["code"]) == (404, "NOT_FOUND")
        assert (await thief.open()).status == 404
    assert (await ours.turn()).status == 200


async def test_nothing_of_another_tenant_can_be_read_or_touched(api: Api) -> None:
    """Tasks and templates of others cannot be loaded; outcomes and checkpoints for them are refused, and change
    nothing."""
    ours, theirs = await worker_of(api, OURS), await worker_of(api, THEIRS)
    [grant] = (await theirs.turn()).json["grants"]
    fence = {name: grant[name] for name in ("task_uuid", "number", "attempt")}
    task = grant["task_uuid"]
    of_step = [{"task_uuid": task, "number": 1}]
    for wanted in ({"contexts": [task]}, {"results": of_step}, {"members": of_step}, {"checkpoints": of_step}):
        answer = await ours.call("load", **wanted)
        assert (answer.status, answer.json["error"]["kind"]) == (404, "task_not_found"), wanted
        assert b"secret" not in answer.body
    assert (await ours.call("load", templates=[grant["template_id"]])).json["templates"] == []
    assert (await ours.call("checkpoints", checkpoints=[{**fence, "cursor": 1}])).status == 404
    assert (await ours.turn(outcomes=[{**fence, "kind": "succeeded"}])).status == 404
    held = (await ours.turn(held=[fence])).json
    assert (held["gone"], [one["task_uuid"] for one in held["grants"]]) == ([fence], [str(api.tasks[OURS])])
    answer = await theirs.turn(outcomes=[{**fence, "kind": "succeeded"}])
    assert answer.json["ended"] == [{"task_uuid": task, "state": "complete"}]


async def test_a_key_without_the_permission_opens_no_session(api: Api) -> None:
    """Running steps is a permission of its own, which no other includes."""
    for permission in ("worker:*", "tasks:*", "steps:*", "templates:*"):
        made = TenantsWorker(api, await api.key(permission, namespaces=[OURS]))
        assert (await made.open()).status == 403
    assert (await TenantsWorker(api, {}).open()).status == 401
