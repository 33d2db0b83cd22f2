"""Two tenants on one server: no answer to the one has a byte of the other, through all that the API can be asked."""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any
from uuid import UUID

import pytest
from api import Answer, Api, made_api
from doors import Door

from tasker import Tasker
from tasker.operations import registry
from tasker.operations.engine import Engine
from tasker.operations.principal import Principal
from tasker.settings import Settings

REQUESTS = 10_000 if os.environ.get("TASKER_TEST_SCALE") == "full" else 600
CALLERS = 8
RED, BLUE = "red_7f3a", "blue_91bc"
_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass
class Tenant:
    """A tenant, all ids that are its own, and how it calls."""

    namespace: str
    headers: dict[str, str]
    ids: set[str] = field(default_factory=set[str])
    answers: Counter[int] = field(default_factory=Counter[int])
    bytes: int = 0


@dataclass
class Town:
    """The server, and its two tenants."""

    api: Api
    tenants: dict[str, Tenant]
    leaks: list[str] = field(default_factory=list[str])

    def other(self, tenant: Tenant) -> Tenant:
        return self.tenants[BLUE if tenant.namespace == RED else RED]

    async def ask(self, tenant: Tenant, method: str, path: str, body: Any = None, query: str = "") -> Answer:
        """One request of a tenant, whose answer is looked through."""
        answer = await self.api.call(method, path, tenant.headers, body, query)
        tenant.answers[answer.status] += 1
        tenant.bytes += len(answer.body)
        said = f"{path}?{query}{body}".encode()
        other = self.other(tenant)
        found = {one.decode() for one in _UUID.findall(answer.body)} - {one.decode() for one in _UUID.findall(said)}
        if other.namespace.encode() in answer.body and other.namespace.encode() not in said:
            self.leaks.append(f"{tenant.namespace}: {method} {path}?{query}: {answer.body[:300]!r}")
        if found & other.ids:
            self.leaks.append(f"{tenant.namespace}: {method} {path}?{query}: {found & other.ids}")
        if answer.status >= 500:
            self.leaks.append(f"{tenant.namespace}: {method} {path}?{query}: {answer.status} {answer.body[:300]!r}")
        return answer

    async def create(self, tenant: Tenant) -> UUID:
        """A new task of a tenant."""
        fields = {"context": {"of": f"secret of {tenant.namespace}"}, "tags": [f"tag-{tenant.namespace}"]}
        body = {"name": "order", "namespace": tenant.namespace, "initiator": f"by-{tenant.namespace}", **fields}
        answer = await self.ask(tenant, "POST", "/v1/tasks", body)
        assert answer.status == 200, answer.body
        tenant.ids.add(answer.json["task_uuid"])
        return UUID(answer.json["task_uuid"])


@pytest.fixture
async def town(database: str, door: Door) -> AsyncIterator[Town]:
    """Both tenants have a task that is half done; four connections serve both."""
    async with Tasker(database, worker=False, settings=Settings(read_connections=4)) as tasker:  # type: ignore[call-arg]
        api = made_api(tasker, door, auth_cache_s=3)
        tenants: dict[str, Tenant] = {}
        for namespace in (RED, BLUE):
            task = await api.make_task(namespace)
            await api.make_entry(namespace)
            await api.make_job(namespace)
            await api.make_key(namespace)
            everything = sorted(registry_permissions())
            tenants[namespace] = Tenant(namespace, await api.key(*everything, namespaces=[namespace]), {str(task)})
            tenants[namespace].ids |= {
                str(api.entries[namespace]),
                str(api.jobs[namespace]),
                str(api.events[namespace]),
            }
        yield Town(api, tenants)


def registry_permissions() -> set[str]:
    """Every `resource:*`."""
    return {f"{one.permission.partition(':')[0]}:*" for one in registry.OPERATIONS.values()}


Question = Callable[[Town, Tenant], tuple[str, str, Any, str]]


def of_task(path: str, *, mine: bool = True, method: str = "GET", body: Any = None) -> Question:
    """A question about the tenant's own task, or about the other's."""

    def question(town: Town, tenant: Tenant) -> tuple[str, str, Any, str]:
        task = town.api.tasks[tenant.namespace if mine else town.other(tenant).namespace]
        return method, f"/v1/tasks/{task}{path}", body, ""

    return question


def of_event(*, mine: bool) -> Question:
    """A question about the tenant's own event, or about the other's."""

    def question(town: Town, tenant: Tenant) -> tuple[str, str, Any, str]:
        event = town.api.events[tenant.namespace if mine else town.other(tenant).namespace]
        return "GET", f"/v1/events/{event}", None, ""

    return question


def of_key(*, mine: bool, method: str = "GET") -> Question:
    """A question about the tenant's own key, or about the other's."""

    def question(town: Town, tenant: Tenant) -> tuple[str, str, Any, str]:
        return method, f"/v1/keys/{town.api.keys[tenant.namespace if mine else town.other(tenant).namespace]}", None, ""

    return question


def at(path: str, query: str = "") -> Question:
    """A question without an id; {mine} and {other} are the namespaces."""

    def question(town: Town, tenant: Tenant) -> tuple[str, str, Any, str]:
        names = {"mine": tenant.namespace, "other": town.other(tenant).namespace}
        return "GET", path.format(**names), None, query.format(**names)

    return question


_PARTS = (
    *(
        "",
        "/summary",
        "/history",
        "/context",
        "/workflow_steps",
        "/why",
        "/analysis",
        "/lineage",
        "/batches",
        "/events",
    ),
)
FILTERS = (
    "", "namespace={mine}", "namespace={other}", "tag=tag-{other}", "initiator=by-{other}", "name=order",
    "status=pending", "status=steps_in_process&status=error", "version=1.0.0",
)  # fmt: skip
VIEWS = ("", "/1.0.0", "/1.0.0/graph")
QUESTIONS: list[Question] = [
    *(of_task(part) for part in _PARTS),
    *(of_task(part, mine=False) for part in _PARTS),
    of_task("", mine=False, method="DELETE"),
    of_task("/pause", mine=False, method="POST", body={}),
    of_task("/resume", mine=False, method="POST", body={}),
    *(at("/v1/tasks", f"per_page=100&{filtered}") for filtered in FILTERS),
    *(at(f"/v1/{path}") for path in ("templates", "namespaces", "handlers", "dlq", "dlq/stats", "dlq/staleness")),
    *(at(path) for path in ("/v1/dlq/investigation-queue", "/v1/workers", "/config")),
    *(at(f"/v1/{path}") for path in ("jobs", "analytics/performance", "analytics/bottlenecks", "analytics/durations")),
    at("/v1/breakers"),
    at("/v1/keys", "every=true"),
    of_key(mine=True),
    of_key(mine=False),
    of_key(mine=False, method="DELETE"),
    *(at("/v1/breakers", f"namespace={{{whose}}}") for whose in ("mine", "other")),
    *(at("/v1/breakers/one", f"breaker=gateway-of-{{{whose}}}") for whose in ("mine", "other")),
    *(at("/v1/events", f"namespace={{{whose}}}") for whose in ("mine", "other")),
    *(at("/v1/events", f"name=order.*&{more}") for more in ("", "newest_first=true", "status=recorded,published")),
    at("/v1/events/stream", "cursor=0&namespace={other}"),
    of_event(mine=True),
    of_event(mine=False),
    at("/v1/breakers/moves", "breaker=gateway-of-{other}"),
    *(at(f"/v1/templates/{{{whose}}}/order{part}") for whose in ("mine", "other") for part in VIEWS),
]  # fmt: skip


async def converse(town: Town, requests: int) -> None:
    """Both tenants ask, in turn and several at once, and create tasks meanwhile."""
    left = iter(range(requests))
    tenants, questions = cycle(town.tenants.values()), cycle(QUESTIONS)

    async def caller() -> None:
        for number in left:
            tenant = next(tenants)
            if number % 20 < 2:
                await town.create(tenant)
            else:
                await town.ask(tenant, *next(questions)(town, tenant))

    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(caller())


@pytest.mark.slow
async def test_no_byte_of_the_other_tenant(town: Town) -> None:
    """In thousands of alternating requests on shared connections no answer has a name or an id of the other tenant."""
    await converse(town, REQUESTS)
    asked = sum(tenant.answers.total() for tenant in town.tenants.values())
    size = sum(tenant.bytes for tenant in town.tenants.values())
    print(f"\n{asked} requests of two tenants, {size} bytes of answers, {len(town.leaks)} with something of the other")
    assert asked >= REQUESTS
    assert town.leaks == []
    for tenant in town.tenants.values():
        assert tenant.answers[200] > tenant.answers.total() / 3
        assert {403, 404} <= set(tenant.answers)


def without_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operations no longer ask which namespaces are the caller's; the database still does."""

    async def nobody(*_: object) -> None:
        return None

    monkeypatch.setattr(registry, "_confine", nobody)
    monkeypatch.setattr(
        registry.Access, "confined_to", lambda self, namespace: None if namespace is None else [namespace]
    )
    monkeypatch.setattr(Principal, "reaches", lambda self, namespace: True)


def without_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is asked as its owner; the operations still ask whose a namespace is."""
    monkeypatch.setattr(Engine, "confined_to", lambda self, namespaces: self)


@pytest.mark.parametrize("broken", [without_operations, without_database])
async def test_either_net_holds_alone(town: Town, monkeypatch: pytest.MonkeyPatch, broken: Any) -> None:
    """With the checks of the operations gone, or those of the database, still nothing of the other is told."""
    broken(monkeypatch)
    await converse(town, 2 * len(QUESTIONS))
    installation = ("/v1/workers", "/config", "/v1/dlq/stats")
    assert [leak for leak in town.leaks if not any(path in leak for path in installation)] == []


async def test_without_both_nets_the_leak_is_seen(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks through the answers finds what is wrong, once nothing holds the tenants apart."""
    without_operations(monkeypatch)
    without_database(monkeypatch)
    await converse(town, 2 * len(QUESTIONS))
    assert len(town.leaks) > 10
